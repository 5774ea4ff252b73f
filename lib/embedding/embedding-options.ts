import { PoolOptionsError } from '../core/index.js';
import {
  checkGroup,
  either,
  group,
  oneOf,
  positiveDuration,
  type Rule,
  shapeOf,
  someFunction,
  someText,
  wholeFrom,
  yesOrNo,
} from '../core/option-rules.js';
import type { EmbeddingCacheOptions } from './cache/cache-options.js';
import type { EmbeddingBreakerOptions } from './patience/breaker-options.js';
import type { EmbeddingRateLimitOptions } from './patience/rate-limit-options.js';
import type { EmbeddingRetryOptions } from './patience/retry-policy.js';
import type { EmbeddingInputType, EmbeddingProfile } from './profiles/profile.js';
import type { EmbeddingProfileName } from './profiles/profile-registry.js';

/** Takes names that come from a configuration too, and lets editors offer those that are known. */
type AnyText = string & Record<never, never>;

/** When a second request is made for a text that keeps its caller waiting. @publicApi */
export interface EmbeddingHedgeOptions {
  /** Never sooner than this. Default: 200. The delay itself is the 95th percentile of what such requests took. */
  readonly minDelayMs?: number;
  /** The share of calls that may be asked for twice. Default: 0.05. */
  readonly maxShare?: number;
}

/** What the options of an {@link EmbeddingService} and of its endpoints have in common. @publicApi */
export interface EmbeddingEndpointOptions {
  /** As the server names it. */
  readonly model: string;
  /** The kind of server, by name or as a profile of your own. Default: by the pool's `baseURL`, else `unknown`. */
  readonly profile?: EmbeddingProfileName | AnyText | EmbeddingProfile;
}

/** What decides what vectors come back, of a service and of a single call. @publicApi */
export interface EmbeddingVectorOptions {
  /** Asked of the server, and of every vector that comes back. Default: the model's own, pinned by the first answer. */
  readonly dimensions?: number;
  /** Whether texts are searched by or searched for, for models that embed the two differently. Default: not said. */
  readonly inputType?: EmbeddingInputType;
  /** Fields of the request that are not ours, such as `user` or `task`. They go before ours. */
  readonly extraBody?: Readonly<Record<string, unknown>>;
}

/**
 * Options of an {@link EmbeddingService}.
 *
 * @publicApi
 */
export interface EmbeddingOptions extends EmbeddingEndpointOptions, EmbeddingVectorOptions {
  /** Texts in one request, at most. Default: the profile's; 64 for a server that is not known. */
  readonly batchSize?: number;
  /** Tokens in one request, at most. Default: the profile's. */
  readonly maxBatchTokens?: number;
  /** Bytes of one request's body, at most. Default: the profile's. */
  readonly maxBatchBytes?: number;
  /** Whether `embed()` calls that come while all connections are busy share requests. Default: true. */
  readonly coalesce?: boolean;
  /** How tokens are counted: estimated, exactly by the package `gpt-tokenizer`, or by your own. Default: `estimate`. */
  readonly tokens?: 'estimate' | 'exact' | ((text: string) => number);
  /** What a text without a word comes to: an error, a vector of zeros, or one of no length. Default: `error`. */
  readonly onBlank?: 'error' | 'zero' | 'skip';
  /** What a text of too many tokens comes to: an error, or the vector of its beginning. Default: `error`. */
  readonly onTooLong?: 'error' | 'truncate';
  /** `auto` asks for base64, which is down to a quarter of the bytes, until the server refuses. Default: `auto`. */
  readonly encoding?: 'auto' | 'never';
  /** The whole of a call: queues, limits, retries and requests. A call's own goes before it. Default: 120 000. */
  readonly deadlineMs?: number;
  /** The whole of one request. Default: 60 000. */
  readonly attemptTimeoutMs?: number;
  /** Until the first byte of an answer. Default: 30 000. */
  readonly headerTimeoutMs?: number;
  /** Silence within an answer. Default: 15 000. */
  readonly bodyIdleTimeoutMs?: number;
  /** `false`: none. */
  readonly retry?: EmbeddingRetryOptions | false;
  /** `false`: none. The pool's own down state remains. */
  readonly breaker?: EmbeddingBreakerOptions | false;
  /** Requests and tokens per minute. Default: what the server's headers say. `false`: headers are ignored too. */
  readonly rateLimit?: EmbeddingRateLimitOptions | false;
  /** Whether the pool shrinks when the server answers 429, and grows back. Default: true. */
  readonly adaptiveConcurrency?: boolean;
  /** Default: off. */
  readonly hedge?: EmbeddingHedgeOptions | boolean;
  /** `false`: none. Default: 64 MiB in this process. */
  readonly cache?: EmbeddingCacheOptions | false;
  /** Default: true. A server that embeds a text differently each time makes it `false`. */
  readonly dedupe?: boolean;
  /** What a million tokens cost, for the ledger and the progress of streams. Default: list prices, where they are known. */
  readonly pricePerMillionTokens?: number;
}

/** @internal */
export interface ResolvedEmbeddingOptions extends EmbeddingOptions {
  readonly deadlineMs: number;
  readonly attemptTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  /** A server that asks for a longer pause is not waited for. */
  readonly maxHintMs: number;
  readonly hedging: Required<EmbeddingHedgeOptions> | undefined;
}

