import { type Clock, type ClockTimer, MAX_DELAY_MS } from './clock.js';
import type { Outside } from './outside.js';

/** A timer that fires this much late tells of a stall. Timers of a loop that is merely busy are a few milliseconds late. */
const STALL_MS = 20;

/** How many deadlines may expire in one turn of the event loop: some milliseconds' work, what it sets off included. */
const MOST_PER_TURN = 1_000;

const NOWHERE = -1;

/**
 * A deadline's place in the heap. Things of many shapes have deadlines; the heap moves these, which have all the same, and
 * that makes it several times faster.
 */
class Entry {
  dueAt = Infinity;
  /** Its index in the heap, or `NOWHERE`. */
  place = NOWHERE;

  constructor(readonly deadline: Deadline) {}
}

/**
 * Something that is due at a time: a waiter's patience, a hook's time limit, the next look at a slot.
 *
 * It remembers its place in the heap, so that taking it out needs no search.
 *
 * @internal
 */
export abstract class Deadline {
  readonly entry = new Entry(this);

  /** When it is due, or was last, on the pool's clock. */
  get dueAt(): number {
    return this.entry.dueAt;
  }

  get isSet(): boolean {
    return this.entry.place !== NOWHERE;
  }

  /** Called once when it is due; by then it is in no list any more. */
  abstract expire(now: number): void;
}

/**
 * One timer for all deadlines of a pool.
 *
 * After a stall it serves first and expires after: a timer that fires late is put off by one turn of the event loop, in
 * which the answers that lie in the kernel arrive and connections come back. What expires together expires in pieces, a
 * turn each, so that a storm of timeouts never holds the loop for long.
 *
 * @internal
 */
export class Deadlines {
  private readonly heap: Entry[] = [];
  private timer: ClockTimer | undefined;
  /** The deadline that the timer is set for, and when it should fire: not the same for one that is due already. */
  private wakesAt = Infinity;
  private firesAt = Infinity;
  private isPutOff = false;
  private keepsAlive = false;
  private isClosed = false;

  constructor(
    private readonly clock: Clock,
    private readonly outside: Outside,
    /** Everything that was due has expired: look at what is wanted next. */
    private readonly onWake: (now: number) => void,
  ) {}

  /** Adds a deadline; one that stands already keeps its old time until it is removed. */
  add(deadline: Deadline, dueAt: number): void {
    const { entry } = deadline;
    if (dueAt === Infinity || this.isClosed || entry.place !== NOWHERE) return;
    entry.dueAt = dueAt;
    this.heap.push(entry);
    this.siftUp(this.heap.length - 1, entry);
    if (dueAt < this.wakesAt) this.arm(dueAt);
  }

  /** Takes a deadline out, wherever it stands. The timer stays: waking once for nothing is cheaper than setting it anew. */
  remove({ entry }: Deadline): void {
    const { place } = entry;
    if (place === NOWHERE) return;
    entry.place = NOWHERE;
    const last = this.heap.pop()!;
    if (place === this.heap.length) return;
    // The last one takes the hole's place and moves whichever way the order asks for.
    const above = this.heap[(place - 1) >> 1];
    if (place > 0 && above !== undefined && last.dueAt < above.dueAt) this.siftUp(place, last);
    else this.siftDown(place, last);
  }

  /** Whether the process must stay alive for what is waited for. */
  keepAlive(wanted: boolean): void {
    if (wanted === this.keepsAlive) return;
    this.keepsAlive = wanted;
    if (!wanted) this.timer?.unref?.();
    else if (this.timer === undefined) this.rearm();
    else this.timer.ref?.();
  }

  /** Keeps no timer while nothing is due: for those whose deadlines are few and far between, and may be forgotten with theirs. */
  rest(): void {
    if (this.timer === undefined || this.heap.length > 0 || this.keepsAlive) return;
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.wakesAt = Infinity;
  }

  /** No timer from here on; deadlines added later are not kept. */
  close(): void {
    this.isClosed = true;
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.wakesAt = Infinity;
  }

  /** Sets the timer for what comes next. */
  private rearm(): void {
    const first = this.heap[0];
    // Somebody waits without a deadline: a timer that never comes due still keeps the process alive for them.
    const next = first?.dueAt ?? (this.keepsAlive ? this.clock.now() + MAX_DELAY_MS : Infinity);
    if (next < this.wakesAt && !this.isClosed) this.arm(next);
  }

  private arm(dueAt: number): void {
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.wakesAt = dueAt;
    // Rounded up: platform timers cut fractions off, and a timer that fires early wakes the process twice.
    const now = this.clock.now();
    const delayMs = Math.min(Math.max(Math.ceil(dueAt - now), 0), MAX_DELAY_MS);
    this.firesAt = now + delayMs;
    this.outside.run(() => {
      this.timer = this.clock.setTimeout(this.wake, delayMs);
    });
    if (!this.keepsAlive) this.timer?.unref?.();
  }

  private readonly wake = (): void => {
    const now = this.clock.now();
    const lateMs = now - this.firesAt;
    this.timer = undefined;
    this.wakesAt = Infinity;
    this.isPutOff = lateMs > STALL_MS && !this.isPutOff;
    if (this.isPutOff) return this.arm(now);
    for (let left = MOST_PER_TURN; left > 0; left -= 1) {
      const first = this.heap[0];
      if (first === undefined || first.dueAt > now) break;
      this.remove(first.deadline);
      first.deadline.expire(now);
    }
    this.onWake(now);
    this.rearm();
  };

  private siftUp(from: number, entry: Entry): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.heap[parent]!;
      if (above.dueAt <= entry.dueAt) break;
      this.put(index, above);
      index = parent;
    }
    this.put(index, entry);
  }

  private siftDown(from: number, entry: Entry): void {
    const { heap } = this;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.dueAt < heap[child]!.dueAt) child += 1;
      if (heap[child]!.dueAt >= entry.dueAt) break;
      this.put(index, heap[child]!);
      index = child;
    }
    this.put(index, entry);
  }

  private put(index: number, entry: Entry): void {
    this.heap[index] = entry;
    entry.place = index;
  }
}
