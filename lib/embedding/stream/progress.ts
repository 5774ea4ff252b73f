import type { Clock } from '../../core/clock.js';

/** How far a stream of embeddings is. @publicApi */
export interface EmbeddingProgress {
  /** Items that have their vectors, those included that a checkpoint told to skip. */
  readonly done: number;
  /** Items that have none, by their own fault; only with `settle`. */
  readonly failed: number;
  /** As given in the options. */
  readonly total: number | undefined;
  /** Of this run: as the server counted them, else an estimate, else 0. */
  readonly tokens: number;
  /** What the tokens cost, where a price is known. */
  readonly cost: number | undefined;
  /** Items per second of late: what lies ten seconds back counts a third. */
  readonly perSecond: number;
  /** What is left at this speed; only with a `total`. */
  readonly etaMs: number | undefined;
  readonly elapsedMs: number;
}

const LEAST_INTERVAL_MS = 250;
/** How fast the past is forgotten. */
const MEMORY_MS = 10_000;

/** What a meter needs to know. @internal */
export interface ProgressParts {
  readonly clock: Clock;
  readonly total: number | undefined;
  readonly onProgress: ((progress: EmbeddingProgress) => void) | undefined;
  readonly priceOf: (tokens: number) => number | undefined;
}

/**
 * Counts, and tells of it at most four times a second. It has no timer: while nothing happens there is nothing to tell.
 *
 * @internal
 */
export class ProgressMeter {
  tokens = 0;
  failed = 0;
  private done = 0;
  /** Those that an earlier run has done: they tell nothing of the speed. */
  private skipped = 0;
  private startedAt: number;
  private toldAt: number;
  private toldCount = 0;
  /** Weighted mean of what was measured so far, not yet corrected for having begun at 0. */
  private mean = 0;

  constructor(private readonly parts: ProgressParts) {
    this.startedAt = parts.clock.now();
    this.toldAt = this.startedAt;
  }

  get elapsedMs(): number {
    return this.parts.clock.now() - this.startedAt;
  }

  get cost(): number | undefined {
    return this.parts.priceOf(this.tokens);
  }

  /** The work begins now, with so many items done before. */
  start(skipped: number): void {
    this.skipped = skipped;
    this.startedAt = this.toldAt = this.parts.clock.now();
  }

  add(done: number, failed: number, tokens: number): void {
    this.done += done;
    this.failed += failed;
    this.tokens += tokens;
    if (this.parts.onProgress === undefined) return;
    const now = this.parts.clock.now();
    if (now - this.toldAt >= LEAST_INTERVAL_MS) this.tell(now);
  }

  /** Tells once more, however short it is since the last time. */
  end(): void {
    if (this.parts.onProgress !== undefined) this.tell(this.parts.clock.now());
  }

  private tell(now: number): void {
    const { total, onProgress } = this.parts;
    const { failed, tokens, cost } = this;
    const elapsedMs = now - this.startedAt;
    const perSecond = this.speed(now, elapsedMs);
    const done = this.skipped + this.done;
    const left = total === undefined ? undefined : Math.max(total - done - failed, 0);
    const etaMs = left === 0 ? 0 : left === undefined || perSecond === 0 ? undefined : (left / perSecond) * 1_000;
    onProgress!({ done, failed, total, tokens, cost, perSecond, etaMs, elapsedMs });
  }

  /** An average that forgets, weighted by time; its first value is the plain average. */
  private speed(now: number, elapsedMs: number): number {
    const passedMs = now - this.toldAt;
    const count = this.done + this.failed;
    if (passedMs > 0) {
      const kept = Math.exp(-passedMs / MEMORY_MS);
      this.mean = this.mean * kept + ((count - this.toldCount) / passedMs) * 1_000 * (1 - kept);
      this.toldAt = now;
      this.toldCount = count;
    }
    return elapsedMs === 0 ? 0 : this.mean / (1 - Math.exp(-elapsedMs / MEMORY_MS));
  }
}
