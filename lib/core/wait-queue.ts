import { listenToAbort } from './abort-listening.js';
import type { Clock } from './clock.js';
import { Deadline, type Deadlines } from './deadlines.js';
import type { Holder } from './deadlock-watch.js';
import { withoutStack } from './pool-errors.js';
import type { StackHolder } from './slot.js';

/**
 * Who says what a waiter is told that leaves on its own. It is asked while the waiter still counts: the numbers in the
 * error are those that it waited among.
 *
 * @internal
 */
export interface WaiterOwner {
  timeoutError(waitedMs: number): Error;
  abortError(waitedMs: number, reason: unknown): Error;
  /** One left because of its signal. */
  left(): void;
}

/** What few waiters have. @internal */
export interface WaiterExtras {
  /** 0 to 9, higher first. Default: 0. */
  readonly priority?: number;
  readonly signal?: AbortSignal | undefined;
  /** Default: the queue's. */
  readonly timeoutMs?: number | undefined;
  readonly acquiredAt?: StackHolder | undefined;
  /** The work that waits by it and holds a lease itself, where deadlocks are looked for. */
  readonly heldBy?: readonly Holder[] | undefined;
}

/**
 * Somebody who waits: the promise's two ends, a patience, and a place in the queue. There may be a million of them, so it
 * has as few fields as can be; what only few have is in `extras`.
 *
 * @internal
 */
export class Waiter<R> {
  ahead: Waiter<R> | undefined = undefined;
  behind: Waiter<R> | undefined = undefined;
  /** Its own deadline and its ear on a signal, where it has one. */
  alarm: WaiterAlarm<R> | undefined = undefined;

  constructor(
    readonly resolve: (result: R) => void,
    readonly reject: (error: unknown) => void,
    readonly since: number,
    readonly extras: WaiterExtras | undefined,
  ) {}
}

/** The deadline and the abort listener of a waiter that needs its own. @internal */
export class WaiterAlarm<R> extends Deadline {
  constructor(
    private readonly queue: WaitQueue<R>,
    private readonly waiter: Waiter<R>,
  ) {
    super();
  }

  expire(now: number): void {
    this.queue.expire(this.waiter, now);
  }

  /** The abort listener is the alarm itself, so that it can be taken off a signal that lives longer. */
  handleEvent(): void {
    this.queue.abort(this.waiter);
  }
}

/**
 * The waiters of one priority, in the order of their arrival.
 *
 * Nearly all have the queue's own timeout, so that they come due in the order in which they stand: one deadline, that of
 * the oldest, is enough for them all, and neither a newcomer nor one that is served has to touch it. Invariant: whoever is
 * due before somebody older has an alarm. So whoever has none comes due after all those before it, and the oldest one's
 * deadline is never too late.
 */
class Lane<R> extends Deadline {
  oldest: Waiter<R> | undefined = undefined;
  newest: Waiter<R> | undefined = undefined;
  /** The latest that anybody in order is due. */
  latestDueAt = -Infinity;

  constructor(private readonly queue: WaitQueue<R>) {
    super();
  }

  expire(now: number): void {
    const { oldest } = this;
    if (oldest === undefined) return;
    if (this.queue.dueAt(oldest) <= now) this.queue.expire(oldest, now);
    this.queue.watch(this);
  }
}

/**
 * Who waits, the highest priority first and the oldest first within it. Whoever leaves is out of the queue, its deadline
 * and its signal at once, at constant cost: no dead entries that count against the bound or are served by mistake.
 *
 * @internal
 */
export class WaitQueue<R> {
  size = 0;
  private readonly lanes: Lane<R>[];
  /** The highest lane that may have somebody. */
  private top = 0;

  constructor(
    private readonly deadlines: Deadlines,
    private readonly timeoutMs: number,
    private readonly clock: Clock,
    private readonly owner: WaiterOwner,
  ) {
    this.lanes = [new Lane(this)];
  }

