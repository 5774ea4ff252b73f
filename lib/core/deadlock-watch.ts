import { AsyncLocalStorage } from 'node:async_hooks';
import type { Waiter } from './wait-queue.js';

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
  around(): readonly Holder[] {
    const around: Holder[] = [];
    for (let holder = holders.getStore(); holder !== undefined; holder = holder.outer) {
      if (holder.watch === this) around.push(holder);
    }
    return around;
  }

  /** The waiter that closed the circle, if every one of the `active` leases is held by work that waits. */
  victim<R>(active: number, newestFirst: Iterable<Waiter<R>>): Waiter<R> | undefined {
    const blocked = new Set<Holder>();
    let victim: Waiter<R> | undefined;
    for (const waiter of newestFirst) {
      const holding = (waiter.extras?.heldBy ?? []).filter((holder) => this.held.has(holder) && holder.lease.isHeld);
      if (holding.length > 0) victim ??= waiter;
      for (const holder of holding) blocked.add(holder);
    }
    return blocked.size === active ? victim : undefined;
  }
}
