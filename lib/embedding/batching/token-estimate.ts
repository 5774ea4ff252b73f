/** Fewer bytes than a token has in nearly all languages, so that the first estimates are too high rather than too low. */
const BYTES_PER_TOKEN = 2.5;
/** What a server's count may be, as a multiple of the uncalibrated estimate: nothing that it embeds is beyond these. */
const LEAST_FACTOR = 0.1;
const MOST_FACTOR = 4;
/** Up fast, down slowly: an estimate that is too low costs a refused request, one that is too high only a smaller batch. */
const RISE = 0.5;
const FALL = 0.1;
/** From so many bytes on a count is taken in full. In short texts the server's own marks weigh more than the words. */
const TELLING_BYTES = 1_000;

/**
 * How many tokens a text has, by its bytes; calibrated by what a server has counted. One for each endpoint and model.
 *
 * @internal
 */
export class TokenEstimate {
  private current = 1;

  /** The server's counts, as a multiple of the uncalibrated estimate. 1 until something was learned. */
  get factor(): number {
    return this.current;
  }

  /** From 1, and never above the text's bytes: no token has less than one. */
  estimate(bytes: number): number {
    return Math.max(1, Math.min(bytes, Math.ceil((bytes / BYTES_PER_TOKEN) * this.current)));
  }

  /**
   * Ignores what no server can have counted.
   *
   * @param bytes of all texts of the request, and not their estimate: that may be older than what was learned since
   * @param actual as the server counted them
   */
  learn(bytes: number, actual: number): void {
    const seen = actual / (bytes / BYTES_PER_TOKEN);
    if (!(bytes > 0 && seen >= LEAST_FACTOR && seen <= MOST_FACTOR)) return;
    const pace = (seen > this.current ? RISE : FALL) * Math.min(1, bytes / TELLING_BYTES);
    this.current += pace * (seen - this.current);
  }
}
