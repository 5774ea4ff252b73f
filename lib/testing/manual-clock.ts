import type { Clock, ClockTimer } from '../core/index.js';

interface ManualTimer extends ClockTimer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
  isReferenced: boolean;
}

/**
 * A clock that stands still until a test moves it.
 *
 * ```ts
 * const clock = new ManualClock();
 * const pool = new ConnectionPool({ name: 'test', factory, clock });
 * await clock.advance(10_000); // every timer that is due in these ten seconds fires, in order
 * ```
 *
 * @publicApi
 */
export class ManualClock implements Clock {
  private readonly timers = new Set<ManualTimer>();
  private time = 0;
  private count = 0;

  now(): number {
    return this.time;
  }

  setTimeout(callback: () => void, delayMs: number): ClockTimer {
    const timer: ManualTimer = {
      at: this.time + Math.max(0, delayMs),
      order: (this.count += 1),
      callback,
      isReferenced: true,
      ref: () => (timer.isReferenced = true),
      unref: () => (timer.isReferenced = false),
    };
    this.timers.add(timer);
    return timer;
  }

  clearTimeout(timer: ClockTimer): void {
    this.timers.delete(timer as ManualTimer);
  }

  /** Timers that are set. A closed pool leaves none. */
  get pendingTimers(): number {
    return this.timers.size;
  }

  /** Timers that would keep the process alive. */
  get referencedTimers(): number {
    return [...this.timers].filter((timer) => timer.isReferenced).length;
  }

  /**
   * Moves time on, firing every timer at its own time, and lets promises settle before, between and after them.
   *
   * @param ms at least 0
   */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle();
    for (let timer = this.next(end); timer !== undefined; timer = this.next(end)) {
      this.fire(timer);
      await settle();
    }
    this.time = end;
    await settle();
  }

  /** Moves time on without letting a timer fire, as a stalled event loop or a sleeping machine does. */
  stall(ms: number): void {
    this.time += ms;
  }

  private next(end: number): ManualTimer | undefined {
    let first: ManualTimer | undefined;
    for (const timer of this.timers) {
      if (timer.at > end) continue;
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }

  private fire(timer: ManualTimer): void {
    this.timers.delete(timer);
    this.time = Math.max(this.time, timer.at);
    timer.callback();
  }
}

/** A turn of the event loop: every promise that can settle without time passing has settled by then. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
