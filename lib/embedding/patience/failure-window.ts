const BUCKETS = 10;

/**
 * How many calls of the recent past failed. Ten buckets of a tenth of the time each: a call costs an addition, and what is
 * counted is between nine tenths of the window and all of it.
 *
 * @internal
 */
export class FailureWindow {
  calls = 0;
  failures = 0;
  private readonly bucketMs: number;
  private readonly callsOf = new Float64Array(BUCKETS);
  private readonly failuresOf = new Float64Array(BUCKETS);
  /** The bucket of now, counted from the clock's zero. */
  private current = -Infinity;

  constructor(windowMs: number) {
    this.bucketMs = windowMs / BUCKETS;
  }

  count(isFailure: boolean, now: number): void {
    this.moveTo(now);
    const at = placeOf(this.current);
    this.calls += 1;
    this.callsOf[at]! += 1;
    if (!isFailure) return;
    this.failures += 1;
    this.failuresOf[at]! += 1;
  }

  /** Forgets what is older than the window. */
  moveTo(now: number): void {
    const bucket = Math.floor(now / this.bucketMs);
    if (bucket <= this.current) return;
    if (bucket - this.current >= BUCKETS) this.clear();
    else for (let each = this.current + 1; each <= bucket; each += 1) this.empty(placeOf(each));
    this.current = bucket;
  }

  clear(): void {
    this.calls = 0;
    this.failures = 0;
    this.callsOf.fill(0);
    this.failuresOf.fill(0);
  }

  private empty(at: number): void {
    this.calls -= this.callsOf[at]!;
    this.failures -= this.failuresOf[at]!;
    this.callsOf[at] = 0;
    this.failuresOf[at] = 0;
  }
}

/** A clock may read below zero. */
function placeOf(bucket: number): number {
  return ((bucket % BUCKETS) + BUCKETS) % BUCKETS;
}
