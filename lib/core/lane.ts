import { Deadline, type Deadlines } from './deadlines.js';

const FIRST_LENGTH = 16;
const MOST_KEPT = 4_096;

/** Whose deadlines a lane keeps. @internal */
export interface LaneOwner<I extends Laned> {
  dueAt(item: I): number;
  /** The item is due; it must leave the lane. */
  expire(item: I, now: number): void;
}

/** What may stand in a lane. @internal */
export interface Laned {
  /** Whether it still stands there; set before {@link Lane.removed} is called. */
  readonly isWaiting: boolean;
}

/**
 * Those who wait for the same thing with the same patience, in the order of their arrival: the acquires of one priority, the
 * calls of one hook. A ring, so that a million of them are one array and not a chain for the garbage collector to walk.
 * Whoever leaves from the middle is skipped later; when half of those in the ring are gone, they are swept out.
 *
 * They come due in the order in which they stand: one deadline, that of the oldest, is enough for them all, and neither a
 * newcomer nor one that leaves has to touch it. Invariant: whoever is due before somebody older has a deadline of its own.
 * So whoever has none comes due after all those before it, and the oldest one's deadline is never too late.
 *
 * @internal
 */
export class Lane<I extends Laned> extends Deadline {
  /** The latest that anybody in order is due. */
  latestDueAt = -Infinity;
  private ring: (I | undefined)[] = [];
  /** How many have ever come to the head, and to the tail, of a ring without an end. */
  private head = 0;
  private tail = 0;
  private waiting = 0;

  constructor(
    private readonly deadlines: Deadlines,
    private readonly owner: LaneOwner<I>,
  ) {
    super();
  }

  get isEmpty(): boolean {
    return this.waiting === 0;
  }

  push(waiter: I): void {
    if (this.tail - this.head === this.ring.length) this.grow();
    this.ring[this.tail & (this.ring.length - 1)] = waiter;
    this.tail += 1;
    this.waiting += 1;
  }

  get oldest(): I | undefined {
    if (this.waiting === 0) return undefined;
    return this.ring[this.head & (this.ring.length - 1)];
  }

  /** Takes out the oldest; there must be one. */
  shift(): I {
    const at = this.head & (this.ring.length - 1);
    const waiter = this.ring[at]!;
    this.ring[at] = undefined;
    this.head += 1;
    this.waiting -= 1;
    this.skipGone();
    // What a storm has left behind.
    if (this.waiting === 0 && this.ring.length > MOST_KEPT) this.sweep(FIRST_LENGTH);
    return waiter;
  }

  /** Somebody in it does not wait any more. */
  removed(): void {
    this.waiting -= 1;
    this.skipGone();
    const gone = this.tail - this.head - this.waiting;
    if (gone > FIRST_LENGTH && gone > this.waiting) this.sweep(roomFor(this.waiting));
  }

  /** The head is always one that waits, if anybody does. */
  private skipGone(): void {
    const mask = this.ring.length - 1;
    while (this.head < this.tail && !this.ring[this.head & mask]!.isWaiting) {
      this.ring[this.head & mask] = undefined;
      this.head += 1;
    }
  }

  expire(now: number): void {
    const { oldest } = this;
    if (oldest !== undefined && this.owner.dueAt(oldest) <= now) this.owner.expire(oldest, now);
    this.watch();
  }

  /** Sets the deadline to that of the oldest; one that is set already is early enough. */
  watch(): void {
    const { oldest } = this;
    if (oldest !== undefined && !this.isSet) this.deadlines.add(this, this.owner.dueAt(oldest));
  }

  private grow(): void {
    this.sweep(Math.max(FIRST_LENGTH, this.ring.length * 2));
  }

  private sweep(length: number): void {
    const all = this.list();
    this.ring = all;
    this.head = 0;
    this.tail = all.length;
    while (this.ring.length < length) this.ring.push(undefined);
  }

  /** Those who wait, the oldest first. */
  list(): I[] {
    const all: I[] = [];
    for (let at = this.head; at < this.tail; at += 1) {
      const waiter = this.ring[at & (this.ring.length - 1)]!;
      if (waiter.isWaiting) all.push(waiter);
    }
    return all;
  }
}

/** The least power of two that has as much room again as there is need. */
function roomFor(count: number): number {
  let length = FIRST_LENGTH;
  while (length < 2 * count) length *= 2;
  return length;
}
