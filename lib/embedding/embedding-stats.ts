import type { EmbeddingCacheStats } from './cache/cache-tiers.js';
import type { Assembly } from './engine/assemble.js';
import type { EmbeddingEndpoint } from './engine/endpoint.js';
import type { EmbeddingBreakerState } from './patience/breaker.js';
import type { EmbeddingLimits } from './profiles/profile.js';

/** One endpoint at a moment. @publicApi */
export interface EmbeddingEndpointStats {
  /** The pool's name. */
  readonly pool: string;
  /** How its server is spoken to. */
  readonly profile: string;
  readonly model: string;
  /** `open`: the server is left alone. */
  readonly state: EmbeddingBreakerState['is'];
  /** Why, and for how much longer, in milliseconds. */
  readonly reason: string | undefined;
  readonly retryInMs: number | undefined;
  /** Requests made so far. */
  readonly requests: number;
  /** Requests being made, those included that wait for the rate limit or a connection. */
  readonly inFlight: number;
  /** Requests that wait for the rate limit. */
  readonly held: number;
  readonly limits: EmbeddingLimits;
  /** Whether base64 is asked for; not any more once the server has refused. */
  readonly asksForBase64: boolean;
}

/** What an {@link EmbeddingService} is doing and has done. @publicApi */
export interface EmbeddingStats {
  readonly model: string;
  /** `embed()` and `embedMany()` so far, the chunks of streams included. */
  readonly calls: number;
  /** Texts that they had. */
  readonly texts: number;
  /** Of these, found in the cache. */
  readonly cached: number;
  /** Of these, the same as one that was under way. */
  readonly deduped: number;
  /** Texts that were sent, those of requests that were answered. */
  readonly embedded: number;
  /** Requests that were answered with vectors. */
  readonly requests: number;
  /** Attempts after the first. */
  readonly retries: number;
  /** Second requests for a text whose first took long. */
  readonly hedged: number;
  /** As the servers counted them, or as estimated where they did not. */
  readonly tokens: number;
  /** Calls that have not ended. */
  readonly pendingCalls: number;
  readonly cache: EmbeddingCacheStats | undefined;
  readonly endpoints: readonly EmbeddingEndpointStats[];
}

/** @internal */
export function statsOf({ engine, endpoints, options, cache, hedging, timeline }: Assembly): EmbeddingStats {
  const { calls, texts, cached, deduped, embedded, requests, retries, tokens } = engine.counters;
  return Object.freeze({
    model: options.model,
    calls,
    texts,
    cached,
    deduped,
    embedded,
    requests,
    retries,
    hedged: hedging?.hedged ?? 0,
    tokens,
    pendingCalls: engine.pendingCalls,
    cache: cache?.stats(),
    endpoints: endpoints.map((endpoint) => endpointStats(endpoint, timeline.now())),
  });
}

function endpointStats(endpoint: EmbeddingEndpoint, now: number): EmbeddingEndpointStats {
  const { profile, model, breaker, limiter } = endpoint.parts;
  const state = breaker.state();
  return {
    pool: endpoint.name,
    profile: profile.name,
    model,
    state: state.is,
    reason: state.is === 'closed' ? undefined : state.reason,
    retryInMs: state.is === 'open' ? Math.max(0, state.retryAt - now) : undefined,
    requests: endpoint.requests,
    inFlight: endpoint.inFlight,
    held: limiter.waiting,
    limits: endpoint.limits,
    asksForBase64: endpoint.isAskingForBase64,
  };
}