/** 2 048 is the most that the protocol allows. */
const MOST_INPUTS = 2_048;

const share: Rule = (value) =>
  typeof value === 'number' && value > 0 && value <= 1 ? undefined : 'a number from 0 to 1';
const off: Rule = (value) => (value === false ? undefined : 'false');
const batchSize: Rule = (value) =>
  wholeFrom(1)(value) === undefined && (value as number) <= MOST_INPUTS ? undefined : 'a whole number from 1 to 2048';
const model: Rule = (value) => (someText(value) === undefined ? undefined : "the model's name");
const price: Rule = (value) =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value) ? undefined : 'a number from 0';

const sendable: Rule = (value) => {
  try {
    if (group(value) === undefined && JSON.stringify(value) !== undefined) return undefined;
  } catch {
    // A circle, or a number that JSON does not know.
  }
  return 'an object that can be sent as JSON';
};

const VECTOR: Record<keyof EmbeddingVectorOptions, Rule> = {
  dimensions: wholeFrom(1),
  inputType: oneOf('query', 'document'),
  extraBody: sendable,
};
const RULES: Record<keyof EmbeddingOptions, Rule> = {
  ...VECTOR,
  model,
  profile: either(someText, group),
  batchSize,
  maxBatchTokens: wholeFrom(1),
  maxBatchBytes: wholeFrom(1),
  coalesce: yesOrNo,
  tokens: either(oneOf('estimate', 'exact'), someFunction),
  onBlank: oneOf('error', 'zero', 'skip'),
  onTooLong: oneOf('error', 'truncate'),
  encoding: oneOf('auto', 'never'),
  deadlineMs: positiveDuration,
  attemptTimeoutMs: positiveDuration,
  headerTimeoutMs: positiveDuration,
  bodyIdleTimeoutMs: positiveDuration,
  retry: either(off, group),
  breaker: either(off, group),
  rateLimit: either(off, group),
  adaptiveConcurrency: yesOrNo,
  hedge: either(yesOrNo, group),
  cache: either(off, group),
  dedupe: yesOrNo,
  pricePerMillionTokens: price,
};
const HEDGE: Record<keyof EmbeddingHedgeOptions, Rule> = { minDelayMs: positiveDuration, maxShare: share };

/**
 * Fills in what is decided here; what retry, breaker, rate limit and cache decide by themselves is checked there.
 *
 * @param others what is wrong beside, so that all is named at once
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveEmbeddingOptions(
  pool: string,
  given: EmbeddingOptions,
  others: readonly string[] = [],
): ResolvedEmbeddingOptions {
  const options = typeof given === 'object' && given !== null ? given : ({} as EmbeddingOptions);
  const problems =
    group(given) === undefined
      ? checkGroup(RULES, options)
      : [`options of EmbeddingModule: expected an object, got ${shapeOf(given)}`];
  if (options.model === undefined && group(given) === undefined) problems.push("model: expected the model's name");
  const { hedge = false } = options;
  if (group(hedge) === undefined) problems.push(...checkGroup(HEDGE, hedge as object, 'hedge.'));
  problems.push(...others);
  if (problems.length > 0) throw new PoolOptionsError(pool, problems);
  return {
    ...options,
    deadlineMs: options.deadlineMs ?? 120_000,
    attemptTimeoutMs: options.attemptTimeoutMs ?? 60_000,
    headerTimeoutMs: options.headerTimeoutMs ?? 30_000,
    bodyIdleTimeoutMs: options.bodyIdleTimeoutMs ?? 15_000,
    maxHintMs: (options.retry || {}).maxHintMs ?? 60_000,
    hedging: hedge === false ? undefined : { minDelayMs: 200, maxShare: 0.05, ...(hedge === true ? {} : hedge) },
  };
}

/** What one call may ask for. @publicApi */
export interface EmbedOptions extends EmbeddingVectorOptions {
  /** Ends the call wherever it is: in a queue, in a limit, before a retry, or in a request. */
  readonly signal?: AbortSignal;
  /** In place of the service's. */
  readonly deadlineMs?: number;
  /** Whose texts these are. Texts of different tenants share no request and no cached vector. */
  readonly tenant?: string;
  /** `false`: neither looked up nor kept. */
  readonly cache?: boolean;
}

const signal: Rule = (value) => (value instanceof AbortSignal ? undefined : 'an AbortSignal');

/** What every call may ask for. */
const CALL: Record<keyof EmbedOptions, Rule> = {
  ...VECTOR,
  signal,
  deadlineMs: positiveDuration,
  tenant: someText,
  cache: yesOrNo,
};

const onProgress: Rule = (value) => (typeof value === 'function' ? undefined : 'a function');

/** What one text may be asked for, and what many. */
const CALLS = { one: CALL, many: { ...CALL, settle: yesOrNo, onProgress, onUsage: onProgress } };

/**
 * @throws {@link PoolOptionsError} naming everything in a call's options that is wrong
 * @internal
 */
export function checkCall(service: string, call: object, texts: keyof typeof CALLS): void {
  const problems = checkGroup(CALLS[texts], call);
  if (problems.length > 0) throw new PoolOptionsError(service, problems);
}
