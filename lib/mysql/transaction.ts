import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { tellingAtOnce } from '../core/abort-listening.js';
import type { AcquireOptions, Lease } from '../core/index.js';
import { ACQUIRE, checkGroup, oneOf, repetitions, type Rule, yesOrNo } from '../core/option-rules.js';
import { repeating } from '../core/repeating.js';
import { CancelGuard } from './cancel-guard.js';
import type { MysqlPool } from './mysql-pool.js';
import { type PooledConnection, pooledConnectionOf } from './pooled-connection.js';

/** What {@link MysqlPool.transaction} may ask for. @publicApi */
export interface MysqlTransactionOptions extends AcquireOptions {
  /** Default: the server's, which is `repeatable read` unless it was told otherwise. */
  readonly isolation?: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';
  readonly readOnly?: boolean;
  /** Begins the view of the data with the transaction, not with its first read. */
  readonly consistentSnapshot?: boolean;
  /**
   * How often the work is begun again when the server gives it up for the sake of another transaction: after a deadlock (1213), a
   * wait for a lock that took too long (1205), a row that has changed meanwhile (1020, MariaDB). A number, or `true` for
   * 10. Whatever else the work does is done again too. Default: 0.
   */
  readonly retryDeadlocks?: number | boolean;
  /** Ends the wait for a connection; later it ends the statement that runs, refuses further ones and rolls back. */
  readonly signal?: AbortSignal;
}

const RULES: Record<keyof MysqlTransactionOptions, Rule> = {
  ...ACQUIRE,
  isolation: oneOf('read uncommitted', 'read committed', 'repeatable read', 'serializable'),
  readOnly: yesOrNo,
  consistentSnapshot: yesOrNo,
  retryDeadlocks: repetitions,
};

/** Every problem of a transaction's options, in words. @internal */
export function checkTransaction(options: MysqlTransactionOptions): string[] {
  return checkGroup(RULES, options);
}

/**
 * The work has ended well, but the server had rolled its transaction back before, because of the error that is the cause. What the
 * work has written after that was written outside of any transaction.
 *
 * @publicApi
 */
export class TransactionRolledBackError extends Error {
  override readonly name = 'TransactionRolledBackError';
  readonly code = 'MYSQL_ROLLED_BACK';
  constructor(cause: unknown) {
    super(
      'the transaction was rolled back, not committed: the server had ended it with an error, and the work went on all the ' +
        'same; let the error pass',
      { cause },
    );
  }
}

/** ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, and MariaDB's ER_CHECKREAD. */
const CONFLICTS = new Set([1213, 1205, 1020]);

type Work<R> = (connection: Connection, lease: Lease<Connection>) => R | Promise<R>;

/** @internal */
export async function runTransaction<R>(
  pool: MysqlPool,
  work: Work<R>,
  options: MysqlTransactionOptions,
  rollbackLimitMs: number,
): Promise<R> {
  const { signal, acquireTimeoutMs, priority, retryDeadlocks = 0 } = options;
  // Without a connection between two attempts: the others that wait may be who is needed to resolve the conflict.
  return repeating(
    () =>
      tellingAtOnce(signal, (begun) =>
        pool.use(
          (connection, lease) => {
            begun();
            return new Attempt(connection, lease, signal, rollbackLimitMs).run(options, work);
          },
          { signal, acquireTimeoutMs, priority },
        ),
      ),
    isConflict,
    retryDeadlocks,
    signal,
  );
}

/** One transaction, on a connection leased for it. */
class Attempt {
  private readonly pooled: PooledConnection;
  private readonly guard: CancelGuard;

  constructor(
    private readonly connection: Connection,
    private readonly lease: Lease<Connection>,
    private readonly signal: AbortSignal | undefined,
    private readonly rollbackLimitMs: number,
  ) {
    this.pooled = pooledConnectionOf(connection);
    this.guard = new CancelGuard(lease, signal);
  }

  async run<R>(options: MysqlTransactionOptions, work: Work<R>): Promise<R> {
    try {
      this.pooled.session.conflict = undefined;
      for (const sql of beginTexts(options)) await this.connection.query(sql);
      const result = await work(this.connection, this.lease);
      this.signal?.throwIfAborted();
      await this.commit();
      return result;
    } catch (error) {
      await this.rollBack(error);
      throw this.signal?.aborted ? this.signal.reason : error;
    } finally {
      // A kill that is still under way might hit the next borrower's statement.
      await this.guard.end();
    }
  }

  private async commit(): Promise<void> {
    const { session } = this.pooled;
    if (session.conflict !== undefined) {
      // An error does not say whether the server has rolled back with it. The next answer does.
      if (session.isUnsure) await this.pooled.ask('DO 0');
      if (!session.inTransaction) throw new TransactionRolledBackError(session.conflict);
    }
    await this.connection.query('COMMIT');
  }

  private async rollBack(reason: unknown): Promise<void> {
    const { pooled, lease } = this;
    if (!lease.isHeld || !pooled.isUsable) return;
    if (!pooled.isBusy && !pooled.session.mayBeInTransaction) return;
    const limit = new AbortController();
    // The caller hears of its error in any case: a server that does not answer loses the connection, not the caller's time.
    const isDone = await Promise.race([
      pooled.ask('ROLLBACK').then(
        () => true,
        () => false,
      ),
      sleep(this.rollbackLimitMs, false, { signal: limit.signal }).catch(() => false),
    ]);
    limit.abort();
    if (!isDone && lease.isHeld) lease.destroy(reason);
  }
}

function beginTexts({ isolation, readOnly, consistentSnapshot }: MysqlTransactionOptions): string[] {
  const modes: string[] = [];
  if (consistentSnapshot) modes.push('WITH CONSISTENT SNAPSHOT');
  if (readOnly !== undefined) modes.push(readOnly ? 'READ ONLY' : 'READ WRITE');
  const begin = `START TRANSACTION ${modes.join(', ')}`.trimEnd();
  return isolation === undefined ? [begin] : [`SET TRANSACTION ISOLATION LEVEL ${isolation.toUpperCase()}`, begin];
}

/** Whether the server gave a transaction up for another one's sake. */
function isConflict({ errno }: { readonly errno?: number }): boolean {
  return CONFLICTS.has(errno ?? 0);
}
