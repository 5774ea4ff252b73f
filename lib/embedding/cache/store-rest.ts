import type { Clock } from '../../core/clock.js';

/** Failures in a row that a store is forgiven. */
const FORGIVEN = 2;
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 30_000;

/**
 * Leaves a store alone that fails: after three failures in a row for a second, then for twice as long each time, up to 30 s.
 * After each rest one request is let through; what it comes to decides for all.
 *
 * @internal
 */
export class StoreRest {
  private failures = 0;
  private restMs = FIRST_REST_MS;
  private until = -Infinity;

  constructor(private readonly clock: Clock) {}

  get isResting(): boolean {
    return this.clock.now() < this.until;
  }

  /** Whether the store may be asked now. After a rest only the first is told so: it is the one that tries. */
  mayAsk(): boolean {
    if (this.failures <= FORGIVEN) return true;
    if (this.isResting) return false;
    this.restMs = Math.min(this.restMs * 2, LONGEST_REST_MS);
    this.until = this.clock.now() + this.restMs;
    return true;
  }

  worked(): void {
    this.failures = 0;
    this.restMs = FIRST_REST_MS;
    this.until = -Infinity;
  }

  failed(): void {
    // Those that were under way when it began to fail all say the same; and the one that tries has set its rest already.
    if (this.isResting) return;
    this.failures += 1;
    if (this.failures > FORGIVEN) this.until = this.clock.now() + this.restMs;
  }
}
