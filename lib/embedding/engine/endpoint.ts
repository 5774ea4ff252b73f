import { ConnectionCreateError, isPoolError, PoolDownError } from '../../core/index.js';
import { TokenEstimate } from '../batching/token-estimate.js';
import { EmbeddingApiError, type EmbeddingError } from '../embedding-errors.js';
import type { ResolvedEmbeddingOptions } from '../embedding-options.js';
import type { Breaker } from '../patience/breaker.js';
import type { AdaptiveConcurrency } from '../patience/concurrency.js';
import type { RateLimiter } from '../patience/rate-limiter.js';
import type { Timeline } from '../patience/timeline.js';
import type { EmbeddingLimits, EmbeddingProfile } from '../profiles/profile.js';
import { limitsOf, withLimits } from '../profiles/profile-registry.js';
import type { EmbeddingAnswer } from '../protocol/answer-reader.js';
import { type AnswerHeaders, rateLimitFacts } from '../protocol/retry-hints.js';
import { Exchange, type Order } from './exchange.js';
import { embeddingErrorOf, isTrouble, type RequestLimits } from './failure.js';
import type { EmbeddingGateway, GatewayAnswer } from './gateway.js';

/** A server that does not say what went wrong when it has had enough is left alone for so long. */
const UNTOLD_PAUSE_MS = 1_000;

/** What a server says of itself is asked for with this patience, and again after a while where it did not come. */
const DISCOVERY = { timeoutMs: 5_000, againAfterMs: 60_000 };

/** The parts of an endpoint that have a life of their own. @internal */
export interface EndpointParts {
  readonly gateway: EmbeddingGateway;
  readonly profile: EmbeddingProfile;
  readonly model: string;
  readonly breaker: Breaker;
  readonly limiter: RateLimiter;
  readonly concurrency: AdaptiveConcurrency;
  readonly timeline: Timeline;
  readonly options: ResolvedEmbeddingOptions;
}

/**
 * One pool with its server's manners: what may be sent, how much at once, and how its answers are to be understood.
 *
 * @internal
 */
export class EmbeddingEndpoint {
  readonly estimate = new TokenEstimate();
  limits: EmbeddingLimits;
  /** Requests that are being made, those included that wait for the rate limit or for a connection. */
  inFlight = 0;
  /** Texts of batches that are under way, those included that wait before another attempt. */
  inFlightInputs = 0;
  requests = 0;
  /** Whether base64 is asked for. */
  isAskingForBase64: boolean;
  /** When it was well last, on the timeline. */
  answeredAt = -Infinity;
  private readonly exchange: Exchange;
  private discovery: Promise<void> | undefined = undefined;
  private discoverAt = 0;

  constructor(readonly parts: EndpointParts) {
    const { profile, model, options } = parts;
    this.limits = this.bounded(limitsOf(profile, model));
    this.isAskingForBase64 = (options.encoding ?? profile.encoding) !== 'never';
    this.exchange = new Exchange({
      ...parts,
      asksForBase64: () => this.isAskingForBase64,
      isHeld: () => parts.limiter.pausedForMs() > 0,
      resumed: (signal) => parts.limiter.resumed(signal),
      heed: (answer, error) => this.heed(answer, error),
    });
  }

  get name(): string {
    return this.parts.gateway.pool.name;
  }

  /** Whether it is worth asking: its breaker is not open. */
  get isAvailable(): boolean {
    return this.parts.breaker.mayEnter;
  }

  /** How many more requests may be made now. */
  get free(): number {
    const capacity = Math.min(this.parts.gateway.pool.stats().maxConnections, this.limits.maxConcurrency);
    // A pool that has been shrunk to nothing keeps its borrowers waiting; it is not for us to do that.
    return Math.max(1, capacity) - this.inFlight;
  }

  /** How many more texts may be under way. */
  get freeInputs(): number {
    return this.inFlightInputs === 0 ? Infinity : this.limits.maxInFlightInputs - this.inFlightInputs;
  }

  /** Whether the server counts requests, so that few and full ones are better than many. */
  get countsRequests(): boolean {
    return this.parts.limiter.isLimitingRequests;
  }

  /** Learns what the server says of its limits. `undefined` when there is nothing to wait for. */
  prepare(signal: AbortSignal): Promise<void> | undefined {
    const { profile, timeline } = this.parts;
    if (profile.discover === undefined || timeline.now() < this.discoverAt) return undefined;
    this.discovery ??= this.discover(profile.discover, signal).finally(() => (this.discovery = undefined));
    return this.discovery;
  }

  /**
   * Makes one request, with all the waiting that the server has asked for before it.
   *
   * Rejects with an {@link EmbeddingError} or a pool's error.
   */
  async ask(order: Order): Promise<EmbeddingAnswer> {
    const { limiter, breaker } = this.parts;
    this.inFlight += 1;
    try {
      const cost = { requests: 1, tokens: order.tokens };
      if (!limiter.tryReserve(cost)) {
        order.onWait('waiting for the rate limit');
        await limiter.reserve(cost, order.signal);
      }
      order.onWait('waiting for a connection');
      const admission = breaker.enter();
      if (admission instanceof Error) {
        limiter.settle(-order.tokens);
        throw admission;
      }
      return await this.attempt(order, admission.isProbe);
    } finally {
      this.inFlight -= 1;
    }
  }

