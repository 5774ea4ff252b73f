import type { Pool } from 'mysql2';
import { type MysqlFacadeOptions, resolveFacadeOptions } from './facade-options.js';
import type { MysqlPool } from './mysql-pool.js';
import { MysqlPoolFacade } from './mysql-pool-facade.js';

/**
 * Shows a pool as a `Pool` of mysql2, so that code written for that one runs on it unchanged: Kysely, Drizzle, TypeORM (by
 * {@link asMysqlDriver}), your own. It is an `instanceof mysql2.Pool`; `promise()` gives the one of mysql2/promise.
 *
 * ```ts
 * const db = new Kysely<Database>({ dialect: new MysqlDialect({ pool: asMysqlPool(pool) }) });
 * const db = drizzle(asMysqlPool(pool));
 * ```
 *
 * Methods, events and their order are those of mysql2 3.24, but for these, on purpose:
 *
 * | | mysql2's pool | here |
 * |---|---|---|
 * | a connection comes back | as it is, unless `resetOnRelease` | reset, as the pool's `reset` says: `SET SESSION` in a `connection` listener lasts for one lease; use `onConnect` |
 * | no connection in time | waits without an end | after `acquireTimeoutMs`: {@link AcquireTimeoutError}; likewise the pool's other errors: {@link PoolDownError}, {@link PoolExhaustedError}, … |
 * | `acquire` | not for one that has waited for it | for each lease |
 * | `release` | not where somebody waits for it | for each lease |
 * | `connection` | when it has been opened | when the facade lends it for the first time |
 * | `connection.end()` | releases, and warns that it does | releases |
 * | `end()` | closes all connections, those of borrowers behind the query that runs | lends no more and waits for its own borrowers, at most `endTimeoutMs`; the pool stays open, unless `endClosesPool` |
 * | acquires that wait at `end()` | `Pool is closed.` | are served |
 * | a listener that throws | the connection is lost | the connection goes back |
 * | `config` | all that it was made with | without passwords and keys |
 *
 * A connection that has been given back must not be touched any more. As in mysql2, a `release()` that comes after the connection has
 * been lent again is taken for the new borrower's: they hold the same object.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function asMysqlPool(pool: MysqlPool, options: MysqlFacadeOptions = {}): Pool {
  return new MysqlPoolFacade(pool, resolveFacadeOptions('asMysqlPool', pool, options)) as unknown as Pool;
}
