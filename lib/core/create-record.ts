import { Deadline } from './deadlines.js';
import { traitOf } from './pool-errors.js';
import type { RetryBackoff } from './pool-options.js';
import type { CreateFailure } from './pool-stats.js';

/**
 * How opening connections has been going, and when the background may try again. Its deadline wakes the pool for that.
 *
 * @internal
 */
export class CreateRecord extends Deadline {
  failuresInRow = 0;
  retryAt = -Infinity;
  lastError: unknown = undefined;
  private lastFailedAt = 0;
  /** Failed rounds of creates: ten that were under way together and fail together are one blow, not ten. */
  private rounds = 0;

  constructor(private readonly backoff: Required<RetryBackoff>) {
    super();
  }

  /** @param since when the create began */
  failed(error: unknown, since: number, now: number): void {
    this.failuresInRow += 1;
    this.lastError = error;
    this.lastFailedAt = now;
    if (since < this.retryAt) return;
    this.rounds += 1;
    this.holdOff(now);
  }

  succeeded(): void {
    // The upstream is back, so the minimum need not sit out a pause. One that was made for another reason stays.
    if (this.failuresInRow > 0) this.retryAt = -Infinity;
    this.failuresInRow = 0;
    this.rounds = 0;
  }

  /** Full jitter over a doubling ceiling, at least 1 ms: a retry must always let a real timer run. */
  holdOff(now: number): void {
    const { initialMs, factor, maxMs } = this.backoff;
    const ceiling = Math.min(maxMs, initialMs * factor ** Math.max(0, this.rounds - 1));
    this.retryAt = now + Math.max(1, Math.random() * ceiling);
  }

  /** The error that explains why nobody is served, while it lasts. */
  get currentError(): unknown {
    return this.failuresInRow > 0 ? this.lastError : undefined;
  }

  lastFailure(now: number): CreateFailure | undefined {
    if (this.lastError === undefined) return undefined;
    const [name, code] = [traitOf(this.lastError, 'name'), traitOf(this.lastError, 'code')];
    return Object.freeze({
      name: typeof name === 'string' ? name : typeof this.lastError,
      code: typeof code === 'string' ? code : undefined,
      at: this.lastFailedAt,
      agoMs: Math.max(0, now - this.lastFailedAt),
    });
  }

  expire(): void {
    // Waking is all: the pool looks at what it wants after every wake.
  }
}
