import type { CreateContext, HookContext } from './connection-factory.js';
import { Deadline, type Deadlines } from './deadlines.js';
import type { Effects } from './effects.js';
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

/**
 * One call of a factory's hook. It ends exactly once for the pool: by its result or by its time limit, whichever comes
 * first. What comes after the limit is told apart, as late, so that a connection that arrives then is not lost.
 *
 * @internal
 */
export class HookCall<R = unknown> extends Deadline implements HookContext {
  private phase: 'running' | 'late' | 'over' = 'running';
  private controller: AbortController | undefined;
  /** Why the hook was told to stop; its signal may be read for the first time after that. */
  private stopped: { readonly reason: unknown } | undefined;

  constructor(
    private readonly host: HookHost,
    private readonly hook: string,
    private readonly limitMs: number,
    private readonly onEnd: (end: HookEnd<R>) => void,
    private readonly onLate?: (end: HookEnd<R>) => void,
  ) {
    super();
  }

  get pool(): string {
    return this.host.name;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.stopped !== undefined) this.controller.abort(this.stopped.reason);
    }
    return this.controller.signal;
  }

  /** Calls the hook. One that answers synchronously ends synchronously and never needs a deadline. */
  run(work: (context: this) => R | PromiseLike<R>): void {
    // Told to stop while it was only noted as an effect: then it need not begin.
    if (this.stopped !== undefined) return this.end({ ok: false, error: this.stopped.reason, timedOut: false });
    let result: R | PromiseLike<R>;
    try {
      result = work(this);
      if (!isThenable(result)) return this.end({ ok: true, value: result });
    } catch (error) {
      return this.end({ ok: false, error, timedOut: false });
    }
    if (this.phase === 'running') this.host.deadlines.add(this, this.host.turn.fresh() + this.limitMs);
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
    this.host.effects.add(() => this.controller?.abort(reason));
  }

  /** Waits no longer: whatever the hook still yields is late. */
  giveUp(reason: unknown): void {
    if (this.phase !== 'running') return;
    this.cancel(reason);
    this.phase = 'late';
    this.host.deadlines.remove(this);
  }

  private whenSettled(result: PromiseLike<R>): void {
    const onValue = (value: R): void => this.end({ ok: true, value });
    const onError = (error: unknown): void => this.end({ ok: false, error, timedOut: false });
    // Through a promise of our own, unless it is as good: a foreign `then`, also one put on a real promise, may call back
    // twice or throw.
    const isPlain = result instanceof Promise && result.then === nativeThen;
    const promise = isPlain ? result : new Promise<R>((resolve) => resolve(result));
    try {
      Reflect.apply(nativeThen, promise, [onValue, onError]);
    } catch (error) {
      onError(error);
    }
  }

  private end(end: HookEnd<R>): void {
    const { phase } = this;
    if (phase === 'over') return;
    this.phase = 'over';
    this.host.deadlines.remove(this);
    if (phase === 'running') this.onEnd(end);
    else this.onLate?.(end);
  }

  private timeoutError(): Error {
    const error = new Error(`${this.hook} did not end within ${this.limitMs} ms`);
    return Object.assign(error, { name: 'HookTimeoutError', code: 'HOOK_TIMEOUT' });
  }
}

/** The call that opens a connection. @internal */
export class CreateCall<T> extends HookCall<T> implements CreateContext {
  constructor(
    host: HookHost,
    limitMs: number,
    readonly attempt: number,
    readonly broken: (error?: unknown) => void,
    onEnd: (end: HookEnd<T>) => void,
    onLate: (end: HookEnd<T>) => void,
  ) {
    super(host, 'create', limitMs, onEnd, onLate);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
