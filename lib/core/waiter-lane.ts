import { Deadline } from './deadlines.js';
import type { Waiter, WaitQueue } from './wait-queue.js';

const FIRST_LENGTH = 16;

/**
 * The waiters of one priority, in the order of their arrival: a ring, so that a million of them are one array and not a
 * chain for the garbage collector to walk. Whoever leaves from the middle is skipped later; when half of those in the ring
 * are gone, they are swept out.
 *
 * Nearly all waiters have the queue's own timeout, so that they come due in the order in which they stand: one deadline,
 * that of the oldest, is enough for them all, and neither a newcomer nor one that is served has to touch it. Invariant:
 * whoever is due before somebody older has an alarm. So whoever has none comes due after all those before it, and the
 * oldest one's deadline is never too late.
 *
 * @internal
 */
export class Lane<R> extends Deadline {
  /** The latest that anybody in order is due. */
  latestDueAt = -Infinity;
  private ring: (Waiter<R> | undefined)[] = [];
  /** How many have ever come to the head, and to the tail, of a ring without an end. */
  private head = 0;
  private tail = 0;
  private waiting = 0;

  constructor(private readonly queue: WaitQueue<R>) {
    super();
  }

  get isEmpty(): boolean {
    return this.waiting === 0;
  }

  push(waiter: Waiter<R>): void {
    if (this.tail - this.head === this.ring.length) this.grow();
    this.ring[this.tail & (this.ring.length - 1)] = waiter;
    this.tail += 1;
    this.waiting += 1;
  }

  get oldest(): Waiter<R> | undefined {
    if (this.waiting === 0) return undefined;
    return this.ring[this.head & (this.ring.length - 1)];
  }

  /** Takes out the oldest; there must be one. */
  shift(): Waiter<R> {
    const at = this.head & (this.ring.length - 1);
    const waiter = this.ring[at]!;
    this.ring[at] = undefined;
    this.head += 1;
    this.waiting -= 1;
    this.skipGone();
    return waiter;
  }

  /** Somebody in it does not wait any more. */
  removed(): void {
    this.waiting -= 1;
    this.skipGone();
    const gone = this.tail - this.head - this.waiting;
    if (gone > FIRST_LENGTH && gone > this.waiting) this.sweep(this.ring.length);
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
    if (oldest !== undefined && this.queue.dueAt(oldest) <= now) this.queue.expire(oldest, now);
    this.queue.watch(this);
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
  list(): Waiter<R>[] {
    const all: Waiter<R>[] = [];
    for (let at = this.head; at < this.tail; at += 1) {
      const waiter = this.ring[at & (this.ring.length - 1)]!;
      if (waiter.isWaiting) all.push(waiter);
    }
    return all;
  }
}
