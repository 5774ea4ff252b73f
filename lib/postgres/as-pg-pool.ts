import type { Client, Pool } from 'pg';
import type { ConnectionPool } from '../core/index.js';
import { PgPoolFacade } from './pg-pool-facade.js';
import { type PgPoolOptions, resolvePgPoolOptions } from './pg-pool-options.js';

/**
 * Shows a pool as a `pg.Pool`, so that code written for pg-pool runs on it unchanged: Kysely, Drizzle, TypeORM (by
 * {@link asPgDriver}), pgvector, your own. It is an `instanceof pg.Pool`, and hands out real `pg.Client`s with a `release`.
 *
 * ```ts
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: asPgPool(pool) }) });
 * const db = drizzle(asPgPool(pool));
 * ```
 *
 * Make one for each library, not one for each request: it listens to the pool until `end()`.
 *
 * Methods, events, their order, counts and messages are those of pg-pool 3.14, but for these, on purpose:
 *
 * | | pg-pool | here |
 * |---|---|---|
 * | an idle client dies | `error`, and the process ends if nobody listens | `error` if somebody listens; `err.client` is not enumerable |
 * | a leased client dies | an `error` of the client ends the process, unless its borrower listens | its queries fail; it is closed on return |
 * | `pool.query` fails by an answer of the server | the client is closed | the client is kept, if it is outside of a transaction |
 * | `pool.query(cursor)` or a `Query` with a callback | the client never comes back, the promise never settles | both at the end |
 * | no client in time | after `connectionTimeoutMillis`: "timeout exceeded when trying to connect" | after `acquireTimeoutMs`: {@link AcquireTimeoutError}; likewise the pool's other errors: {@link PoolDownError}, {@link PoolExhaustedError}, … |
 * | a client cannot be opened | the driver's error | the driver's error too, not wrapped |
 * | `end()` | closes the clients, waits for borrowers without an end, resolves before the sockets are closed | lends no more and waits for its own borrowers, at most `endTimeoutMs`; the pool stays open, unless `endClosesPool`: then it resolves when all is closed |
 * | acquires that wait at `end()` | never settle | are served |
 * | `connect` | when a client has been opened | when the facade lends a client for the first time |
 * | `remove` | for every client | for every client that it said `connect` for |
 * | which acquire gets a new client | the one that it was opened for | the oldest that waits |
 * | listeners that a borrower leaves on its client | stay | are taken off by a `postgresPool`; those added in `connect` stay |
 * | a listener that throws | the client is lost to the pool | the client goes back; the error reaches the caller |
 * | `options` | what the pool was made with | `max` and `min`, which may be set; never an address or a password |
 * | `expiredCount` | leased clients past their lifetime | 0 |
 * | `onConnect`, `verify`, `log`, `Promise`, `Client` | options | none of them: connections are opened, checked and reset by the pool |
 *
 * A released client must not be touched any more. `release` throws when it is called twice, but, as in pg-pool, a
 * `client.release()` that comes after the client has been lent again is taken for the new borrower's: they hold the same
 * object. The function that `connect(callback)` passes on belongs to one lease and does not have that weakness. For the same
 * reason `reclaimLeaked` cannot tell that a borrower has lost its client; `leakWarnAfterMs` can.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function asPgPool<C extends Client>(pool: ConnectionPool<C>, options: PgPoolOptions = {}): Pool {
  return new PgPoolFacade(pool, resolvePgPoolOptions('asPgPool', pool, options)) as unknown as Pool;
}
