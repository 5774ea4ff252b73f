import { type Clock, systemClock } from '../../core/clock.js';
import { group } from '../../core/option-rules.js';
import { type CountTokens, loadTokenizer } from '../batching/tokenizer.js';
import { EmbeddingCache } from '../cache/cache-tiers.js';
import { checkCacheOptions } from '../cache/cache-options.js';
import type { EmbeddingEndpointOptions, EmbeddingOptions, ResolvedEmbeddingOptions } from '../embedding-options.js';
import { resolveEmbeddingOptions } from '../embedding-options.js';
import { Breaker } from '../patience/breaker.js';
import { checkBreaker, resolveBreaker } from '../patience/breaker-options.js';
import { AdaptiveConcurrency, resolveConcurrency } from '../patience/concurrency.js';
import { checkRateLimit, resolveRateLimit } from '../patience/rate-limit-options.js';
import { RateLimiter } from '../patience/rate-limiter.js';
import { RetryBudget } from '../patience/retry-budget.js';
import { checkRetry, resolveRetry, RetryPolicy } from '../patience/retry-policy.js';
import { Timeline } from '../patience/timeline.js';
import { checkWantedProfile, profileFor } from '../profiles/profile-registry.js';
import { EmbeddingEndpoint } from './endpoint.js';
import { EmbeddingEngine } from './embedding-engine.js';
import type { EmbeddingGateway } from './gateway.js';
import { Hedging } from './hedging.js';

/** One pool that texts may be sent over, with what differs from the others. @internal */
export interface EndpointPlan extends Partial<EmbeddingEndpointOptions> {
  readonly gateway: EmbeddingGateway;
}

/** @internal */
export interface AssemblyParts {
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

/** An engine with all that it is made of. @internal */
export interface Assembly {
  readonly engine: EmbeddingEngine;
  readonly endpoints: readonly EmbeddingEndpoint[];
  readonly options: ResolvedEmbeddingOptions;
  readonly cache: EmbeddingCache | undefined;
  readonly hedging: Hedging | undefined;
  readonly timeline: Timeline;
  /** Where exact counts were asked for: whether they are to be had. */
  readonly tokenizer: Promise<boolean> | undefined;
}

/** A host that nobody knows, for pools that do not tell theirs. */
const NOWHERE = new URL('http://unknown.invalid/');

/**
 * @param plans the first is asked; the others when it is down
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function assemble(plans: readonly EndpointPlan[], given: EmbeddingOptions, parts: AssemblyParts = {}): Assembly {
  const { clock = systemClock, random } = parts;
  const { name } = plans[0]!.gateway.pool;
  const options = resolveEmbeddingOptions(name, given, isGroup(given) ? problemsOf(given, plans) : []);
  const { retry = {}, cache: cacheOptions = {}, hedging: hedge } = options;
  const timeline = new Timeline(clock);
  const { tokenizer, countTokens } = counterOf(options);
  const [first, ...others] = plans;
  const endpoints = [{ profile: options.profile, ...first! }, ...others].map((plan) =>
    endpointOf(plan, options, timeline, clock),
  );
  const cache =
    cacheOptions === false ? undefined : new EmbeddingCache(cacheOptions, { name, clock, timers: timeline as never });
  const hedging = hedge === undefined ? undefined : new Hedging(hedge, timeline);
  const engine = new EmbeddingEngine({
    name,
    endpoints,
    options,
    timeline,
    cache,
    policy: retry === false ? undefined : new RetryPolicy(resolveRetry(name, retry)),
    budget: new RetryBudget(resolveRetry(name, retry === false ? {} : retry)),
    hedging,
    countTokens,
    ...(random === undefined ? {} : { random }),
  });
  return { engine, endpoints, options, cache, hedging, timeline, tokenizer };
}

/** What the parts would refuse one after the other, all in one error. */
function problemsOf(options: EmbeddingOptions, plans: readonly EndpointPlan[]): string[] {
  const { retry, breaker, rateLimit, cache, profile: own } = options;
  return [
    ...(isGroup(retry) ? checkRetry(retry) : []),
    ...(isGroup(breaker) ? checkBreaker(breaker) : []),
    ...(isGroup(rateLimit) ? checkRateLimit(rateLimit) : []),
    ...(isGroup(cache) ? checkCacheOptions(cache, 'cache.') : []),
    ...(isGroup(own) || typeof own === 'string' ? checkWantedProfile(own) : []),
    ...plans.slice(1).flatMap(({ profile }, at) => checkWantedProfile(profile, `failover[${at}].profile`)),
  ];
}

/** Anything else is named where the options as a whole are checked. */
function isGroup<T>(value: T): value is T & object {
  return group(value) === undefined;
}

function endpointOf(
  { gateway, model, profile }: EndpointPlan,
  options: ResolvedEmbeddingOptions,
  timeline: Timeline,
  clock: Clock,
): EmbeddingEndpoint {
  const { name } = gateway.pool;
  const { breaker = {}, rateLimit = {}, adaptiveConcurrency = true } = options;
  const { baseURL } = gateway;
  const kind = profileFor(baseURL === undefined ? NOWHERE : new URL(baseURL), profile);
  return new EmbeddingEndpoint({
    gateway,
    profile: kind,
    model: model ?? options.model,
    breaker: new Breaker(resolveBreaker(name, breaker === false ? { enabled: false } : breaker), clock),
    limiter: new RateLimiter(resolveRateLimit(name, rateLimit === false ? {} : rateLimit), timeline),
    concurrency: new AdaptiveConcurrency(gateway.pool, resolveConcurrency(name, { enabled: adaptiveConcurrency })),
    timeline,
    options,
  });
}

/** Until the tokenizer is there, and where it is not, tokens are estimated. */
function counterOf({ tokens = 'estimate', model }: ResolvedEmbeddingOptions): {
  readonly countTokens: () => CountTokens | undefined;
  readonly tokenizer: Promise<boolean> | undefined;
} {
  let count = typeof tokens === 'function' ? tokens : undefined;
  const countTokens = (): CountTokens | undefined => count;
  if (tokens !== 'exact') return { countTokens, tokenizer: undefined };
  const tokenizer = loadTokenizer(model).then((loaded) => {
    count = loaded;
    return loaded !== undefined;
  });
  return { countTokens, tokenizer };
}
