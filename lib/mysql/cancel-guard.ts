import { listenToAbort } from '../core/abort-listening.js';
import type { Lease } from '../core/index.js';
import type { Connection } from 'mysql2/promise';
import { type PooledConnection, pooledConnectionOf } from './pooled-connection.js';

/** How long a statement has to end after it was killed before its connection is given up. */
const KILL_LIMIT_MS = 5_000;
/** The longest time that a timer of Node can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * A query ran longer than its `timeoutMs` and was ended on the server.
 *
 * @publicApi
 */
export class QueryTimeoutError extends Error {
  override readonly name = 'QueryTimeoutError';
  readonly code = 'MYSQL_QUERY_TIMEOUT';
  constructor(readonly timeoutMs: number) {
    super(`the query did not end within ${timeoutMs} ms, and was ended`);
  }
}

/**
 * A borrower's signal and time limit over what its connection does: at the first of them what runs is ended on the server, and
 * nothing more is sent.
 *
 * @internal
 */
export class CancelGuard {
  private readonly connection: PooledConnection;
  private readonly lease: Lease<Connection>;
  private readonly timer: NodeJS.Timeout | undefined = undefined;
  /** The kill under way. */
  private killing: Promise<void> | undefined = undefined;
  private onCancel: ((reason: unknown) => void) | undefined = undefined;

  constructor(
    lease: Lease<Connection>,
    private readonly signal: AbortSignal | undefined,
    timeoutMs?: number,
  ) {
    this.lease = lease;
    this.connection = pooledConnectionOf(lease.connection);
    if (signal?.aborted) this.handleEvent();
    else if (signal !== undefined) listenToAbort(signal, this);
    if (timeoutMs !== undefined && timeoutMs <= LONGEST_TIMER_MS) {
      this.timer = setTimeout(() => this.cancel(new QueryTimeoutError(timeoutMs)), timeoutMs);
    }
  }

  handleEvent(): void {
    this.cancel(this.signal!.reason);
  }

  /** Ends as `run` does, or with the reason as soon as it is cancelled. */
  race<R>(run: () => Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.onCancel = reject;
      const { refusal } = this.connection;
      if (refusal !== undefined) reject(refusal.reason as Error);
      else run().then(resolve, reject);
    });
  }

  /** Gives the connection back: when what was killed has ended, and the kill can hit nothing more. */
  giveBack(): void {
    const killing = this.end();
    if (killing === undefined) this.lease[Symbol.dispose]();
    else void killing.then(() => this.lease[Symbol.dispose]());
  }

  /** No longer watches. Resolves when the kill under way, if there is one, is over; an unfit connection is gone then. */
  end(): Promise<void> | undefined {
    clearTimeout(this.timer);
    this.signal?.removeEventListener('abort', this);
    return this.killing;
  }

  private cancel(reason: unknown): void {
    clearTimeout(this.timer);
    const { connection } = this;
    connection.refusal ??= { reason };
    if (connection.isBusy) this.killing = this.kill();
    this.onCancel?.(reason);
  }

  /** What cannot be ended on the server is ended with its connection, and at once: somebody may be waiting for its answer. */
  private async kill(): Promise<void> {
    const isFit = await this.connection.killer?.endStatement(this.connection, KILL_LIMIT_MS);
    if (!isFit && this.lease.isHeld) this.lease.destroy(new Error('a query could not be ended'));
  }
}
