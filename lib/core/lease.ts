import { LeaseReleasedError } from './pool-errors.js';
import { type ConnectionInfo, infoOf, type Slot, SlotState } from './slot.js';

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
  private isReturned = false;
  private controller: AbortController | undefined = undefined;
  /** Which use of the connection it stands for: the slot goes on to others, and need not know who holds it. */
  private readonly use: number;

  /** @internal */
  constructor(
    private readonly desk: LeaseReturns<T>,
    private readonly slot: Slot<T>,
  ) {
    this.use = slot.usageCount;
  }

  /**
   * The leased connection.
   *
   * @throws {@link LeaseReleasedError} once the lease has ended
   */
  get connection(): T {
    if (!this.isHeld) throw new LeaseReleasedError(this.desk.pool, this.slot.id);
    return this.slot.connection as T;
  }

  /**
   * Aborted when the connection dies or is taken away while it is leased, before it is destroyed. The reason is a
   * {@link ConnectionLostError} with the cause.
   */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = (this.controller = new AbortController());
      const { lost, usageCount } = this.slot;
      if (lost !== undefined && usageCount === this.use) controller.abort(lost);
      else if (this.isHeld) this.slot.borrower = controller;
    }
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
    this.isReturned = true;
    this.desk.letGo(this.slot);
    return connection;
  }

  /** Releases, unless that has been done. */
  [Symbol.dispose](): void {
    if (this.isHeld) this.release();
  }

  /** Releases, unless that has been done. */
  [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    return Promise.resolve();
  }

  /** Whether the borrower still has the connection: it neither gave it back nor was it taken away. @internal */
  get isHeld(): boolean {
    const { slot } = this;
    return !this.isReturned && slot.state === SlotState.active && slot.usageCount === this.use;
  }

  static {
    // Every promise that ends with a lease looks for a `then` on it. Saying here that there is none spares it the way up
    // the prototypes: a tenth of what a hand-over costs.
    // oxlint-disable-next-line unicorn/no-thenable -- it is none
    Object.defineProperty(this.prototype, 'then', { value: undefined });
  }

  private end(): boolean {
    if (this.isReturned) this.desk.misused(this.slot);
    // Taken away by force: the borrower's own release is then expected and harmless.
    if (!this.isHeld) return false;
    this.isReturned = true;
    return true;
  }
}
