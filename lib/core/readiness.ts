import type { Clock } from './clock.js';
import type { Deadlines } from './deadlines.js';
import { Waiter, type WaiterOwner, WaitQueue } from './wait-queue.js';

/** How those who wait for the pool itself are turned away. @internal */
export interface ReadinessErrors {
  timeout(waitedMs: number): Error;
  abort(reason: unknown): Error;
}

/**
 * Those who wait for the minimum to be open (`ready`), or for a first attempt at it to end (`start`).
 *
 * @internal
 */
export class Readiness implements WaiterOwner<void> {
  private readonly forOpen = new WaitQueue<void>();
  private readonly forAttempt = new WaitQueue<void>();

  constructor(
    private readonly clock: Clock,
    private readonly deadlines: Deadlines,
    private readonly errors: ReadinessErrors,
  ) {}

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
    if (isOpen) this.each(this.forOpen, (waiter) => waiter.resolve());
    if (isOpen || isAttempted) this.each(this.forAttempt, (waiter) => waiter.resolve());
  }

  reject(error: Error): void {
    this.each(this.forOpen, (waiter) => waiter.reject(error));
  }

  timedOut(waiter: Waiter<void>, now: number): void {
    this.leave(waiter, this.errors.timeout(now - waiter.since));
  }

  aborted(waiter: Waiter<void>): void {
    this.leave(waiter, this.errors.abort(waiter.signal?.reason));
  }

  /** Only those who wait for the minimum have a deadline or a signal. */
  private leave(waiter: Waiter<void>, error: Error): void {
    this.forOpen.remove(waiter);
    this.dismiss(waiter);
    waiter.reject(error);
  }

  private wait(queue: WaitQueue<void>, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const now = this.clock.now();
      const waiter = new Waiter<void>(this, resolve, reject, now, signal);
      queue.push(waiter);
      this.deadlines.add(waiter, now + timeoutMs);
    });
  }

  private each(queue: WaitQueue<void>, tell: (waiter: Waiter<void>) => void): void {
    for (let waiter = queue.shift(); waiter !== undefined; waiter = queue.shift()) {
      this.dismiss(waiter);
      tell(waiter);
    }
  }

  private dismiss(waiter: Waiter<void>): void {
    this.deadlines.remove(waiter);
    waiter.stopListening();
  }
}
