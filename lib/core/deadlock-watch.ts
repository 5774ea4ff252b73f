import { AsyncLocalStorage } from 'node:async_hooks';
import type { WaiterExtras } from './wait-queue.js';

/** A waiter as far as deadlocks go. */
interface NestedWaiter {
  readonly isWaiting: boolean;
  readonly extras: WaiterExtras | undefined;
}

/** Work that holds a lease, and the work that it was started from. @internal */
export class Holder {
  constructor(
    readonly watch: DeadlockWatch,
    readonly lease: { readonly isHeld: boolean },
    readonly outer: Holder | undefined,
  ) {}
}

/** One for all pools: work under one pool may go on to another, and come back. */
const holders = new AsyncLocalStorage<Holder>();

/**
 * Finds work that waits for itself: every connection of the pool is held by work that waits for another one of it.
 *
 * Only leases of `use()` count as held by such work, for only there it is known which context holds them. A lease by
 * `acquire()` belongs to whoever awaited it; to mark that context (`enterWith`) would mark its siblings too, and call a
 * deadlock what is none.
 *
 * @internal
 */
export class DeadlockWatch {
  private readonly held = new Set<Holder>();
  /** Those who wait inside of such work, the newest last. */
  private readonly nested = new Set<NestedWaiter>();

  /** Runs work that holds a lease. */
  async run<R>(lease: { readonly isHeld: boolean }, work: () => R | Promise<R>): Promise<R> {
    const holder = new Holder(this, lease, holders.getStore());
    this.held.add(holder);
    try {
      return await holders.run(holder, work);
    } finally {
      this.held.delete(holder);
    }
  }

  /** The work of this pool from which the caller was started, innermost first: it waits for what the caller waits for. */
  around(): readonly Holder[] | undefined {
    let around: Holder[] | undefined;
    for (let holder = holders.getStore(); holder !== undefined; holder = holder.outer) {
      if (holder.watch === this && holder.lease.isHeld) (around ??= []).push(holder);
    }
    return around;
  }

  /** Notes somebody who waits inside of work that holds a lease. */
  waits(waiter: NestedWaiter): void {
    this.nested.add(waiter);
  }

  /** Forgets those who wait no longer: they have their lease, or an error, and must not be kept alive by this. */
  prune(): void {
    for (const waiter of this.nested) if (!waiter.isWaiting) this.nested.delete(waiter);
  }

  /** The waiter that closed the circle, if every one of the `active` leases is held by work that waits. */
  victim(active: number): NestedWaiter | undefined {
    const blocked = new Set<Holder>();
    let victim: NestedWaiter | undefined;
    for (const waiter of this.nested) {
      const holding = (waiter.extras?.heldBy ?? []).filter((holder) => this.held.has(holder) && holder.lease.isHeld);
      if (holding.length > 0) victim = waiter;
      for (const holder of holding) blocked.add(holder);
    }
    return blocked.size === active ? victim : undefined;
  }

  /** Whether anybody waits inside of work that holds a lease. */
  get isAtRisk(): boolean {
    return this.nested.size > 0;
  }
}
