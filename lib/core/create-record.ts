import { Deadline } from './deadlines.js';
import { traitOf } from './pool-errors.js';
import type { ResolvedPoolOptions } from './pool-options.js';
import type { CreateFailure } from './pool-stats.js';

/**
 * How opening connections has been going, whether the upstream counts as down, and when the next attempt may be made. Its
 * deadline wakes the pool for that.
 *
 * @internal
 */
export class CreateRecord extends Deadline {
  failuresInRow = 0;
  /** Since when the upstream fails: acquires that nothing idle can serve are turned away, and one create at a time probes it. */
  downSince: number | undefined;
  /** The last failure will not mend by itself, such as a wrong password: only an acquire may try again. */
  isHalted = false;
  retryAt = -Infinity;
  lastError: unknown = undefined;
  private lastFailedAt = 0;
  /** Failed rounds of creates: ten that were under way together and fail together are one blow, not ten. */
  private rounds = 0;
  /** Connections in a row that were opened and died before anybody used them. */
  private stillborn = 0;
  /** When the last pause began. */
  private heldOffAt = -Infinity;

  constructor(private readonly options: Pick<ResolvedPoolOptions<unknown>, 'createRetry' | 'downAfter'>) {
    super();
  }

  /**
   * @param since when the create began
   * @returns whether the upstream counts as down from now on
   */
  failed(error: unknown, isRetryable: boolean, since: number, now: number): boolean {
    this.failuresInRow += 1;
    this.lastError = error;
    this.lastFailedAt = now;
    this.isHalted = !isRetryable;
    if (since >= this.retryAt) {
      this.rounds += 1;
      this.holdOff(now);
    }
    if (this.isDown || this.failuresInRow < this.options.downAfter) return false;
    this.downSince = now;
    return true;
  }

  get isDown(): boolean {
    return this.downSince !== undefined;
  }

  succeeded(): void {
    // The upstream is back, so the minimum need not sit out a pause. One that was made for another reason stays.
    if (this.failuresInRow > 0) this.retryAt = -Infinity;
    this.failuresInRow = 0;
    this.rounds = 0;
    this.downSince = undefined;
    this.isHalted = false;
  }

  /**
   * A connection died before anybody used it: as an upstream behaves that accepts and hangs up. Several that were open
   * together are one blow, and one that lay idle for long tells of a restart, which needs no pause.
   */
  diedUnused(openedAt: number, now: number): void {
    if (openedAt <= this.heldOffAt || now - openedAt > this.options.createRetry.maxMs) return;
    this.stillborn += 1;
    this.holdOff(now);
  }

  /** A connection ended that had been of use. */
  wasOfUse(): void {
    this.stillborn = 0;
  }

  /** Full jitter over a doubling ceiling, at least 1 ms: a retry must always let a real timer run. */
  private holdOff(now: number): void {
    const { initialMs, factor, maxMs } = this.options.createRetry;
    const ceiling = Math.min(maxMs, initialMs * factor ** (Math.max(1, this.rounds, this.stillborn) - 1));
    this.heldOffAt = now;
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
