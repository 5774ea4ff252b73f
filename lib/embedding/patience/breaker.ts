import { type Clock, dateIn, systemClock } from '../../core/clock.js';
import { nameOf, withoutStack } from '../../core/pool-errors.js';
import { EmbeddingUnavailableError } from '../embedding-errors.js';
import type { ResolvedEmbeddingBreaker } from './breaker-options.js';
import { FailureWindow } from './failure-window.js';

/** What those are told who come while a probe is out: nobody knows when it ends. */
const PROBE_HINT_MS = 1_000;

/**
 * Whether a server is spoken to. Times are readings of the endpoint's clock, in milliseconds.
 *
 * - `closed`: it is. `open`: it is left alone until `retryAt`; the first call after that is the probe.
 * - `half-open`: one call at a time probes it.
 *
 * @publicApi
 */
export type EmbeddingBreakerState =
  | { readonly is: 'closed' }
  | { readonly is: 'open'; readonly since: number; readonly retryAt: number; readonly reason: string }
  | { readonly is: 'half-open'; readonly since: number; readonly reason: string };

/** What a call was let in as; it must be given back once, by one of `onSuccess`, `onFailure`, `onNeutral`. @internal */
export interface BreakerPass {
  readonly isProbe: boolean;
}

const CLOSED: EmbeddingBreakerState = Object.freeze({ is: 'closed' });
const USUAL: BreakerPass = Object.freeze({ isProbe: false });
const PROBE: BreakerPass = Object.freeze({ isProbe: true });

/**
 * Leaves a server alone that fails most of what it is sent, and then tries it with one call at a time.
 *
 * Closed → open by the share of failures, by an empty account, or because its pool cannot connect: connections are the pool's
 * to count, and to try again, so the breaker only repeats what the pool says. Open → half-open when a call comes after
 * `retryAt`. Half-open → closed when the probe succeeds, → open for twice as long when it fails.
 *
 * It has no timer: what is due is found by the next call.
 *
 * @internal
 */
export class Breaker {
  private current: EmbeddingBreakerState = CLOSED;
  private readonly recent: FailureWindow;
  /** The last failure, for those who are turned away. */
  private cause: unknown = undefined;
  /** How often in a row it has opened by itself. */
  private trips = 0;
  // At most one probe is out, also one that began before the breaker opened once more.
  private isProbing = false;

  constructor(
    private readonly options: ResolvedEmbeddingBreaker,
    private readonly clock: Clock = systemClock,
    private readonly onChange: (state: EmbeddingBreakerState, before: EmbeddingBreakerState) => void = () => undefined,
  ) {
    this.recent = new FailureWindow(options.windowMs);
  }

  state(): EmbeddingBreakerState {
    return this.current;
  }

  /** Whether a call that came now would be let in. */
  get mayEnter(): boolean {
    return this.current.is === 'closed' || this.closedForMs(this.clock.now()) === 0;
  }

  /** What a call would be told that came now, if it would be turned away. */
  refusal(): EmbeddingUnavailableError | undefined {
    if (this.current.is === 'closed') return undefined;
    const ms = this.closedForMs(this.clock.now());
    return ms === 0 ? undefined : this.refuse(ms);
  }

  /** Lets a call in, or says until when none is. */
  enter(): BreakerPass | EmbeddingUnavailableError {
    if (this.current.is === 'closed') return USUAL;
    const now = this.clock.now();
    const ms = this.closedForMs(now);
    if (ms > 0) return this.refuse(ms);
    this.isProbing = true;
    if (this.current.is === 'open') {
      this.change({ is: 'half-open', since: now, reason: this.current.reason });
    }
    return PROBE;
  }

  onSuccess(isProbe: boolean): void {
    if (isProbe) this.isProbing = false;
    if (!this.options.enabled) return;
    if (this.current.is === 'closed') this.recent.count(false, this.clock.now());
    // Whoever began before it opened says nothing about the time since; only the probe does.
    else if (isProbe && this.current.is === 'half-open') this.close();
  }

  /** For what passes by itself only when the server recovers; anything else goes to {@link onNeutral}. */
  onFailure(isProbe: boolean, error: unknown): void {
    if (isProbe) this.isProbing = false;
    if (!this.options.enabled) return;
    const now = this.clock.now();
    if (this.current.is === 'closed') {
      this.recent.count(true, now);
      const { calls, failures } = this.recent;
      if (calls < this.options.minCalls || failures < calls * this.options.failureRate) return;
      this.trip(`${failures} of ${calls} calls failed, the last by ${nameOf(error)}`, error, now);
    } else if (isProbe && this.current.is === 'half-open') {
      this.trip(`it was tried again and failed by ${nameOf(error)}`, error, now);
    }
  }

  /** Neither: a wrong request, one too many, one that its caller ended. A probe makes room for the next. */
  onNeutral(isProbe: boolean): void {
    if (isProbe) this.isProbing = false;
  }

  /** Nothing is left to spend: the server is left alone for long, or for as long as it says. */
  onQuota(isProbe: boolean, error: unknown, ms = this.options.quotaOpenMs): void {
    this.onNeutral(isProbe);
    this.open('nothing is left to spend', ms, error);
  }

  /**
   * The pool cannot connect (`PoolDownError`) and says when it tries again. Not counted; the next call after that time is
   * the probe, and makes the pool try.
   *
   * @param retryAtMs on this breaker's clock
   * @param isProbe whether the call was let in as a probe: its place is free again
   */
  followPool(retryAtMs: number, error: unknown, isProbe = false): void {
    this.onNeutral(isProbe);
    this.openUntil('no connection to it can be opened', retryAtMs, error, this.clock.now());
  }

  /** Leaves the server alone for a time, whatever was counted. One that is open for longer stays as it is. */
  open(reason: string, ms: number, cause?: unknown): void {
    const now = this.clock.now();
    this.openUntil(reason, now + ms, cause, now);
  }

  private trip(reason: string, error: unknown, now: number): void {
    const { openMs, maxOpenMs } = this.options;
    const ms = Math.min(maxOpenMs, openMs * 2 ** this.trips);
    this.trips += 1;
    this.openUntil(reason, now + ms, error, now);
  }

  private openUntil(reason: string, retryAt: number, cause: unknown, now: number): void {
    if (!this.options.enabled) return;
    const { current } = this;
    if (current.is === 'open' && current.retryAt >= retryAt) return;
    this.cause = cause;
    this.change({ is: 'open', since: current.is === 'open' ? current.since : now, retryAt, reason });
  }

  private close(): void {
    this.trips = 0;
    this.cause = undefined;
    this.recent.clear();
    this.change(CLOSED);
  }

  private change(state: EmbeddingBreakerState): void {
    const before = this.current;
    this.current = state;
    this.onChange(state, before);
  }

  /** How long nobody is let in, while it is not closed; 0: the next one is the probe. */
  private closedForMs(now: number): number {
    if (this.current.is === 'open' && now < this.current.retryAt) return this.current.retryAt - now;
    return this.isProbing ? PROBE_HINT_MS : 0;
  }

  /** In a storm there are many of them, and their stacks say nothing. */
  private refuse(inMs: number): EmbeddingUnavailableError {
    const { current, cause } = this;
    const reason = current.is === 'closed' ? '' : current.reason;
    return withoutStack(() => new EmbeddingUnavailableError(dateIn(inMs), reason, cause));
  }
}
