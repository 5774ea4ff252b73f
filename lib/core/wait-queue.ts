import { listenToAbort } from './abort-listening.js';
import { Deadline, type Deadlines } from './deadlines.js';

/** Whom a waiter tells when it leaves on its own. @internal */
export interface WaiterOwner<R> {
  timedOut(waiter: Waiter<R>, now: number): void;
  aborted(waiter: Waiter<R>): void;
}

/**
 * Somebody who waits for the pool: the promise's two ends, a patience, and a place in the queue.
 *
 * @internal
 */
export class Waiter<R> extends Deadline {
  ahead: Waiter<R> | undefined = undefined;
  behind: Waiter<R> | undefined = undefined;

  constructor(
    private readonly owner: WaiterOwner<R>,
    readonly resolve: (result: R) => void,
    readonly reject: (error: unknown) => void,
    readonly since: number,
    readonly signal: AbortSignal | undefined,
  ) {
    super();
  }

  expire(now: number): void {
    this.owner.timedOut(this, now);
  }

  /** The abort listener is the waiter itself, so that it can be taken off a signal that lives longer. */
  handleEvent(): void {
    this.owner.aborted(this);
  }
}

/**
 * Waiters in the order of their arrival, each with its deadline and its ear on a signal. Whoever leaves is out of all
 * three at once, at constant cost: no dead entries that count against the bound or are served by mistake.
 *
 * @internal
 */
export class WaitQueue<R> {
  size = 0;
  private oldest: Waiter<R> | undefined;
  private newest: Waiter<R> | undefined;

  constructor(private readonly deadlines: Deadlines) {}

  push(waiter: Waiter<R>, dueAt: number): void {
    waiter.ahead = this.newest;
    if (this.newest === undefined) this.oldest = waiter;
    else this.newest.behind = waiter;
    this.newest = waiter;
    this.size += 1;
    this.deadlines.append(waiter, dueAt);
    if (waiter.signal !== undefined) listenToAbort(waiter.signal, waiter);
  }

  shift(): Waiter<R> | undefined {
    const waiter = this.oldest;
    if (waiter !== undefined) this.remove(waiter);
    return waiter;
  }

  /** Empties the queue, oldest first. */
  takeEach(tell: (waiter: Waiter<R>) => void): void {
    for (let waiter = this.shift(); waiter !== undefined; waiter = this.shift()) tell(waiter);
  }

  remove(waiter: Waiter<R>): void {
    const { ahead, behind } = waiter;
    if (ahead === undefined) this.oldest = behind;
    else ahead.behind = behind;
    if (behind === undefined) this.newest = ahead;
    else behind.ahead = ahead;
    waiter.ahead = undefined;
    waiter.behind = undefined;
    this.size -= 1;
    this.deadlines.remove(waiter);
    waiter.signal?.removeEventListener('abort', waiter);
  }
}
