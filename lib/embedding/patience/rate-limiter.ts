import { calendarAhead } from '../../core/clock.js';
import type { LimiterCost, LimiterLimits } from './limiter-store.js';
import type { ResolvedEmbeddingRateLimit } from './rate-limit-options.js';
import { StoreDesk } from './store-desk.js';
import type { Alarm, Timeline } from './timeline.js';
import { type LimitFacts, TokenBucket } from './token-bucket.js';
import { LineWaiter, WaitingLine } from './waiting-line.js';

/** What the headers of an answer say of the server's limits. @internal */
export interface RateLimitFacts {
  readonly requests?: LimitFacts | undefined;
  readonly tokens?: LimitFacts | undefined;
}

/** @internal */
export interface RateLimiterHooks {
  /** The store failed; the process's own share is kept to for a while. */
  onStoreError?(error: unknown): void;
  /** How far the calendar is ahead of the clock. Default: the machine's. */
  calendarAheadMs?(now: number): number;
}

/**
 * Lets requests start no faster than the server allows, in the order in which they come.
 *
 * Nothing is held back until limits are configured or were seen in an answer's headers; a pause, after the server has said
 * "too many", holds back all, those included that wait already. Invariant: whoever waits stands behind all who came before,
 * so nobody passes while the line is not empty.
 *
 * @internal
 */
export class RateLimiter {
  private readonly requests: TokenBucket;
  private readonly tokens: TokenBucket;
  private readonly desk: StoreDesk | undefined;
  private readonly line = new WaitingLine(this);
  private readonly hooks: RateLimiterHooks;
  private pausedUntil = -Infinity;
  /** The store has said when to ask again. */
  private askAgainAt = -Infinity;
  private isAsking = false;
  private alarm: Alarm | undefined;
  private closedBy: { readonly reason: unknown } | undefined;

  constructor(
    private readonly options: ResolvedEmbeddingRateLimit,
    private readonly timeline: Timeline,
    hooks: RateLimiterHooks = {},
  ) {
    this.hooks = hooks;
    const { requestsPerMinute, tokensPerMinute, share, store, key, instances } = options;
    const now = timeline.now();
    this.requests = new TokenBucket(requestsPerMinute, share / instances, 1, now);
    this.tokens = new TokenBucket(tokensPerMinute, share / instances, 0, now);
    if (store !== undefined) this.desk = new StoreDesk(store, key, timeline, (error) => hooks.onStoreError?.(error));
  }

  /** Those who wait. */
  get waiting(): number {
    return this.line.size;
  }

  /** Whether requests are limited, not only tokens: few and full ones are better then. */
  get isLimitingRequests(): boolean {
    return !this.requests.isOff;
  }

  /** How long nothing may start, whatever is left of the limits; 0: no pause. For who has reserved before a pause began. */
  pausedForMs(): number {
    // The clock is read only where somebody has paused: this is on every request's way.
    return this.pausedUntil === -Infinity ? 0 : Math.max(0, this.pausedUntil - this.timeline.now());
  }

  /**
   * Takes the cost if that needs no waiting. Never with a store, which must be asked.
   *
   * @returns whether it was taken; else {@link reserve} waits for it
   */
  tryReserve(cost: LimiterCost): boolean {
    if (this.line.size > 0 || this.desk !== undefined || this.closedBy !== undefined) return false;
    if (this.requests.isOff && this.tokens.isOff && this.pausedUntil === -Infinity) return true;
    const now = this.timeline.now();
    if (this.pauseMs(now) > 0 || this.localWaitMs(cost, now) > 0) return false;
    this.takeLocally(cost, now);
    return true;
  }

