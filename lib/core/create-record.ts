import { Deadline } from './deadlines.js';
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

  constructor(private readonly backoff: Required<RetryBackoff>) {
    super();
  }

  failed(error: unknown, now: number): void {
    this.failuresInRow += 1;
    this.lastError = error;
    this.lastFailedAt = now;
    this.holdOff(now);
  }

  /** The upstream answers: whatever is missing may be opened at once. */
  succeeded(): void {
    this.failuresInRow = 0;
    this.retryAt = -Infinity;
  }

  /** Full jitter over a doubling ceiling, at least 1 ms: a retry must always let a real timer run. */
  holdOff(now: number): void {
    const { initialMs, factor, maxMs } = this.backoff;
    const ceiling = Math.min(maxMs, initialMs * factor ** Math.max(0, this.failuresInRow - 1));
    this.retryAt = now + Math.max(1, Math.random() * ceiling);
  }

  /** The error that explains why nobody is served, while it lasts. */
  get currentError(): unknown {
    return this.failuresInRow > 0 ? this.lastError : undefined;
  }

  lastFailure(now: number): CreateFailure | undefined {
    if (this.lastError === undefined) return undefined;
    const { name, code } = this.lastError as { name?: unknown; code?: unknown };
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
