import { listenToAbort } from '../../core/abort-listening.js';
import type { LimiterCost } from './limiter-store.js';

/** Who wants to know that one has left by itself. @internal */
export interface LineOwner {
  left(waiter: LineWaiter): void;
}

/** One who waits in a {@link WaitingLine}, with its ear on the caller's signal. @internal */
export class LineWaiter {
  isWaiting = true;
  /** Its cost is taken; it may still have to wait for the end of a pause. */
  isGranted = false;
  before: LineWaiter | undefined;
  behind: LineWaiter | undefined;

  constructor(
    private readonly line: WaitingLine,
    readonly cost: LimiterCost,
    readonly resolve: () => void,
    readonly reject: (reason: unknown) => void,
    readonly signal: AbortSignal | undefined,
  ) {
    if (signal !== undefined) listenToAbort(signal, this);
  }

  handleEvent(): void {
    this.line.leave(this);
    this.reject(this.signal!.reason);
  }
}

/**
 * First come, first served; whoever gives up leaves at once, wherever it stands. A chain, so that leaving costs the same
 * everywhere.
 *
 * @internal
 */
export class WaitingLine {
  size = 0;
  oldest: LineWaiter | undefined;
  private newest: LineWaiter | undefined;

  constructor(private readonly owner: LineOwner) {}

  join(waiter: LineWaiter): void {
    waiter.before = this.newest;
    if (this.newest === undefined) this.oldest = waiter;
    else this.newest.behind = waiter;
    this.newest = waiter;
    this.size += 1;
  }

  /** Takes one out for good. */
  remove(waiter: LineWaiter): void {
    const { before, behind } = waiter;
    if (before === undefined) this.oldest = behind;
    else before.behind = behind;
    if (behind === undefined) this.newest = before;
    else behind.before = before;
    waiter.before = waiter.behind = undefined;
    waiter.isWaiting = false;
    waiter.signal?.removeEventListener('abort', waiter);
    this.size -= 1;
  }

  leave(waiter: LineWaiter): void {
    this.remove(waiter);
    this.owner.left(waiter);
  }
}
