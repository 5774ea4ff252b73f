import type { DeadlockWatch } from './deadlock-watch.js';
import { dateIn } from './clock.js';
import type { Lease } from './lease.js';
import { checkAcquire } from './option-rules.js';
import * as errors from './pool-errors.js';
import type { AcquireOptions, ResolvedPoolOptions } from './pool-options.js';
import type { PoolStats } from './pool-stats.js';
import type { StackHolder } from './slot.js';
import type { PoolParts } from './pool-parts.js';
import type { SlotSet } from './slot-set.js';
import { Waiter, type WaiterExtras, type WaiterOwner, WaitQueue } from './wait-queue.js';

/** What the waiting room needs of its pool. @internal */
export interface WaitingRoomOwner {
  stats(): PoolStats;
  /** Somebody left: look at what is wanted next. */
  advance(now: number): void;
}

/**
 * Those who wait for a connection: who may, in which order, how long, and what they are told if they get none.
 *
 * @internal
 */
export class WaitingRoom<T> implements WaiterOwner {
  readonly queue: WaitQueue<Lease<T>>;
  private readonly name: string;

  constructor(
    private readonly options: ResolvedPoolOptions<T>,
    private readonly parts: PoolParts,
    private readonly slots: SlotSet<T>,
    /** There only where deadlocks are looked for. */
    private readonly deadlocks: DeadlockWatch | undefined,
    private readonly owner: WaitingRoomOwner,
  ) {
    this.name = options.name;
    this.queue = new WaitQueue(parts.deadlines, options.acquireTimeoutMs, options.clock, this);
  }

  /** Why what is asked for cannot be had by anybody: wrong options, or a signal that came first. */
  problemOf(options: AcquireOptions): Error | undefined {
    const problems = checkAcquire(options);
    if (problems.length > 0) return new errors.PoolOptionsError(this.name, problems);
    if (!options.signal?.aborted) return undefined;
    const error = this.abortError(0, options.signal.reason);
    this.parts.effects.run();
    return error;
  }

  /** Why there is no place in the queue. */
  refusalOf(options: AcquireOptions | undefined, isClosed: boolean): Error | undefined {
    if (isClosed) return this.closedError();
    if (
      options?.acquireTimeoutMs === 0 ||
      (this.options.acquireTimeoutMs === 0 && options?.acquireTimeoutMs === undefined)
    ) {
      return this.timeoutError(0, this.parts.clock.now());
    }
    const { maxWaiting } = this.options;
    if (this.queue.size < maxWaiting) return undefined;
    const { opening, canOpen, checking, idle, creates } = this.slots;
    if (this.queue.size < maxWaiting + opening + canOpen + checking + idle.size) return undefined;
    this.refused('full');
    return new errors.PoolExhaustedError(this.name, this.owner.stats(), creates.currentError);
  }

  queueUp(options: AcquireOptions | undefined, now: number, acquiredAt: StackHolder | undefined): Promise<Lease<T>> {
    const promise = new Promise<Lease<T>>(ends.keep);
    const waiter = new Waiter(
      ends.resolve as (lease: Lease<T>) => void,
      ends.reject,
      now,
      this.extrasOf(options, acquiredAt),
    );
    ends.forget();
    if (waiter.extras?.heldBy !== undefined) this.deadlocks?.waits(waiter);
    this.queue.push(waiter);
    return promise;
  }

  /** While the upstream is down: tells all but the so many that something under way will serve. */
  turnAwayBeyond(served: number, now: number): void {
    if (this.queue.size <= served) return;
    const { creates } = this.slots;
    const retryAt = dateIn(Math.max(0, creates.retryAt - now));
    for (const waiter of this.queue.takeBeyond(served)) {
      this.refused('down');
      waiter.reject(
        errors.withoutStack(() => new errors.PoolDownError(this.name, retryAt, this.owner.stats(), creates.lastError)),
      );
    }
  }

  /** A connection could not be opened: the oldest hears of it, or all. */
  createFailed(error: unknown, isRetryable: boolean, whom: 'oldest' | 'all'): void {
    for (
      let waiter = this.queue.shift();
      waiter !== undefined;
      waiter = whom === 'all' ? this.queue.shift() : undefined
    ) {
      this.parts.counters.failed += 1;
      const stats = this.owner.stats();
      waiter.reject(errors.withoutStack(() => new errors.ConnectionCreateError(this.name, stats, error, isRetryable)));
    }
  }

  closeFor(error: Error): void {
    this.queue.takeEach((waiter) => {
      this.refused('closed');
      waiter.reject(error);
    });
  }

  /** Ends the wait of work that waits for itself, if all that is lent is held by such work. */
  breakDeadlock(active: number): void {
    const victim = this.deadlocks?.victim(active) as Waiter<Lease<T>> | undefined;
    if (victim === undefined) return;
    this.queue.remove(victim);
    this.parts.counters.failed += 1;
    victim.reject(new errors.PoolDeadlockError(this.name, this.owner.stats()));
  }

  left(): void {
    this.owner.advance(this.parts.clock.now());
  }

  /** What nobody in particular is told: for those who wait for the pool itself too. */
  describeTimeout(waitedMs: number, since: number, stats = this.owner.stats()): Error {
    const { creates, checks } = this.slots;
    if (checks.failedInRow > 0 && checks.failedAt >= since) {
      return new errors.NoHealthyConnectionError(this.name, waitedMs, checks.failedInRow, stats, checks.lastError);
    }
    return new errors.AcquireTimeoutError(this.name, waitedMs, stats, creates.currentError);
  }

  timeoutError(waitedMs: number, since: number): Error {
    this.parts.counters.timedOut += 1;
    this.parts.events.tell('timeout', { waitedMs });
    return this.describeTimeout(waitedMs, since);
  }

  abortError(waitedMs: number, reason: unknown): Error {
    this.parts.counters.aborted += 1;
    this.parts.events.tell('abort', { waitedMs });
    return new errors.AcquireAbortedError(this.name, this.owner.stats(), reason);
  }

  private closedError(): Error {
    this.refused('closed');
    return new errors.PoolClosedError(this.name, this.owner.stats());
  }

  private refused(because: 'full' | 'down' | 'closed'): void {
    this.parts.counters.refused[because] += 1;
    this.parts.events.tell('refuse', { because });
  }

  private extrasOf(options: AcquireOptions | undefined, acquiredAt: StackHolder | undefined): WaiterExtras | undefined {
    const heldBy = this.deadlocks?.around();
    if (options === undefined && acquiredAt === undefined && heldBy === undefined) return undefined;
    const { priority, signal, acquireTimeoutMs } = options ?? {};
    return { priority, signal, timeoutMs: acquireTimeoutMs, acquiredAt, heldBy };
  }
}

/**
 * The two ends of the promise that is being made. One function takes them for all waiters, since a function for each would
 * be one more thing to make; nothing is kept here longer than that, or the last waiter's lease would never be collected.
 */
const ends = {
  resolve: ignore as (lease: never) => void,
  reject: ignore as (error: unknown) => void,
  keep: (resolve: (lease: never) => void, reject: (error: unknown) => void): void => {
    ends.resolve = resolve;
    ends.reject = reject;
  },
  forget: (): void => {
    ends.resolve = ignore;
    ends.reject = ignore;
  },
};

function ignore(): void {}
