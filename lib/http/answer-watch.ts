import type { AxiosAdapter, InternalAxiosRequestConfig } from 'axios';
import { MAX_DELAY_MS, systemClock } from '../core/clock.js';
import { checkGroup, positiveDuration, type Rule } from '../core/option-rules.js';

/** A request's limits on silence, of milliseconds; what is not there, or longer than a timer can wait, is no limit. @internal */
export interface SilenceLimits {
  readonly headerTimeoutMs?: number | undefined;
  readonly bodyIdleTimeoutMs?: number | undefined;
}

/** An adapter that tells a watch of what it sends and hears, where there is one. @internal */
export type WatchedAdapter = (config: InternalAxiosRequestConfig, watch?: AnswerWatch) => ReturnType<AxiosAdapter>;

const LIMITS: Record<keyof SilenceLimits, Rule> = {
  headerTimeoutMs: positiveDuration,
  bodyIdleTimeoutMs: positiveDuration,
};

/**
 * Watches one request for silence: before the first byte of its answer, and after that between one byte and the next.
 *
 * What carries the request says when it was begun, when something came, and when all of it has. A byte only leaves its time;
 * the timer, of which there is one at most, looks at that when it fires, and is set again for what is left.
 *
 * @internal
 */
export class AnswerWatch {
  private begunAt = 0;
  /** When the last of the answer came; nothing yet, where it is not set. */
  private heardAt: number | undefined;
  private isHeld = false;
  private isOver = false;
  private timer: NodeJS.Timeout | undefined;
  private verdict: NodeJS.Immediate | undefined;

  constructor(
    private readonly headerTimeoutMs: number,
    private readonly bodyIdleTimeoutMs: number,
    private readonly onSilence: (phase: 'header' | 'body') => void,
  ) {}

  /**
   * A watch for a request that sets a limit, and none for any other.
   *
   * @throws TypeError naming the limits that are none
   */
  static of(
    { headerTimeoutMs, bodyIdleTimeoutMs, maxRate }: SilenceLimits & { readonly maxRate?: unknown },
    onSilence: (phase: 'header' | 'body') => void,
  ): AnswerWatch | undefined {
    if (headerTimeoutMs === undefined && bodyIdleTimeoutMs === undefined) return undefined;
    const problems = checkGroup(LIMITS, { headerTimeoutMs, bodyIdleTimeoutMs });
    if (problems.length > 0) throw new TypeError(problems.join('; '));
    // With a rate it is axios that lets an answer wait.
    const idleMs = maxRate === undefined ? (bodyIdleTimeoutMs ?? Infinity) : Infinity;
    return new AnswerWatch(headerTimeoutMs ?? Infinity, idleMs, onSilence);
  }

  /** The request is being sent: its turn has come, or, over a fresh connection, has come once more. */
  begun(): void {
    this.begunAt = systemClock.now();
    this.heardAt = undefined;
    this.arm(this.headerTimeoutMs);
  }

  /** Something of the answer has come. */
  heard(): void {
    const isFirst = this.heardAt === undefined;
    this.heardAt = systemClock.now();
    if (isFirst) this.arm(this.bodyIdleTimeoutMs);
  }

  /** The answer is not read any further for now: what does not come is no fault of its server's. */
  hold(): void {
    this.isHeld = true;
  }

  /** It is read again, and silence counts from here. */
  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.heard();
  }

  /** All of the answer has come, or nobody wants it any more. */
  end(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    clearImmediate(this.verdict);
  }

  private arm(delayMs: number): void {
    clearTimeout(this.timer);
    if (delayMs <= MAX_DELAY_MS && !this.isOver) this.timer = setTimeout(this.look, delayMs);
  }

  /** Listens first and judges after: when the loop has been busy, what has come meanwhile is read only after its timers. */
  private readonly look = (): void => {
    this.verdict = setImmediate(this.judge);
  };

  private readonly judge = (): void => {
    // Read once: a moment later it may be below 0, of which Node warns.
    const { leftMs } = this;
    if (leftMs > 0) return this.arm(leftMs);
    this.onSilence(this.heardAt === undefined ? 'header' : 'body');
  };

  private get leftMs(): number {
    if (this.isHeld) return this.bodyIdleTimeoutMs;
    const now = systemClock.now();
    return this.heardAt === undefined
      ? this.begunAt + this.headerTimeoutMs - now
      : this.heardAt + this.bodyIdleTimeoutMs - now;
  }
}
