/** What the workers saw. */
export class Tally {
  ok = 0;
  /** How often each class of error came, by `where: name code`. */
  failed = {};
  /** Sentences about rules that were broken, each with how often. */
  broken = new Map();
  #tookMs = [];

  success(tookMs) {
    this.ok += 1;
    this.#tookMs.push(tookMs);
  }

  failure(where, error) {
    const kind = [error?.name ?? typeof error, error?.code].filter(Boolean).join(' ');
    const key = `${where}: ${kind}`;
    this.failed[key] = (this.failed[key] ?? 0) + 1;
  }

  breach(sentence) {
    this.broken.set(sentence, (this.broken.get(sentence) ?? 0) + 1);
  }

  get failures() {
    return Object.values(this.failed).reduce((sum, count) => sum + count, 0);
  }

  percentiles() {
    const sorted = Float64Array.from(this.#tookMs).sort();
    const at = (share) => Math.round(10 * (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN)) / 10;
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }
}
