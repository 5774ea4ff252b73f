import { checkGroup, group, type Rule, shapeOf, someText, wholeFrom } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/pool-errors.js';
import type { LimiterStore } from './limiter-store.js';
import { aboveZero, someShare } from './patience-rules.js';

/**
 * How fast requests may start. Without limits nothing is held back until the server tells its own, by the headers of its
 * answers, or says "too many".
 *
 * @publicApi
 */
export interface EmbeddingRateLimitOptions {
  /** As granted by the server. Default: as its answers tell, else none. */
  readonly requestsPerMinute?: number;
  /** As granted by the server. Default: as its answers tell, else none. */
  readonly tokensPerMinute?: number;
  /** Which share of the limits is aimed at, above 0, up to 1. Default: 0.9. */
  readonly share?: number;
  /** Keeps the limits for several processes. Default: each process keeps its own. */
  readonly store?: LimiterStore;
  /** Whose limits they are, in the store: the same for all who share them. Default: the pool's name. */
  readonly key?: string;
  /**
   * How many processes spend from the same limits: each keeps to its part where there is no store, or while it fails.
   * Default: 1.
   */
  readonly instances?: number;
}

/** @internal */
export interface ResolvedEmbeddingRateLimit {
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  readonly share: number;
  readonly store: LimiterStore | undefined;
  readonly key: string;
  readonly instances: number;
  /** Whether limits in the headers of answers are kept to. */
  readonly learns: boolean;
}

const STORE_METHODS = ['reserve', 'settle', 'penalise'] as const;

const RULES: Record<keyof EmbeddingRateLimitOptions, Rule> = {
  requestsPerMinute: aboveZero,
  tokensPerMinute: aboveZero,
  share: someShare,
  store: group,
  key: someText,
  instances: wholeFrom(1),
};

/** Every problem of these options, in words. @internal */
export function checkRateLimit(options: EmbeddingRateLimitOptions, prefix = 'rateLimit.'): string[] {
  const problems = checkGroup(RULES, options, prefix);
  const store = (options as EmbeddingRateLimitOptions | null)?.store as unknown;
  if (store === undefined || group(store) !== undefined) return problems;
  const methods = store as Record<string, unknown>;
  const missing = STORE_METHODS.filter((method) => typeof methods[method] !== 'function').map(
    (method) => `${prefix}store.${method}: expected a function, got ${shapeOf(methods[method])}`,
  );
  return [...problems, ...missing];
}

/**
 * @param options `false`: nothing is held back but by a pause that the server asks for
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveRateLimit(
  pool: string,
  options: EmbeddingRateLimitOptions | false = {},
): ResolvedEmbeddingRateLimit {
  if (options === false) return Object.freeze({ ...resolveRateLimit(pool), learns: false });
  const problems = checkRateLimit(options);
  if (problems.length > 0) throw new PoolOptionsError(pool, problems);
  const { requestsPerMinute, tokensPerMinute, share = 0.9, store, key = pool, instances = 1 } = options;
  return Object.freeze({ requestsPerMinute, tokensPerMinute, share, store, key, instances, learns: true });
}
