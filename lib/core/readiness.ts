import type { Clock } from './clock.js';
import type { Deadlines } from './deadlines.js';
import { Waiter, type WaiterOwner, WaitQueue } from './wait-queue.js';

/**
 * Those who wait for the minimum to be open (`ready`), or for a first attempt at it to end (`start`).
 *
 * @internal
 */
export class Readiness {
  private readonly forOpen: WaitQueue<void>;
  private readonly forAttempt: WaitQueue<void>;

  constructor(
    private readonly clock: Clock,
    deadlines: Deadlines,
    /** How those are turned away who lose patience. */
    owner: WaiterOwner,
  ) {
    this.forOpen = new WaitQueue(deadlines, Infinity, clock, owner);
    this.forAttempt = new WaitQueue(deadlines, Infinity, clock, owner);
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

  private wait(queue: WaitQueue<void>, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      queue.push(new Waiter<void>(resolve, reject, this.clock.now(), { timeoutMs, signal }));
    });
  }
}