  /** Waits until the cost is taken. Rejects with the signal's reason as soon as that aborts; nothing is taken then. */
  reserve(cost: LimiterCost, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (this.closedBy !== undefined) return Promise.reject(this.closedBy.reason as Error);
    if (this.tryReserve(cost)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.line.join(new LineWaiter(this.line, cost, resolve, reject, signal));
      this.timeline.hold();
      // Behind others there is nothing to look at.
      if (this.line.size === 1) this.pump();
    });
  }

  /** Waits for the end of a pause, and for nothing else: for who has reserved before it began. */
  async resumed(signal?: AbortSignal): Promise<void> {
    for (let ms = this.pausedForMs(); ms > 0; ms = this.pausedForMs()) await this.timeline.sleep(ms, signal);
  }

  /** Tokens used less tokens reserved; what is negative is given back. */
  settle(deltaTokens: number): void {
    if (deltaTokens === 0 || !Number.isFinite(deltaTokens)) return;
    this.desk?.settle(deltaTokens);
    const now = this.timeline.now();
    if (this.isLocal(now)) this.tokens.take(deltaTokens, now);
    if (deltaTokens < 0) this.pump();
  }

  /**
   * The server said "too many": nothing starts before this time, here and wherever the store is asked.
   *
   * @param untilMs on the timeline's clock; an earlier one than is known changes nothing
   */
  penalise(untilMs: number, reason: string): void {
    if (!(untilMs > this.pausedUntil)) return;
    const now = this.timeline.now();
    const ahead = this.hooks.calendarAheadMs?.(now) ?? calendarAhead(now);
    this.pausedUntil = untilMs;
    this.desk?.penalise(Math.ceil(untilMs + ahead), reason);
    this.pump();
  }

  /** What an answer's headers say. The first limits that are seen switch the limiter on. */
  learn({ requests, tokens }: RateLimitFacts): void {
    if (!this.options.learns || (requests === undefined && tokens === undefined)) return;
    const now = this.timeline.now();
    const untils = [requests && this.requests.learn(requests, now), tokens && this.tokens.learn(tokens, now)];
    for (const until of untils) if (until !== undefined && until > this.pausedUntil) this.pausedUntil = until;
    this.pump();
  }

  /** One has left by itself, with nothing but what the store had granted it already. */
  left(waiter: LineWaiter): void {
    this.timeline.release();
    if (waiter.isGranted) this.desk?.settle(-waiter.cost.tokens);
    this.pump();
  }

  /** Whoever waits, or would, is rejected with `reason`. */
  close(reason: unknown = new Error('the rate limiter is closed')): void {
    this.closedBy ??= { reason };
    for (let head = this.line.oldest; head !== undefined; head = this.line.oldest) {
      this.dismiss(head);
      head.reject(reason);
    }
    this.wakeIn(undefined);
  }

  /** Lets pass who may, and sets the alarm for the first who may not. */
  private readonly pump = (): void => {
    for (let head = this.line.oldest; head !== undefined; head = this.line.oldest) {
      const waitMs = this.waitMsOf(head, this.timeline.now());
      if (waitMs > 0) return this.wakeIn(waitMs);
      this.dismiss(head);
      head.resolve();
    }
    this.wakeIn(undefined);
  };

  /** @returns 0 where its cost is taken now; `Infinity` where the store's answer will tell */
  private waitMsOf(head: LineWaiter, now: number): number {
    const pauseMs = this.pauseMs(now);
    if (pauseMs > 0) return pauseMs;
    if (head.isGranted) return 0;
    if (this.isAsking) return Infinity;
    if (this.desk?.isUp(now)) {
      if (now < this.askAgainAt) return this.askAgainAt - now;
      this.ask(this.desk, head);
      return Infinity;
    }
    const waitMs = this.localWaitMs(head.cost, now);
    if (waitMs === 0) this.takeLocally(head.cost, now);
    return waitMs;
  }

  /** One at a time: the store grants in the order in which it is asked. */
  private ask(desk: StoreDesk, head: LineWaiter): void {
    this.isAsking = true;
    desk.ask(head.cost, this.limits(), head.signal, (waitMs) => {
      this.isAsking = false;
      if (waitMs === 0 && !head.isWaiting) desk.settle(-head.cost.tokens);
      else if (waitMs === 0) head.isGranted = true;
      else if (waitMs !== undefined) this.askAgainAt = this.timeline.now() + waitMs;
      this.pump();
    });
  }

  /** As they are for all processes together. */
  private limits(): LimiterLimits {
    const { instances } = this.options;
    const all = (perMinute: number | undefined) => (perMinute === undefined ? undefined : perMinute * instances);
    return { requestsPerMinute: all(this.requests.perMinute), tokensPerMinute: all(this.tokens.perMinute) };
  }

  private isLocal(now: number): boolean {
    return this.desk === undefined || !this.desk.isUp(now);
  }

  private pauseMs(now: number): number {
    if (now < this.pausedUntil) return this.pausedUntil - now;
    this.pausedUntil = -Infinity;
    return 0;
  }

  private localWaitMs({ requests, tokens }: LimiterCost, now: number): number {
    return Math.max(this.requests.waitMs(requests, now), this.tokens.waitMs(tokens, now));
  }

  private takeLocally({ requests, tokens }: LimiterCost, now: number): void {
    this.requests.take(requests, now);
    this.tokens.take(tokens, now);
  }

  private dismiss(waiter: LineWaiter): void {
    this.line.remove(waiter);
    this.timeline.release();
  }

  /** Whole milliseconds: smaller steps would be more timers, and cost less than a thousandth of the rate. */
  private wakeIn(ms: number | undefined): void {
    this.timeline.cancel(this.alarm);
    this.alarm = ms === undefined || ms === Infinity ? undefined : this.timeline.after(Math.ceil(ms), this.pump);
  }
}
