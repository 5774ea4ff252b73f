import { LeaseReleasedError } from './pool-errors.js';
import { type ConnectionInfo, infoOf, type Slot } from './slot.js';

/** Where leases are given back. @internal */
export interface LeaseReturns<T> {
  readonly pool: string;
  takeBack(slot: Slot<T>): void;
  takeBackBroken(slot: Slot<T>, reason: unknown): void;
  letGo(slot: Slot<T>): void;
  misused(slot: Slot<T>): void;
}

/**
 * What a borrower holds: the only key to its connection. Give it back exactly once, by {@link Lease.release}, by
 * `using`, or let {@link ConnectionPool.use} do it. A second time is a harmless no-op that the pool reports as `misuse`.
 *
 * @publicApi
 */
export class Lease<T> implements Disposable, AsyncDisposable {
  private status: 'held' | 'returned' | 'taken' = 'held';
  private controller: AbortController | undefined = undefined;

  /** @internal */
  constructor(
    private readonly desk: LeaseReturns<T>,
    private readonly slot: Slot<T>,
  ) {}

  /**
   * The leased connection.
   *
   * @throws {@link LeaseReleasedError} once the lease has ended
   */
  get connection(): T {
    if (this.status !== 'held') throw new LeaseReleasedError(this.desk.pool, this.slot.id);
    return this.slot.connection as T;
  }

  /**
   * Aborted when the connection dies or is taken away while it is leased, before it is destroyed. The reason is a
   * {@link ConnectionLostError} with the cause.
   */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return this.controller.signal;
  }

  get info(): ConnectionInfo {
    return infoOf(this.slot);
  }

  /** Gives the connection back, for the next borrower. */
  release(): void {
    if (this.end()) this.desk.takeBack(this.slot);
  }

  /** Gives the connection back to be closed, because it is not fit for another borrower. */
  destroy(reason?: unknown): void {
    if (this.end()) this.desk.takeBackBroken(this.slot, reason);
  }

  /**
   * Takes the connection out of the pool for good; the caller closes it.
   *
   * @throws {@link LeaseReleasedError} once the lease has ended
   */
  detach(): T {
    const { connection } = this;
    this.status = 'returned';
    this.desk.letGo(this.slot);
    return connection;
  }

  /** Releases, unless that has been done. */
  [Symbol.dispose](): void {
    if (this.status === 'held') this.release();
  }

  /** Releases, unless that has been done. */
  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }

  /** Tells the borrower that its connection is lost. @internal */
  lost(reason: unknown): void {
    this.controller ??= new AbortController();
    this.controller.abort(reason);
  }

  /** The pool takes the connection back by force; the borrower's own release is then expected and harmless. @internal */
  revoke(): void {
    this.status = 'taken';
  }

  /** Whether the borrower still has the connection. @internal */
  get isHeld(): boolean {
    return this.status === 'held';
  }

  private end(): boolean {
    if (this.status === 'returned') this.desk.misused(this.slot);
    if (this.status !== 'held') return false;
    this.status = 'returned';
    return true;
  }
}
