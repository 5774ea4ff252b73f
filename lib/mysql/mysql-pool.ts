import type { ExecuteValues, FieldPacket, QueryOptions, QueryResult, QueryValues } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import {
  type AcquireOptions,
  ConnectionPool,
  type Lease,
  PoolClosedError,
  type PoolOptions,
  PoolOptionsError,
} from '../core/index.js';
import { ACQUIRE, checkGroup, positiveDuration } from '../core/option-rules.js';
import { CancelGuard } from './cancel-guard.js';
import type { MysqlSettings } from './mysql-settings.js';
import { pooledConnectionOf } from './pooled-connection.js';
import { Statement, type StatementMethod } from './statement.js';
import { checkTransaction, type MysqlTransactionOptions, runTransaction } from './transaction.js';

/** What one {@link MysqlPool.query} or {@link MysqlPool.execute} may ask for. @publicApi */
export interface MysqlQueryOptions extends AcquireOptions {
  /** Ends the wait for a connection, and the query on the server once it runs. */
  readonly signal?: AbortSignal;
  /** The query itself, without the wait for a connection: one that takes longer is ended on the server. */
  readonly timeoutMs?: number;
}

const RULES = { ...ACQUIRE, timeoutMs: positiveDuration };

/**
 * A pool of sessions of one MySQL or MariaDB server.
 *
 * @publicApi
 */
export class MysqlPool extends ConnectionPool<Connection> {
  readonly #rollbackLimitMs: number;
  readonly #settings: MysqlSettings;

  /** @internal */
  constructor(options: PoolOptions<Connection>, settings: MysqlSettings) {
    super(options);
    this.#rollbackLimitMs = options.resetTimeoutMs ?? 5_000;
    this.#settings = settings;
  }

  /** @internal */
  get settings(): MysqlSettings {
    return this.#settings;
  }

  /**
   * Runs one query on whichever connection is free, with its values put into the text by mysql2. Resolves to rows and fields.
   *
   * With a `signal`: aborted while it waits for a connection, it rejects with {@link AcquireAbortedError}, and nothing was sent.
   * Aborted while the query runs, it rejects with the signal's reason at once and ends the query on the server; whether that came in
   * time is not known. The connection is lent again only when the query has ended. After `timeoutMs` likewise, with
   * {@link QueryTimeoutError}.
   *
   * The stack of the server's error leads to the functions that await the result; with mysql2's option `trace: false` it stays as
   * the driver made it.
   */
  query<T extends QueryResult>(
    sql: string | QueryOptions,
    values?: QueryValues,
    options?: MysqlQueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.#run<T>('query', sql, values, options);
  }

  /** As {@link MysqlPool.query}, by a prepared statement, to which the server binds the values. */
  execute<T extends QueryResult>(
    sql: string | QueryOptions,
    values?: ExecuteValues,
    options?: MysqlQueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.#run<T>('execute', sql, values, options);
  }

  /**
   * Runs `work` in a transaction on one connection: committed when it has ended well, rolled back when it throws, and then
   * rejected with what it threw. As everywhere in MySQL, a `CREATE`, `ALTER` or `DROP` inside commits what came before it.
   */
  async transaction<R>(
    work: (connection: Connection, lease: Lease<Connection>) => R | Promise<R>,
    options: MysqlTransactionOptions = {},
  ): Promise<R> {
    const problems = checkTransaction(options);
    if (problems.length > 0) throw new PoolOptionsError(this.name, problems);
    return runTransaction(this, work, options, this.#rollbackLimitMs);
  }

  #run<T extends QueryResult>(
    method: StatementMethod,
    sql: string | QueryOptions,
    values: unknown,
    options: MysqlQueryOptions | undefined,
  ): Promise<[T, FieldPacket[]]> {
    if (typeof values === 'function') return Promise.reject(new TypeError('takes no callback; it returns a promise'));
    const statement = new Statement<T>(method, sql, values, this.#settings.traces);
    if (options?.signal !== undefined || options?.timeoutMs !== undefined)
      return this.#runCancellable(statement, options);
    // One that is ready needs no promise in between.
    const ready = options === undefined ? this.tryAcquire() : undefined;
    return ready === undefined ? this.#runLater(statement, options) : statement.runOn(ready);
  }

  async #runLater<T extends QueryResult>(
    statement: Statement<T>,
    options: MysqlQueryOptions | undefined,
  ): Promise<[T, FieldPacket[]]> {
    const lease = await this.acquire(options);
    // A close by force came between: nothing has been sent, and need not.
    if (!lease.isHeld) throw new PoolClosedError(this.name, this.stats());
    // Awaited here, for the stack of an error to lead further up.
    return await statement.runOn(lease);
  }

  async #runCancellable<T extends QueryResult>(
    statement: Statement<T>,
    options: MysqlQueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    const problems = checkGroup(RULES, options);
    if (problems.length > 0) throw new PoolOptionsError(this.name, problems);
    const { timeoutMs, ...acquireOptions } = options;
    const lease = await this.acquire(acquireOptions);
    const guard = new CancelGuard(lease, options.signal, timeoutMs);
    try {
      return await guard.race(() => statement.send(pooledConnectionOf(lease.connection)));
    } finally {
      guard.giveBack();
    }
  }
}
