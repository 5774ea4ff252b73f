/**
 * How long something took, over the life of the pool, in milliseconds. Percentiles are those of buckets and may be off by
 * 7 %; `max` is exact.
 *
 * @publicApi
 */
export interface DurationSummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Buckets per doubling: 8 make each at most 1/8 wide, so its middle is at most 1/15 from anything in it. */
const PER_DOUBLING = 8;
/** Below this many units every value has a bucket of its own. */
const LINEAR = 2 * PER_DOUBLING;
/** A unit is 4 µs: nothing that a pool does to a connection is done in less. */
const UNITS_PER_MS = 256;
/** About 2 hours and 20 minutes. What takes longer is counted in the last bucket. */
const MOST_UNITS = 2 ** 31 - 1;
const BUCKETS = LINEAR + (31 - Math.log2(LINEAR)) * PER_DOUBLING;

/**
 * Counts durations in buckets that widen with them: constant memory, no allocation and no search per record.
 *
 * @internal
 */
export class Histogram {
  private count = 0;
  private max = 0;
  /** Made with the first record, so that a pool that is never used does not pay for it. */
  private buckets: Float64Array | undefined;
  private latest: DurationSummary | undefined;

  record(ms: number): void {
    this.count += 1;
    if (ms > this.max) this.max = ms;
    this.buckets ??= new Float64Array(BUCKETS);
    this.buckets[bucketOf(ms)]! += 1;
  }

  /** The same frozen object until something else was recorded: a storm of errors, each with statistics, asks often. */
  summary(): DurationSummary {
    if (this.latest?.count !== this.count) {
      const { count, max } = this;
      const [p50, p90, p99] = [this.percentile(0.5), this.percentile(0.9), this.percentile(0.99)];
      this.latest = Object.freeze({ count, p50, p90, p99, max });
    }
    return this.latest!;
  }

  private percentile(share: number): number {
    if (this.buckets === undefined) return 0;
    let rest = Math.ceil(this.count * share);
    let bucket = 0;
    while (bucket < BUCKETS - 1 && (rest -= this.buckets[bucket]!) > 0) bucket += 1;
    return Math.min(middleOf(bucket), this.max);
  }
}

function bucketOf(ms: number): number {
  const units = ms * UNITS_PER_MS < MOST_UNITS ? (ms * UNITS_PER_MS) | 0 : MOST_UNITS;
  if (units < LINEAR) return units > 0 ? units : 0;
  // Which doubling, and which eighth of it: the bits below the highest.
  const shift = 28 - Math.clz32(units);
  return LINEAR + (shift - 1) * PER_DOUBLING + ((units >> shift) & (PER_DOUBLING - 1));
}

function middleOf(bucket: number): number {
  if (bucket < LINEAR) return bucket / UNITS_PER_MS;
  const shift = Math.floor((bucket - LINEAR) / PER_DOUBLING) + 1;
  const eighth = (bucket - LINEAR) % PER_DOUBLING;
  return ((PER_DOUBLING + eighth + 0.5) * 2 ** shift) / UNITS_PER_MS;
}
