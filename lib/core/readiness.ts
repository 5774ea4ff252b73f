import type { Clock } from './clock.js';
import type { Deadlines } from './deadlines.js';
import { Waiter, type WaiterOwner, WaitQueue } from './wait-queue.js';

/** How those who wait for the pool itself are turned away. @internal */
export interface ReadinessOwner {
  timeout(waitedMs: number): Error;
  abort(reason: unknown): Error;
  /** One of them left on its own. */
  left(): void;
}

/**
 * Those who wait for the minimum to be open (`ready`), or for a first attempt at it to end (`start`).
 *
 * @internal
 */
export class Readiness implements WaiterOwner<void> {
  private readonly forOpen: WaitQueue<void>;
  private readonly forAttempt: WaitQueue<void>;

  constructor(
    private readonly clock: Clock,
    deadlines: Deadlines,
    private readonly owner: ReadinessOwner,
  ) {
    this.forOpen = new WaitQueue(deadlines);
    this.forAttempt = new WaitQueue(deadlines);
  }

  get isAwaited(): boolean {
    return this.forOpen.size + this.forAttempt.size > 0;
  }

  untilAttempted(): Promise<void> {
    return this.wait(this.forAttempt, Infinity, undefined);
  }

  untilOpen(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return this.wait(this.forOpen, timeoutMs, signal);
  }

  tell(isOpen: boolean, isAttempted: boolean): void {
    if (isOpen) this.forOpen.takeEach((waiter) => waiter.resolve());
    if (isOpen || isAttempted) this.forAttempt.takeEach((waiter) => waiter.resolve());
  }

  reject(error: Error): void {
    this.forOpen.takeEach((waiter) => waiter.reject(error));
  }

  timedOut(waiter: Waiter<void>, now: number): void {
    this.leave(waiter, this.owner.timeout(now - waiter.since));
  }

  aborted(waiter: Waiter<void>): void {
    this.leave(waiter, this.owner.abort(waiter.signal?.reason));
    this.owner.left();
  }

  /** Only those who wait for the minimum have a deadline or a signal. */
  private leave(waiter: Waiter<void>, error: Error): void {
    this.forOpen.remove(waiter);
    waiter.reject(error);
  }

  private wait(queue: WaitQueue<void>, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const now = this.clock.now();
      queue.push(new Waiter<void>(this, resolve, reject, now, signal), now + timeoutMs);
    });
  }
}