  push(waiter: Waiter<R>): void {
    const { extras } = waiter;
    const lane = extras === undefined ? this.lanes[0]! : this.laneOf(extras.priority ?? 0);
    const ahead = lane.newest;
    waiter.ahead = ahead;
    lane.newest = waiter;
    this.size += 1;
    if (ahead === undefined) {
      lane.oldest = waiter;
      lane.latestDueAt = -Infinity;
    } else {
      ahead.behind = waiter;
    }
    const dueAt = this.dueAt(waiter);
    const isInOrder = dueAt >= lane.latestDueAt;
    if (isInOrder) lane.latestDueAt = dueAt;
    if (extras?.signal !== undefined || !isInOrder) this.setAlarm(waiter, isInOrder ? Infinity : dueAt);
    if (ahead !== undefined) return;
    // Left from somebody who has gone: too late for one who has less patience.
    if (lane.isSet && dueAt < lane.dueAt) this.deadlines.remove(lane);
    this.watch(lane);
  }

  /** Who is next. It stays. */
  peek(): Waiter<R> | undefined {
    while (this.top > 0 && this.lanes[this.top]!.oldest === undefined) this.top -= 1;
    return this.lanes[this.top]!.oldest;
  }

  shift(): Waiter<R> | undefined {
    const waiter = this.peek();
    if (waiter !== undefined) this.remove(waiter);
    return waiter;
  }

  /** Takes out all but the so many that are served first, in the order of service. */
  takeBeyond(first: number): Waiter<R>[] {
    const beyond: Waiter<R>[] = [];
    for (const lane of this.lanes) {
      for (let last = lane.newest; last !== undefined && this.size > first; last = lane.newest) {
        this.remove(last);
        beyond.push(last);
      }
    }
    return beyond.reverse();
  }

  /** From the one that would be served last. */
  *lastFirst(): Generator<Waiter<R>> {
    for (const lane of this.lanes) {
      for (let waiter = lane.newest; waiter !== undefined; waiter = waiter.ahead) yield waiter;
    }
  }

  /** Empties the queue, in the order of service. */
  takeEach(tell: (waiter: Waiter<R>) => void): void {
    for (let waiter = this.shift(); waiter !== undefined; waiter = this.shift()) tell(waiter);
  }

  remove(waiter: Waiter<R>): void {
    const { ahead, behind, extras, alarm } = waiter;
    const lane = extras === undefined ? this.lanes[0]! : this.laneOf(extras.priority ?? 0);
    if (ahead === undefined) lane.oldest = behind;
    else ahead.behind = behind;
    if (behind === undefined) lane.newest = ahead;
    else behind.ahead = ahead;
    waiter.ahead = undefined;
    waiter.behind = undefined;
    this.size -= 1;
    if (alarm === undefined) return;
    this.deadlines.remove(alarm);
    extras?.signal?.removeEventListener('abort', alarm);
  }

  dueAt(waiter: Waiter<R>): number {
    return waiter.since + (waiter.extras?.timeoutMs ?? this.timeoutMs);
  }

  expire(waiter: Waiter<R>, now: number): void {
    const error = withoutStack(() => this.owner.timeoutError(now - waiter.since));
    this.remove(waiter);
    waiter.reject(error);
  }

  abort(waiter: Waiter<R>): void {
    const error = this.owner.abortError(this.clock.now() - waiter.since, waiter.extras?.signal?.reason);
    this.remove(waiter);
    waiter.reject(error);
    this.owner.left();
  }

  /** Sets a lane's deadline to that of its oldest; one that is set already is early enough. */
  watch(lane: Lane<R>): void {
    if (lane.oldest !== undefined && !lane.isSet) this.deadlines.add(lane, this.dueAt(lane.oldest));
  }

  private setAlarm(waiter: Waiter<R>, dueAt: number): void {
    const alarm = (waiter.alarm = new WaiterAlarm(this, waiter));
    this.deadlines.add(alarm, dueAt);
    const signal = waiter.extras?.signal;
    if (signal !== undefined) listenToAbort(signal, alarm);
  }

  private laneOf(priority: number): Lane<R> {
    while (this.lanes.length <= priority) this.lanes.push(new Lane(this));
    if (priority > this.top) this.top = priority;
    return this.lanes[priority]!;
  }
}
