import { framesOf, LeakWatch } from './leak-watch.js';
import { Lease, type LeaseReturns } from './lease.js';
import type { ResolvedPoolOptions } from './pool-options.js';
import type { Slot, StackHolder } from './slot.js';
import type { PoolParts } from './pool-parts.js';
import type { SlotSet } from './slot-set.js';

/** Who decides what becomes of a connection that comes back. @internal */
export interface LeaseDeskOwner<T> {
  admit(slot: Slot<T>, now: number): void;
  /** Whether a connection that comes back will not be lent again. */
  isUnwanted(slot: Slot<T>, now: number): boolean;
  /** Whether somebody waits for a connection. */
  isAwaited(): boolean;
  /** Something ended: look at what is wanted next. */
  advance(now: number): void;
}

/**
 * Where leases are handed out and given back.
 *
 * @internal
 */
export class LeaseDesk<T> implements LeaseReturns<T> {
  readonly pool: string;
  private readonly hasReset: boolean;
  /** There only where somebody wants to know of leaks. */
  private readonly leaks: LeakWatch<T> | undefined;

  constructor(
    options: ResolvedPoolOptions<T>,
    private readonly parts: PoolParts,
    private readonly slots: SlotSet<T>,
    private readonly owner: LeaseDeskOwner<T>,
  ) {
    this.pool = options.name;
    this.hasReset = options.factory.reset !== undefined;
    if (options.leakWarnAfterMs < Infinity || options.reclaimLeaked) {
      this.leaks = new LeakWatch(options, parts, slots, (slot) => this.reclaim(slot));
    }
  }

  /** The stack of the acquire under way, if it was chosen to be kept. */
  sampleStack(below: (...args: never[]) => unknown): StackHolder | undefined {
    return this.leaks?.sampleStack(below);
  }

  lend(slot: Slot<T>, now: number, waitedMs: number, acquiredAt: StackHolder | undefined): Lease<T> {
    const { counters, events } = this.parts;
    this.slots.lend(slot);
    slot.usageCount += 1;
    slot.lastUsedAt = now;
    const lease = new Lease(this, slot);
    counters.waitTime.record(waitedMs);
    this.leaks?.lent(slot, lease, acquiredAt);
    if (events.hearsAcquire) events.tell('acquire', { id: slot.id, waitedMs });
    return lease;
  }

  takeBack(slot: Slot<T>): void {
    const { turn } = this.parts;
    const now = this.owner.isAwaited() ? turn.now() : turn.fresh();
    this.endLease(slot, now);
    if (this.hasReset && !this.owner.isUnwanted(slot, now)) {
      this.slots.reset(slot);
    } else {
      slot.idleSince = now;
      this.owner.admit(slot, now);
    }
    // The hot path of a return: nothing else in the pool changes by it, so there is nothing else to look at.
    if (!this.parts.effects.isEmpty) this.owner.advance(now);
  }

  takeBackBroken(slot: Slot<T>, reason: unknown): void {
    const now = this.parts.turn.fresh();
    this.endLease(slot, now);
    this.slots.destroy(slot, slot.doom ?? 'error', reason);
    this.owner.advance(now);
  }

  /** The borrower keeps the connection. */
  letGo(slot: Slot<T>): void {
    const now = this.parts.turn.fresh();
    this.forgetLease(slot, now);
    this.parts.counters.detached += 1;
    this.parts.events.tell('detach', { id: slot.id });
    this.slots.forget(slot);
    this.owner.advance(now);
  }

  /** Given back a second time. */
  misused(slot: Slot<T>): void {
    this.parts.events.tell('misuse', { id: slot.id });
    this.parts.effects.run();
  }

  private endLease(slot: Slot<T>, now: number): void {
    const { counters, events } = this.parts;
    counters.released += 1;
    this.forgetLease(slot, now);
    if (events.hearsRelease) events.tell('release', { id: slot.id, usedMs: now - slot.lastUsedAt });
  }

  private forgetLease(slot: Slot<T>, now: number): void {
    if (slot.borrower !== undefined) slot.borrower = undefined;
    this.parts.counters.useTime.record(now - slot.lastUsedAt);
    this.leaks?.returned(slot, now);
  }

  /** Nobody can give this lease back any more. */
  private reclaim(slot: Slot<T>): void {
    const now = this.parts.turn.fresh();
    const { counters, events } = this.parts;
    counters.leaksReclaimed += 1;
    events.tell('reclaim', { id: slot.id, heldMs: now - slot.lastUsedAt, stack: framesOf(slot.acquiredAt) });
    this.slots.destroy(slot, 'leaked');
    this.owner.advance(now);
  }
}
