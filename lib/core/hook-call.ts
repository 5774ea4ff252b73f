import type { CreateContext, HookContext } from './connection-factory.js';
import type { Deadlines } from './deadlines.js';
import type { Effects } from './effects.js';
import { Lane, type LaneOwner } from './lane.js';
import type { TurnClock } from './turn-clock.js';

// oxlint-disable-next-line typescript/unbound-method -- it is applied to the promise of a hook
const nativeThen = Promise.prototype.then;

/** How a hook ended. @internal */
export type HookEnd<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: unknown; readonly timedOut: boolean };

/** What a hook call needs of its pool. @internal */
export interface HookHost {
  readonly name: string;
  readonly turn: TurnClock;
  readonly deadlines: Deadlines;
  readonly effects: Effects;
}

/** A call as far as its time limit goes. */
interface TimedCall {
  readonly isWaiting: boolean;
  readonly begunAt: number;
  expire(): void;
}

/**
 * The calls of one hook that have not ended, with the time limit that they share.
 *
 * @internal
 */
export class HookCalls implements LaneOwner<TimedCall> {
  private readonly lane: Lane<TimedCall>;

  constructor(
    readonly host: HookHost,
    readonly hook: string,
    readonly limitMs: number,
  ) {
    this.lane = new Lane(host.deadlines, this);
  }

  began(call: TimedCall): void {
    this.lane.push(call);
    this.lane.watch();
  }

  ended(): void {
    this.lane.removed();
  }

  dueAt(call: TimedCall): number {
    return call.begunAt + this.limitMs;
  }

  expire(call: TimedCall): void {
    call.expire();
  }
}

/**
 * One call of a factory's hook. It ends exactly once for the pool: by its result or by its time limit, whichever comes
 * first. What comes after the limit is told apart, as late, so that a connection that arrives then is not lost.
 *
 * @internal
 */
export class HookCall<R = unknown> implements HookContext {
  /** When it began, of one that did not end at once. */
  begunAt = -Infinity;
  private phase: 'running' | 'late' | 'over' = 'running';
  private controller: AbortController | undefined = undefined;
  /** Why the hook was told to stop; its signal may be read for the first time after that. */
  private stopped: { readonly reason: unknown } | undefined = undefined;

  constructor(
    private readonly calls: HookCalls,
    private readonly work: (context: never) => R | PromiseLike<R>,
    private readonly onEnd: (end: HookEnd<R>) => void,
    private readonly onLate?: (end: HookEnd<R>) => void,
  ) {}

  get isWaiting(): boolean {
    return this.phase === 'running';
  }

  get pool(): string {
    return this.calls.host.name;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.stopped !== undefined) this.controller.abort(this.stopped.reason);
    }
    return this.controller.signal;
  }

  /** Notes that the hook is to be called. */
  start(): this {
    this.calls.host.effects.add(this);
    return this;
  }

  /** Calls the hook. One that answers synchronously ends synchronously and never needs a deadline. */
  run(): void {
    const { effects, turn } = this.calls.host;
    // Read before the hook is called: its own time counts.
    const now = effects.isFirst ? turn.reading : turn.fresh();
    // Told to stop while it was only noted as an effect: then it need not begin.
    if (this.stopped !== undefined) return this.end({ ok: false, error: this.stopped.reason, timedOut: false });
    let result: R | PromiseLike<R>;
    try {
      result = this.work(this as never);
      if (!isThenable(result)) return this.end({ ok: true, value: result });
    } catch (error) {
      return this.end({ ok: false, error, timedOut: false });
    }
    if (this.phase === 'running') {
      this.begunAt = now;
      this.calls.began(this);
    }
    this.whenSettled(result);
  }

  expire(): void {
    const error = this.timeoutError();
    this.giveUp(error);
    this.onEnd({ ok: false, error, timedOut: true });
  }

  /** Tells the hook to stop. Its end still counts. */
  cancel(reason: unknown): void {
    if (this.phase === 'over' || this.stopped !== undefined) return;
    this.stopped = { reason };
    this.calls.host.effects.add(() => this.controller?.abort(reason));
  }

  /** Waits no longer: whatever the hook still yields is late. */
  giveUp(reason: unknown): void {
    if (this.phase !== 'running') return;
    this.cancel(reason);
    this.leave('late');
  }

  private whenSettled(result: PromiseLike<R>): void {
    const onValue = (value: R): void => this.end({ ok: true, value });
    const onError = (error: unknown): void => this.end({ ok: false, error, timedOut: false });
    // Through a promise of our own, unless it is as good: a foreign `then`, also one put on a real promise, may call back
    // twice or throw.
    const isPlain = result instanceof Promise && result.then === nativeThen;
    const promise = isPlain ? result : new Promise<R>((resolve) => resolve(result));
    try {
      void nativeThen.call(promise, onValue as (value: unknown) => void, onError);
    } catch (error) {
      onError(error);
    }
  }

  private end(end: HookEnd<R>): void {
    const { phase } = this;
    if (phase === 'over') return;
    this.leave('over');
    if (phase === 'running') this.onEnd(end);
    else this.onLate?.(end);
  }

  private leave(phase: 'late' | 'over'): void {
    const isLaned = this.phase === 'running' && this.begunAt !== -Infinity;
    this.phase = phase;
    if (isLaned) this.calls.ended();
  }

  private timeoutError(): Error {
    const error = new Error(`${this.calls.hook} did not end within ${this.calls.limitMs} ms`);
    return Object.assign(error, { name: 'HookTimeoutError', code: 'HOOK_TIMEOUT' });
  }
}

/** The call that opens a connection. @internal */
export class CreateCall<T> extends HookCall<T> implements CreateContext {
  constructor(
    calls: HookCalls,
    work: (context: CreateContext) => T | PromiseLike<T>,
    readonly attempt: number,
    readonly broken: (error?: unknown) => void,
    onEnd: (end: HookEnd<T>) => void,
    onLate: (end: HookEnd<T>) => void,
  ) {
    super(calls, work, onEnd, onLate);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
