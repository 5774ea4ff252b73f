import type {
  Client,
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryConfigValues,
  QueryResult,
  QueryResultRow,
} from 'pg';
import { type AcquireOptions, ConnectionPool, type Lease, type PoolOptions, PoolOptionsError } from '../core/index.js';
import { ACQUIRE, checkGroup, positiveDuration } from '../core/option-rules.js';
import { CancelGuard } from './cancel-guard.js';
import { limitStatements } from './session-reset.js';
import { checkTransaction, runTransaction, type TransactionOptions } from './transaction.js';

/** What one acquire of a {@link PostgresPool} may ask for. @publicApi */
export interface PostgresAcquireOptions extends AcquireOptions {
  /** The server ends a statement that takes longer, for as long as the lease lasts. It costs a round trip before and one after. */
  readonly statementTimeoutMs?: number;
}

/** What one {@link PostgresPool.query} may ask for. @publicApi */
export interface PostgresQueryOptions extends PostgresAcquireOptions {
  /** Ends the wait for a connection, and cancels the query on the server once it runs. */
  readonly signal?: AbortSignal;
}

const RULES = { ...ACQUIRE, statementTimeoutMs: positiveDuration };

/**
 * A pool of sessions of one PostgreSQL database.
 *
 * @publicApi
 */
export class PostgresPool extends ConnectionPool<Client> {
  readonly #rollbackLimitMs: number;

  constructor(options: PoolOptions<Client>) {
    super(options);
    this.#rollbackLimitMs = options.resetTimeoutMs ?? 5_000;
  }

  override acquire(options?: PostgresAcquireOptions): Promise<Lease<Client>> {
    return options?.statementTimeoutMs === undefined ? super.acquire(options) : this.#acquireLimited(options);
  }

  override use<R>(
    work: (client: Client, lease: Lease<Client>) => R | Promise<R>,
    options?: PostgresAcquireOptions,
  ): Promise<R> {
    return super.use(work, options);
  }

  /**
   * Runs one query on whichever connection is free.
   *
   * With a `signal`: aborted while it waits for a connection, it rejects with {@link AcquireAbortedError}, and nothing was sent.
   * Aborted while the query runs, it rejects with the signal's reason at once and cancels the query on the server; whether that came
   * in time is not known. The connection is lent again only when both have ended.
   */
  query<R extends any[] = any[], I = any[]>(
    config: QueryArrayConfig<I>,
    values?: QueryConfigValues<I>,
    options?: PostgresQueryOptions,
  ): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = any, I = any[]>(
    config: string | QueryConfig<I>,
    values?: QueryConfigValues<I>,
    options?: PostgresQueryOptions,
  ): Promise<QueryResult<R>>;
  query(config: string | QueryConfig, values?: unknown[], options?: PostgresQueryOptions): Promise<QueryResult> {
    const problem = problemOf(config, values);
    if (problem !== undefined) return Promise.reject(new TypeError(problem));
    const run = (client: Client): Promise<QueryResult> => client.query(config, values);
    return options?.signal === undefined ? super.use(run, options) : this.#runCancellable(run, options, options.signal);
  }

  /**
   * Runs `work` in a transaction on one connection: committed when the work has ended well, rolled back when it throws, and then
   * rejected with what it threw. Nothing of it is pending when the promise settles.
   *
   * Queries of the transaction go through the `client` that the work is given; what it asks the pool for is outside of it. A
   * transaction within the transaction is a `SAVEPOINT`, which is the work's to set. Where the connection is lost during COMMIT it is
   * not known whether it was committed, and such an error is never followed by another attempt.
   */
  async transaction<R>(
    work: (client: Client, lease: Lease<Client>) => R | Promise<R>,
    options: TransactionOptions = {},
  ): Promise<R> {
    const problems = checkTransaction(options);
    if (problems.length > 0) throw new PoolOptionsError(this.name, problems);
    return runTransaction(this, work, options, this.#rollbackLimitMs);
  }

  async #acquireLimited({ statementTimeoutMs, ...options }: PostgresAcquireOptions): Promise<Lease<Client>> {
    const problems = checkGroup(RULES, { statementTimeoutMs, ...options });
    if (problems.length > 0) throw new PoolOptionsError(this.name, problems);
    const lease = await super.acquire(options);
    try {
      await limitStatements(lease.connection, statementTimeoutMs!);
    } catch (error) {
      if (lease.isHeld) lease.release();
      throw error;
    }
    return lease;
  }

  async #runCancellable<R>(
    run: (client: Client) => Promise<R>,
    options: PostgresQueryOptions,
    signal: AbortSignal,
  ): Promise<R> {
    const lease = await this.acquire(options);
    const guard = new CancelGuard(lease, signal);
    try {
      return await guard.race(() => run(lease.connection));
    } finally {
      // The caller, who has stopped waiting, does not wait for this either.
      const ended = guard.end();
      if (ended === undefined) lease[Symbol.dispose]();
      else void ended.then(() => lease[Symbol.dispose]());
    }
  }
}

function problemOf(config: unknown, values: unknown): string | undefined {
  if (typeof config === 'string') return typeof values === 'function' ? NO_CALLBACK : undefined;
  if (typeof config !== 'object' || config === null) return 'query: expected SQL, or an object with it';
  if ('submit' in config) return 'query: a cursor, a stream or a Query needs its connection for longer; use pool.use()';
  return 'callback' in config || typeof values === 'function' ? NO_CALLBACK : undefined;
}

const NO_CALLBACK = 'query: takes no callback; it returns a promise';
