import { checkGroup, type Rule, share, wholeFrom, wholeOrInfinity } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/pool-errors.js';
import { durationFromZero, finiteDuration, fromOne } from './patience-rules.js';

/** A server's hint is obeyed a little late: who was turned away together must not come back together. */
const HINT_JITTER = 0.1;

/**
 * When a request is sent again that failed by something that passes: an overload, a lost connection, a server's trouble.
 *
 * @publicApi
 */
export interface EmbeddingRetryOptions {
  /** Requests for the same texts, the first one included; 1: none is sent again. Default: 4. */
  readonly attempts?: number;
  /** The first pause is drawn from 0 to this many milliseconds. Default: 500. */
  readonly initialMs?: number;
  /** How much that grows from pause to pause. Default: 2. */
  readonly factor?: number;
  /** The longest that it grows to, in milliseconds. Default: 20 000. */
  readonly maxMs?: number;
  /** A server that asks for a longer pause than this is not waited for: the call fails with the hint. Default: 60 000. */
  readonly maxHintMs?: number;
  /** Retries as a share of all requests, from 0 to 1: in an outage they must not double the load. Default: 0.2. */
  readonly budget?: number;
  /** Retries that may be made beyond that share when there were none for a while. Default: 10. */
  readonly burst?: number;
}

/** @internal */
export type ResolvedEmbeddingRetry = Readonly<Required<EmbeddingRetryOptions>>;

const RULES: Record<keyof EmbeddingRetryOptions, Rule> = {
  attempts: wholeFrom(1),
  initialMs: finiteDuration,
  factor: fromOne,
  maxMs: finiteDuration,
  maxHintMs: durationFromZero,
  budget: share,
  burst: wholeOrInfinity(0),
};

/** Every problem of these options, in words. @internal */
export function checkRetry(options: EmbeddingRetryOptions, prefix = 'retry.'): string[] {
  return checkGroup(RULES, options, prefix);
}

/**
 * @param options `false`: nothing is sent again
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveRetry(pool: string, options: EmbeddingRetryOptions | false = {}): ResolvedEmbeddingRetry {
  if (options === false) return resolveRetry(pool, { attempts: 1 });
  const problems = checkRetry(options);
  if (problems.length > 0) throw new PoolOptionsError(pool, problems);
  const { attempts = 4, initialMs = 500, factor = 2, maxMs = 20_000, maxHintMs = 60_000 } = options;
  const { budget = 0.2, burst = 10 } = options;
  return Object.freeze({ attempts, initialMs, factor, maxMs, maxHintMs, budget, burst });
}

/**
 * How long to wait before the next attempt.
 *
 * @internal
 */
export class RetryPolicy {
  constructor(private readonly options: ResolvedEmbeddingRetry) {}

  /**
   * The whole range is drawn from ("full jitter"), unless the server said when. A hint of 0 says nothing.
   *
   * @param attempt the one that has failed, from 1
   * @param hintMs what the server asked for
   * @param isEnduring however often it was tried, unless nothing is to be tried twice
   * @returns `undefined`: there is no next attempt
   */
  delayMs(
    attempt: number,
    hintMs: number | undefined,
    random: () => number = Math.random,
    isEnduring = false,
  ): number | undefined {
    const { attempts, initialMs, factor, maxMs, maxHintMs } = this.options;
    if (attempt >= attempts && !(isEnduring && attempts > 1)) return undefined;
    if (hintMs !== undefined && hintMs > 0) {
      return hintMs > maxHintMs || hintMs === Infinity ? undefined : hintMs * (1 + HINT_JITTER * random());
    }
    return random() * Math.min(maxMs, initialMs * factor ** (attempt - 1));
  }
}
