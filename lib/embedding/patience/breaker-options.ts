import { checkGroup, type Rule, wholeFrom, yesOrNo } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/pool-errors.js';
import { finiteDuration, someShare } from './patience-rules.js';

/**
 * When a server is left alone because most of what it is sent fails. Answers that tell of a wrong request, or of too many,
 * never count: the server is well then.
 *
 * @publicApi
 */
export interface EmbeddingBreakerOptions {
  /** Default: `true`. */
  readonly enabled?: boolean;
  /** How far back it looks, in milliseconds. Default: 10 000. */
  readonly windowMs?: number;
  /** Fewer calls than this within the window prove nothing. Default: 20. */
  readonly minCalls?: number;
  /** It opens when this share of them failed, above 0, up to 1. Default: 0.5. */
  readonly failureRate?: number;
  /** How long the server is left alone at first, in milliseconds; each probe that fails doubles it. Default: 5 000. */
  readonly openMs?: number;
  /** The longest that it doubles to, in milliseconds. Default: 60 000. */
  readonly maxOpenMs?: number;
  /** How long it is left alone when there is nothing left to spend, in milliseconds. Default: 300 000. */
  readonly quotaOpenMs?: number;
}

/** @internal */
export type ResolvedEmbeddingBreaker = Readonly<Required<EmbeddingBreakerOptions>>;

const RULES: Record<keyof EmbeddingBreakerOptions, Rule> = {
  enabled: yesOrNo,
  windowMs: finiteDuration,
  minCalls: wholeFrom(1),
  failureRate: someShare,
  openMs: finiteDuration,
  maxOpenMs: finiteDuration,
  quotaOpenMs: finiteDuration,
};

/** Every problem of these options, in words. @internal */
export function checkBreaker(options: EmbeddingBreakerOptions, prefix = 'breaker.'): string[] {
  return checkGroup(RULES, options, prefix);
}

/**
 * @param options `false`: there is none
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveBreaker(pool: string, options: EmbeddingBreakerOptions | false = {}): ResolvedEmbeddingBreaker {
  if (options === false) return resolveBreaker(pool, { enabled: false });
  const problems = checkBreaker(options);
  if (problems.length > 0) throw new PoolOptionsError(pool, problems);
  const { enabled = true, windowMs = 10_000, minCalls = 20, failureRate = 0.5 } = options;
  const { openMs = 5_000, maxOpenMs = 60_000, quotaOpenMs = 300_000 } = options;
  return Object.freeze({ enabled, windowMs, minCalls, failureRate, openMs, maxOpenMs, quotaOpenMs });
}
