import { checkGroup, type Rule, yesOrNo } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/pool-errors.js';
import { finiteDuration } from './patience-rules.js';

/** What halved the connections once does not halve them again: answers that come together tell of one excess. */
const MIN_BETWEEN_CUTS_MS = 1_000;

/**
 * How the number of requests at a time follows what the server puts up with.
 *
 * @internal
 */
export interface EmbeddingConcurrencyOptions {
  /** `false`: the pool's size is left alone. Default: `true`. */
  readonly enabled?: boolean;
  /** One more connection after so many milliseconds without a refusal for too many requests. Default: 10 000. */
  readonly growEveryMs?: number;
}

/** @internal */
export type ResolvedEmbeddingConcurrency = Readonly<Required<EmbeddingConcurrencyOptions>>;

const RULES: Record<keyof EmbeddingConcurrencyOptions, Rule> = { enabled: yesOrNo, growEveryMs: finiteDuration };

/**
 * @param options `false`: the pool's size is left alone
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveConcurrency(
  pool: string,
  options: EmbeddingConcurrencyOptions | false = {},
): ResolvedEmbeddingConcurrency {
  if (options === false) return resolveConcurrency(pool, { enabled: false });
  const problems = checkGroup(RULES, options, 'concurrency.');
  if (problems.length > 0) throw new PoolOptionsError(pool, problems);
  const { enabled = true, growEveryMs = 10_000 } = options;
  return Object.freeze({ enabled, growEveryMs });
}

/** What is wanted of a pool. @internal */
export interface ResizablePool {
  stats(): PoolBounds;
  resize(bounds: Partial<PoolBounds>): void;
}

interface PoolBounds {
  readonly minConnections: number;
  readonly maxConnections: number;
}

/**
 * Halves the pool's connections when the server says that requests are too many, and gives them back one by one.
 *
 * The most that it gives back is what it found. Who resizes the pool meanwhile is right: that is then the most.
 *
 * @internal
 */
export class AdaptiveConcurrency {
  /** What is to be restored, while the pool is smaller. */
  private wanted: PoolBounds | undefined;
  /** As we set them last: anything else is somebody else's doing. */
  private set: PoolBounds = { minConnections: 0, maxConnections: 0 };
  private cutAt = -Infinity;
  private growAt = Infinity;

  constructor(
    private readonly pool: ResizablePool,
    private readonly options: ResolvedEmbeddingConcurrency,
  ) {}

  /**
   * The server said "too many".
   *
   * @param startedAt when the request began that it said so to: one that is older than the last cut says nothing about it
   * @returns the connections that the pool may have now, if they are fewer
   */
  onRateLimit(now: number, startedAt = now): number | undefined {
    if (!this.options.enabled) return undefined;
    this.growAt = now + this.options.growEveryMs;
    if (startedAt < this.cutAt || now - this.cutAt < MIN_BETWEEN_CUTS_MS) return undefined;
    const { maxConnections } = this.look();
    const half = Math.max(1, Math.floor(maxConnections / 2));
    // One that somebody has set to 0 must not grow by a refusal.
    if (half >= maxConnections) return undefined;
    this.cutAt = now;
    return this.resize(half);
  }

  /**
   * A request was answered. The pool is looked at only when growing is due.
   *
   * @returns the connections that the pool may have now, if they are more
   */
  onSuccess(now: number): number | undefined {
    if (now < this.growAt || this.wanted === undefined) return undefined;
    this.growAt = now + this.options.growEveryMs;
    const { maxConnections } = this.look();
    return this.resize(Math.min(maxConnections + 1, this.wanted.maxConnections));
  }

  /** Gives back what is still missing, and nothing that somebody else has set meanwhile. */
  restore(): void {
    if (this.wanted === undefined) return;
    this.look();
    this.resize(this.wanted.maxConnections);
    this.wanted = undefined;
  }

  /** The pool as it is. What differs from what we have set is what somebody else wants. */
  private look(): PoolBounds {
    const found = this.pool.stats();
    if (this.wanted !== undefined) {
      const { set, wanted } = this;
      const [min, max] = [found.minConnections, found.maxConnections];
      this.wanted = {
        minConnections: min === set.minConnections ? wanted.minConnections : min,
        maxConnections: max === set.maxConnections ? wanted.maxConnections : max,
      };
      this.set = { minConnections: min, maxConnections: max };
    }
    return found;
  }

  private resize(maxConnections: number): number | undefined {
    const { minConnections: min, maxConnections: max } = this.pool.stats();
    const wanted = (this.wanted ??= { minConnections: min, maxConnections: max });
    const minConnections = Math.min(wanted.minConnections, maxConnections);
    this.set = { minConnections, maxConnections };
    if (maxConnections >= wanted.maxConnections) this.wanted = undefined;
    if (minConnections === min && maxConnections === max) return undefined;
    try {
      // A minimum that fits is not named: where nobody has set one, it follows the maximum.
      this.pool.resize(minConnections === min ? { maxConnections } : { minConnections, maxConnections });
    } catch {
      // It was closed meanwhile. The request's own fate is told by its own error.
      this.wanted = undefined;
      return undefined;
    }
    return maxConnections;
  }
}