  private async attempt(order: Order, isProbe: boolean): Promise<EmbeddingAnswer> {
    const { breaker, concurrency, limiter, timeline } = this.parts;
    this.requests += 1;
    // As they are now: another answer may come before this one, and the model is loaded then.
    const limits = this.requestLimits();
    try {
      const answer = await this.exchange.run(order, limits);
      this.answeredAt = timeline.now();
      breaker.onSuccess(isProbe);
      concurrency.onSuccess(timeline.now());
      if (answer.tokens !== undefined) {
        this.estimate.learn(order.bytes, answer.tokens);
        limiter.settle(answer.tokens - order.tokens);
      }
      return answer;
    } catch (error) {
      const own = embeddingErrorOf(error, limits);
      // A call of the user's own has no answer that could have been heeded.
      if (this.parts.profile.call !== undefined && own instanceof EmbeddingApiError) this.holdBack(own);
      this.onFailure(own as Error, isProbe, order);
      throw own;
    }
  }

  /** What an answer means for the requests after it. */
  private heed({ headers }: GatewayAnswer, error: EmbeddingApiError | undefined): void {
    const { limiter, options } = this.parts;
    if (options.rateLimit !== false) limiter.learn(rateLimitFacts(headers as AnswerHeaders));
    if (error === undefined) return;
    this.holdBack(error);
    // Before its connection goes to the next one, who would ask in vain.
    if (error.parameter === 'encoding_format') this.isAskingForBase64 = false;
  }

  /** After a 429 nothing starts before its time. */
  private holdBack({ kind, retryAfterMs = UNTOLD_PAUSE_MS }: EmbeddingApiError): void {
    const { limiter, timeline } = this.parts;
    if (kind === 'rate-limit') limiter.penalise(timeline.now() + retryAfterMs, 'the server answered 429');
  }

  /** The first request may load the model. */
  private requestLimits(): RequestLimits {
    const { attemptTimeoutMs, headerTimeoutMs, bodyIdleTimeoutMs } = this.parts.options;
    const patience = this.answeredAt > -Infinity ? 1 : (this.parts.profile.firstRequestPatience ?? 1);
    return {
      timeoutMs: attemptTimeoutMs * patience,
      headerTimeoutMs: headerTimeoutMs * patience,
      bodyIdleTimeoutMs,
    };
  }

  /** What a failure means for the requests after it. */
  private onFailure(error: Error, isProbe: boolean, order: Order): void {
    const { breaker, limiter, concurrency, timeline, options, gateway } = this.parts;
    // Nothing was sent.
    if (isPoolError(error)) limiter.settle(-order.tokens);
    if (error instanceof PoolDownError) {
      const inMs = Math.max(0, error.retryAt.getTime() - Date.now());
      return breaker.followPool(timeline.now() + inMs, error, isProbe);
    }
    // The pool has given up with this very attempt: when it tries again, the next one will hear from it.
    if (error instanceof ConnectionCreateError && gateway.pool.stats().down) {
      return breaker.followPool(timeline.now(), error, isProbe);
    }
    if (isTrouble(error)) return breaker.onFailure(isProbe, error as EmbeddingError);
    if (error instanceof EmbeddingApiError && error.kind === 'quota') {
      return breaker.onQuota(isProbe, error, error.retryAfterMs);
    }
    breaker.onNeutral(isProbe);
    if (!(error instanceof EmbeddingApiError)) return;
    // What was refused was not counted, or not for long.
    limiter.settle(-order.tokens);
    if (error.kind === 'rate-limit') {
      concurrency.onRateLimit(timeline.now(), order.startedAt);
      // Whoever comes meanwhile need not wait for what is so far away.
      const { retryAfterMs = 0 } = error;
      if (retryAfterMs > options.maxHintMs) breaker.open('it asks to be left alone', retryAfterMs, error);
    }
  }

  /** A server that does not say is taken as its profile knows it. */
  private async discover(source: NonNullable<EmbeddingProfile['discover']>, signal: AbortSignal): Promise<void> {
    const { gateway, profile, model, timeline } = this.parts;
    this.discoverAt = timeline.now() + DISCOVERY.againAfterMs;
    try {
      const { status, body } = await gateway.get(
        source.path,
        { method: 'GET', timeoutMs: DISCOVERY.timeoutMs },
        signal,
      );
      if (status !== 200) return;
      const said = source.read(JSON.parse(body.toString('utf8')) as unknown);
      this.limits = this.bounded(withLimits(limitsOf(profile, model), said));
      this.discoverAt = Infinity;
    } catch {
      // It will be asked again; and what really is amiss shows in the first request.
    }
  }

  /** The user's own limits go before the server's. */
  private bounded(limits: EmbeddingLimits): EmbeddingLimits {
    const { batchSize, maxBatchTokens, maxBatchBytes } = this.parts.options;
    return {
      ...limits,
      // One text in a request is all that some models can read.
      maxInputs: limits.maxInputs === 1 ? 1 : (batchSize ?? limits.maxInputs),
      maxTokens: maxBatchTokens ?? limits.maxTokens,
      maxBytes: maxBatchBytes ?? limits.maxBytes,
    };
  }
}
