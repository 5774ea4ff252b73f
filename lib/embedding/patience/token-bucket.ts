/** What an answer's headers say of one limit. What they do not say is `undefined`. @internal */
export interface LimitFacts {
  /** Each minute. */
  readonly limit?: number | undefined;
  /** Left of it. */
  readonly remaining?: number | undefined;
  /** Until it is there in full again. */
  readonly resetMs?: number | undefined;
}

const MINUTE_MS = 60_000;
/** Bursts are smoothed over this: some servers count by the second, whatever they call the limit. */
const BURST_MS = 1_000;
/** Sums of fractions are this exact, at any size that a limit has. */
const TINY = 1e-6;

/**
 * One limit, of requests or of tokens: a bucket that holds what one second allows and fills evenly.
 *
 * A cost above that passes when the bucket is full and leaves it below zero, so that those after it pay. In any time of t
 * milliseconds no more is taken than `rate × t`, plus one second's worth or the last cost, whichever is larger.
 *
 * @internal
 */
export class TokenBucket {
  private level = 0;
  private filledAt = 0;
  /** By the limit alone; `Infinity`: there is none. */
  private ratePerMs = Infinity;
  /** Until the server's own count starts anew, what it has left is spread over the time. */
  private paceRate = Infinity;
  private pacedUntil = -Infinity;

  constructor(
    /** As configured. */
    private readonly ownPerMinute: number | undefined,
    /** How much of a limit is ours. */
    private readonly share: number,
    /** The least that fits in: one request, however few are allowed in a second. */
    private readonly leastCapacity: number,
    now: number,
  ) {
    if (ownPerMinute !== undefined) this.limitTo(ownPerMinute, now);
  }

  get isOff(): boolean {
    return this.ratePerMs === Infinity;
  }

  /** What is aimed at. */
  get perMinute(): number | undefined {
    return this.isOff ? undefined : this.ratePerMs * MINUTE_MS;
  }

  /** How long until this could be taken; 0: now. */
  waitMs(cost: number, now: number): number {
    if (this.isOff || cost <= 0) return 0;
    this.fill(now);
    const missing = Math.min(cost, this.capacity(now)) - this.level;
    if (missing <= TINY) return 0;
    const paced = Math.max(0, this.pacedUntil - now);
    const rate = this.rateNow(now);
    return missing <= rate * paced || paced === 0 ? missing / rate : paced + (missing - rate * paced) / this.ratePerMs;
  }

  /** Takes it, whether it fits or not; what is negative is given back. */
  take(cost: number, now: number): void {
    if (this.isOff) return;
    this.fill(now);
    this.level = Math.min(this.capacity(now), this.level - cost);
  }

  /** @returns until when nothing may be taken, where the server has nothing left */
  learn({ limit, remaining, resetMs }: LimitFacts, now: number): number | undefined {
    if (isAmount(limit) && limit > 0) this.limitTo(Math.min(limit, this.ownPerMinute ?? Infinity), now);
    if (!isAmount(remaining)) return undefined;
    const isTimed = isAmount(resetMs) && resetMs > 0;
    if (remaining === 0) return isTimed ? now + resetMs : undefined;
    if (this.isOff) return undefined;
    this.fill(now);
    this.pacedUntil = isTimed ? now + resetMs : -Infinity;
    this.paceRate = isTimed ? (remaining * this.share) / resetMs : Infinity;
    this.level = Math.min(this.level, remaining * this.share, this.capacity(now));
    return undefined;
  }

  private limitTo(perMinute: number, now: number): void {
    const rate = (perMinute * this.share) / MINUTE_MS;
    if (rate === this.ratePerMs) return;
    const wasOff = this.isOff;
    if (!wasOff) this.fill(now);
    this.ratePerMs = rate;
    this.filledAt = now;
    this.level = wasOff ? this.capacity(now) : Math.min(this.level, this.capacity(now));
  }

  private fill(now: number): void {
    if (now <= this.filledAt) return;
    const pacedMs = Math.max(0, Math.min(now, this.pacedUntil) - this.filledAt);
    const gained = pacedMs === 0 ? 0 : pacedMs * Math.min(this.paceRate, this.ratePerMs);
    this.level = Math.min(this.capacity(now), this.level + gained + (now - this.filledAt - pacedMs) * this.ratePerMs);
    this.filledAt = now;
  }

  private rateNow(now: number): number {
    return now < this.pacedUntil ? Math.min(this.paceRate, this.ratePerMs) : this.ratePerMs;
  }

  private capacity(now: number): number {
    return Math.max(this.leastCapacity, this.rateNow(now) * BURST_MS);
  }
}

function isAmount(value: number | undefined): value is number {
  return value !== undefined && value >= 0 && value < Infinity;
}
