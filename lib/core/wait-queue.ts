import { listenToAbort } from './abort-listening.js';
import type { Clock } from './clock.js';
import { Deadline, type Deadlines } from './deadlines.js';
import type { Holder } from './deadlock-watch.js';
import { withoutStack } from './pool-errors.js';
import { Lane, type LaneOwner } from './lane.js';
import type { StackHolder } from './slot.js';

/**
 * Who says what a waiter is told that leaves on its own. It is asked while the waiter still counts: the numbers in the
 * error are those that it waited among.
 *
 * @internal
 */
export interface WaiterOwner {
  timeoutError(waitedMs: number, since: number): Error;
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
 * Somebody who waits: the promise's two ends, since when, and whether still. There may be a million of them, so it has as
 * few fields as can be; what only few have is in `extras`.
 *
 * @internal
 */
export class Waiter<R> {
  isWaiting = true;
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
 * Who waits, the highest priority first and the oldest first within it. Whoever leaves is out of the count, its deadline
 * and its signal at once, at constant cost.
 *
 * @internal
 */
export class WaitQueue<R> implements LaneOwner<Waiter<R>> {
  size = 0;
  private readonly lanes: Lane<Waiter<R>>[];
  /** The highest lane that may have somebody. */
  private top = 0;

  constructor(
    private readonly deadlines: Deadlines,
    private readonly timeoutMs: number,
    private readonly clock: Clock,
    private readonly owner: WaiterOwner,
  ) {
    this.lanes = [new Lane(this.deadlines, this)];
  }

  push(waiter: Waiter<R>): void {
    const { extras } = waiter;
    const lane = extras === undefined ? this.lanes[0]! : this.laneOf(extras.priority ?? 0);
    const dueAt = this.dueAt(waiter);
    const isFirst = lane.isEmpty;
    const isInOrder = isFirst || dueAt >= lane.latestDueAt;
    if (isInOrder) lane.latestDueAt = dueAt;
    lane.push(waiter);
    this.size += 1;
    if (extras?.signal !== undefined || !isInOrder) this.setAlarm(waiter, isInOrder ? Infinity : dueAt);
    if (!isFirst) return;
    // Left from somebody who has gone: too late for one who has less patience.
    if (lane.isSet && dueAt < lane.dueAt) this.deadlines.remove(lane);
    lane.watch();
  }

  /** Takes out who is next. */
  shift(): Waiter<R> | undefined {
    while (this.top > 0 && this.lanes[this.top]!.isEmpty) this.top -= 1;
    const lane = this.lanes[this.top]!;
    if (lane.isEmpty) return undefined;
    this.size -= 1;
    const waiter = lane.shift();
    waiter.isWaiting = false;
    if (waiter.alarm !== undefined) this.silence(waiter, waiter.alarm);
    return waiter;
  }

  /** Takes out all but the so many that are served first, in the order of service. */
  takeBeyond(first: number): Waiter<R>[] {
    const beyond: Waiter<R>[] = [];
    for (const lane of this.lanes) {
      for (const waiter of lane.list().reverse()) {
        if (this.size <= first) break;
        this.remove(waiter);
        beyond.push(waiter);
      }
    }
    return beyond.reverse();
  }

  /** Empties the queue, in the order of service. */
  takeEach(tell: (waiter: Waiter<R>) => void): void {
    for (let waiter = this.shift(); waiter !== undefined; waiter = this.shift()) tell(waiter);
  }

  remove(waiter: Waiter<R>): void {
    const { extras, alarm } = waiter;
    waiter.isWaiting = false;
    (extras === undefined ? this.lanes[0]! : this.laneOf(extras.priority ?? 0)).removed();
    this.size -= 1;
    if (alarm !== undefined) this.silence(waiter, alarm);
  }

  dueAt(waiter: Waiter<R>): number {
    return waiter.since + (waiter.extras?.timeoutMs ?? this.timeoutMs);
  }

  expire(waiter: Waiter<R>, now: number): void {
    const error = withoutStack(() => this.owner.timeoutError(now - waiter.since, waiter.since));
    this.remove(waiter);
    waiter.reject(error);
  }

  abort(waiter: Waiter<R>): void {
    const error = this.owner.abortError(this.clock.now() - waiter.since, waiter.extras?.signal?.reason);
    this.remove(waiter);
    waiter.reject(error);
    this.owner.left();
  }

  private setAlarm(waiter: Waiter<R>, dueAt: number): void {
    const alarm = (waiter.alarm = new WaiterAlarm(this, waiter));
    this.deadlines.add(alarm, dueAt);
    const signal = waiter.extras?.signal;
    if (signal !== undefined) listenToAbort(signal, alarm);
  }

  private silence(waiter: Waiter<R>, alarm: WaiterAlarm<R>): void {
    this.deadlines.remove(alarm);
    waiter.extras?.signal?.removeEventListener('abort', alarm);
  }

  private laneOf(priority: number): Lane<Waiter<R>> {
    while (this.lanes.length <= priority) this.lanes.push(new Lane(this.deadlines, this));
    if (priority > this.top) this.top = priority;
    return this.lanes[priority]!;
  }
}
