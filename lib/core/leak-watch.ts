import { Deadline } from './deadlines.js';
import type { Lease } from './lease.js';
import type { ResolvedPoolOptions } from './pool-options.js';
import { type Slot, SlotState, type StackHolder } from './slot.js';
import type { PoolParts } from './pool-parts.js';
import type { SlotSet } from './slot-set.js';

/**
 * From which age on a lease is watched for being forgotten. Nearly all leases are shorter, and cost nothing by it: a
 * FinalizationRegistry takes 270 ns for each, more than all the rest of a lease.
 */
const WATCH_AFTER_MS = 1_000;

interface Watched<T> {
  readonly slot: Slot<T>;
  readonly lease: WeakRef<Lease<T>>;
}

/**
 * Leases that are held for too long, and those that nobody can give back any more because they were garbage-collected.
 *
 * It looks at all leases once in a while, in place of setting a timer for each. Invariant: while anything is lent, it looks
 * again at the latest when the youngest lease comes of age, since a lease that is begun later comes of age later.
 *
 * @internal
 */
export class LeakWatch<T> extends Deadline {
  private isResting = true;
  private readonly firstLookMs: number;
  private readonly registry: FinalizationRegistry<Watched<T>> | undefined;

  constructor(
    private readonly options: ResolvedPoolOptions<T>,
    private readonly parts: PoolParts,
    private readonly slots: SlotSet<T>,
    private readonly reclaim: (slot: Slot<T>) => void,
  ) {
    super();
    const { leakWarnAfterMs, reclaimLeaked } = options;
    this.firstLookMs = reclaimLeaked ? Math.min(leakWarnAfterMs, WATCH_AFTER_MS) : leakWarnAfterMs;
    if (reclaimLeaked) this.registry = new FinalizationRegistry((watched) => this.collected(watched));
  }

  sampleStack(below: (...args: never[]) => unknown): StackHolder | undefined {
    const { leakStackSampleRate } = this.options;
    if (leakStackSampleRate === 0 || Math.random() >= leakStackSampleRate) return undefined;
    const holder = {};
    Error.captureStackTrace(holder, below);
    return holder;
  }

  lent(slot: Slot<T>, lease: Lease<T>, acquiredAt: StackHolder | undefined): void {
    slot.lease = lease;
    slot.acquiredAt = acquiredAt;
    if (!this.isResting) return;
    this.isResting = false;
    this.parts.deadlines.add(this, slot.lastUsedAt + this.firstLookMs);
  }

  returned(slot: Slot<T>, now: number): void {
    if (slot.lease instanceof WeakRef) this.registry?.unregister(slot.lease);
    slot.lease = undefined;
    if (slot.isLeakTold) {
      slot.isLeakTold = false;
      this.tell(slot, now, true);
    }
    slot.acquiredAt = undefined;
  }

  expire(now: number): void {
    let nextAt = Infinity;
    for (const slot of this.slots.all())
      if (slot.state === SlotState.active) nextAt = Math.min(nextAt, this.look(slot, now));
    this.isResting = nextAt === Infinity;
    this.parts.deadlines.add(this, nextAt);
  }

  /** @returns when to look at it again */
  private look(slot: Slot<T>, now: number): number {
    const { leakWarnAfterMs } = this.options;
    const warnAt = slot.lastUsedAt + leakWarnAfterMs;
    const watchAt = slot.lastUsedAt + WATCH_AFTER_MS;
    if (!slot.isLeakTold && now >= warnAt) {
      slot.isLeakTold = true;
      this.parts.counters.leakWarnings += 1;
      this.tell(slot, now, false);
    }
    const isToBeWatched = this.registry !== undefined && !(slot.lease instanceof WeakRef);
    if (isToBeWatched && now >= watchAt) this.watch(slot);
    return Math.min(slot.isLeakTold ? Infinity : warnAt, isToBeWatched && now < watchAt ? watchAt : Infinity);
  }

  private watch(slot: Slot<T>): void {
    const { lease } = slot;
    if (lease === undefined || lease instanceof WeakRef) return;
    const ref = new WeakRef(lease);
    slot.lease = ref;
    this.registry?.register(lease, { slot, lease: ref }, ref);
  }

  private collected({ slot, lease }: Watched<T>): void {
    // It may have been taken away by force in the meantime, and the slot be gone.
    if (slot.lease !== lease || slot.state !== SlotState.active) return;
    slot.lease = undefined;
    this.reclaim(slot);
    slot.acquiredAt = undefined;
    slot.isLeakTold = false;
  }

  private tell(slot: Slot<T>, now: number, isReturned: boolean): void {
    const { events } = this.parts;
    if (!events.has('leak')) return;
    const heldMs = now - slot.lastUsedAt;
    events.tell('leak', { id: slot.id, heldMs, stack: framesOf(slot.acquiredAt), isReturned });
  }
}

/** A stack without its first line, which would say "Error". @internal */
export function framesOf(holder: StackHolder | undefined): string | undefined {
  try {
    return holder?.stack?.replace(/^.*\n/, '');
  } catch {
    // An application's own `Error.prepareStackTrace` may throw, or make something else of it.
    return undefined;
  }
}
