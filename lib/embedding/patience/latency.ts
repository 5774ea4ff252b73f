import { CallShare } from './call-share.js';

const SHARE = 0.95;
const GROWTH = 1.05;
const BUCKETS = 128;
const SAMPLES = 256;
const LOG_GROWTH = Math.log(GROWTH);

/**
 * How long single queries took lately, for the question when a second one is worth sending. Counts in buckets, each 5 %
 * wider than the one before, over the last 256 samples: no allocation and no sorting.
 *
 * @internal
 */
export class RecentLatency {
  /** The bucket of each sample, as a ring. */
  private readonly ring = new Uint8Array(SAMPLES);
  private readonly counts = new Uint16Array(BUCKETS);
  private next = 0;
  private size = 0;
  private latest: number | undefined;

  constructor(
    /** Nothing below is told apart: no second query goes out earlier. */
    private readonly minMs = 200,
    private readonly minSamples = 20,
  ) {}

  add(ms: number): void {
    if (this.size === SAMPLES) this.counts[this.ring[this.next]!]! -= 1;
    else this.size += 1;
    const bucket = this.bucketOf(ms);
    this.ring[this.next] = bucket;
    this.counts[bucket]! += 1;
    this.next = (this.next + 1) % SAMPLES;
    this.latest = undefined;
  }

  /**
   * The time within which 95 % of the recent queries were answered, at least the minimum and at most 5 % too long.
   * `undefined` until enough are known.
   */
  hedgeAfterMs(): number | undefined {
    if (this.size < this.minSamples) return undefined;
    return (this.latest ??= this.percentile());
  }

  private percentile(): number {
    let above = this.size - Math.ceil(this.size * SHARE);
    let bucket = BUCKETS - 1;
    while (bucket > 0 && (above -= this.counts[bucket]!) >= 0) bucket -= 1;
    return this.minMs * GROWTH ** bucket;
  }

  /** The first bucket holds all up to the minimum, the last one whatever takes longer than 490 times that. */
  private bucketOf(ms: number): number {
    if (!(ms > this.minMs)) return 0;
    return Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / this.minMs) / LOG_GROWTH));
  }
}

/**
 * Keeps second queries within a share of all calls, with none to begin with.
 *
 * @internal
 */
export class HedgeBudget extends CallShare {
  /** @param share of all calls, from 0 to 1 */
  constructor(share = 0.05) {
    super(share, 0);
  }
}
