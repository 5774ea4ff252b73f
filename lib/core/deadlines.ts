import type { Clock, ClockTimer } from './clock.js';

/** The longest delay that a platform timer takes; beyond it the timer wakes, finds nothing due and is set again. */
const MAX_DELAY_MS = 2 ** 31 - 1;

const NOWHERE = -1;
const IN_RUN = -2;

/**
 * Something that is due at a time: a waiter's patience, a hook's time limit, the next look at a slot.
 *
 * It is its own list node and remembers its place in the heap, so that taking it out needs no search.
 *
 * @internal
 */
export abstract class Deadline {
  /** When it is due, on the pool's clock. */
  dueAt = Infinity;
  /** Where it stands: an index in the heap, `IN_RUN` or `NOWHERE`. */
  place = NOWHERE;
  earlier: Deadline | undefined = undefined;
  later: Deadline | undefined = undefined;

  /** Called once when it is due; by then it is in no list any more. */
  abstract expire(now: number): void;
}

/**
 * One timer for all deadlines of a pool.
 *
 * Nearly all waiters have the pool's own timeout, so their deadlines arrive in order: those form a list, the run, with
 * constant cost to add, take out and look at the first. What arrives out of order stands in a heap.
 *
 * @internal
 */
export class Deadlines {
  private readonly heap: Deadline[] = [];
  private firstInRun: Deadline | undefined;
  private lastInRun: Deadline | undefined;
  private timer: ClockTimer | undefined;
  private wakesAt = Infinity;
  private keepsAlive = false;
  private isClosed = false;

  /**
   * @param outside sets the timer outside of the caller's async context: it outlives the request that first needed it.
   */
  constructor(
    private readonly clock: Clock,
    private readonly outside: (work: () => void) => void,
    private readonly onWake: () => void,
  ) {}

  /** Adds a deadline that comes in no particular order. */
  add(deadline: Deadline, dueAt: number): void {
    if (dueAt === Infinity || this.isClosed) return;
    deadline.dueAt = dueAt;
    this.heap.push(deadline);
    this.siftUp(this.heap.length - 1, deadline);
    if (dueAt < this.wakesAt) this.arm(dueAt);
  }

  /** Adds a deadline that most likely is later than those appended before it. */
  append(deadline: Deadline, dueAt: number): void {
    const last = this.lastInRun;
    if (dueAt === Infinity || this.isClosed || (last !== undefined && dueAt < last.dueAt)) {
      return this.add(deadline, dueAt);
    }
    deadline.dueAt = dueAt;
    deadline.place = IN_RUN;
    deadline.earlier = last;
    if (last === undefined) this.firstInRun = deadline;
    else last.later = deadline;
    this.lastInRun = deadline;
    if (dueAt < this.wakesAt) this.arm(dueAt);
  }

  /** Takes a deadline out, wherever it stands. The timer stays: waking once for nothing is cheaper than setting it anew. */
  remove(deadline: Deadline): void {
    const { place } = deadline;
    if (place === NOWHERE) return;
    deadline.place = NOWHERE;
    if (place === IN_RUN) this.unlink(deadline);
    else this.removeFromHeap(place);
  }

  /** Takes out the earliest deadline that is due. */
  takeDue(now: number): Deadline | undefined {
    const first = this.first();
    if (first === undefined || first.dueAt > now) return undefined;
    this.remove(first);
    return first;
  }

  /** Sets the timer for what comes next. Called after everything that was due has been taken. */
  rearm(): void {
    const first = this.first();
    // Somebody waits without a deadline: a timer that never comes due still keeps the process alive for them.
    const next = first?.dueAt ?? (this.keepsAlive ? this.clock.now() + MAX_DELAY_MS : Infinity);
    if (next < this.wakesAt && !this.isClosed) this.arm(next);
  }

  /** Whether the process must stay alive for what is waited for. */
  keepAlive(wanted: boolean): void {
    if (wanted === this.keepsAlive) return;
    this.keepsAlive = wanted;
    if (!wanted) this.timer?.unref?.();
    else if (this.timer === undefined) this.rearm();
    else this.timer.ref?.();
  }

  /** No timer from here on; deadlines added later are not kept. */
  close(): void {
    this.isClosed = true;
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.wakesAt = Infinity;
  }

  private first(): Deadline | undefined {
    const inRun = this.firstInRun;
    const inHeap = this.heap[0];
    if (inRun === undefined || inHeap === undefined) return inRun ?? inHeap;
    return inHeap.dueAt < inRun.dueAt ? inHeap : inRun;
  }

  private arm(dueAt: number): void {
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.wakesAt = dueAt;
    // Rounded up: platform timers cut fractions off, and a timer that fires early wakes the process twice.
    const delayMs = Math.min(Math.max(Math.ceil(dueAt - this.clock.now()), 0), MAX_DELAY_MS);
    this.outside(() => {
      this.timer = this.clock.setTimeout(this.wake, delayMs);
    });
    if (!this.keepsAlive) this.timer?.unref?.();
  }

  private readonly wake = (): void => {
    this.timer = undefined;
    this.wakesAt = Infinity;
    this.onWake();
  };

  private unlink(deadline: Deadline): void {
    const { earlier, later } = deadline;
    if (earlier === undefined) this.firstInRun = later;
    else earlier.later = later;
    if (later === undefined) this.lastInRun = earlier;
    else later.earlier = earlier;
    deadline.earlier = undefined;
    deadline.later = undefined;
  }

  private removeFromHeap(index: number): void {
    const last = this.heap.pop()!;
    if (index === this.heap.length) return;
    // The last one takes the hole's place and moves whichever way the order asks for.
    const above = this.heap[(index - 1) >> 1];
    if (index > 0 && above !== undefined && last.dueAt < above.dueAt) this.siftUp(index, last);
    else this.siftDown(index, last);
  }

  private siftUp(from: number, deadline: Deadline): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.heap[parent]!;
      if (above.dueAt <= deadline.dueAt) break;
      this.put(index, above);
      index = parent;
    }
    this.put(index, deadline);
  }

  private siftDown(from: number, deadline: Deadline): void {
    const { heap } = this;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueAt < heap[child]!.dueAt) child += 1;
      if (heap[child]!.dueAt >= deadline.dueAt) break;
      this.put(index, heap[child]!);
      index = child;
    }
    this.put(index, deadline);
  }

  private put(index: number, deadline: Deadline): void {
    this.heap[index] = deadline;
    deadline.place = index;
  }
}
