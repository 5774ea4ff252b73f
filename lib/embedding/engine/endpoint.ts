import { ConnectionCreateError, isPoolError, PoolDownError } from '../../core/index.js';
import { requestIdOf } from '../../http/http-error.js';
import { TokenEstimate } from '../batching/token-estimate.js';
import {
  EmbeddingApiError,
  type EmbeddingError,
  EmbeddingResponseError,
  EmbeddingTimeoutError,
} from '../embedding-errors.js';
import type { ResolvedEmbeddingOptions } from '../embedding-options.js';
import type { Breaker } from '../patience/breaker.js';
import type { AdaptiveConcurrency } from '../patience/concurrency.js';
import type { RateLimiter } from '../patience/rate-limiter.js';
import type { Timeline } from '../patience/timeline.js';
import type { EmbeddingLimits, EmbeddingProfile, EmbeddingRequest } from '../profiles/profile.js';
import { limitsOf, withLimits } from '../profiles/profile-registry.js';
import { type EmbeddingAnswer, readAnswer, readItems } from '../protocol/answer-reader.js';
import { readApiFailure } from '../protocol/api-failure.js';
import { requestBody } from '../protocol/request-body.js';
import { type AnswerHeaders, rateLimitFacts } from '../protocol/retry-hints.js';
import { embeddingErrorOf, isTrouble, type RequestLimits } from './failure.js';
import type { EmbeddingGateway, GatewayAnswer, GatewayRequest } from './gateway.js';
import type { LaneSettings } from './lane.js';

/** A server that does not say what went wrong when it has had enough is left alone for so long. */
const UNTOLD_PAUSE_MS = 1_000;

/** What a server's name for a request looks like; anything else may be anything, a text or a key included. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

/** A float in JSON has up to 25 characters, its comma included; the rest is for what stands around the vectors. */
const BYTES_PER_FLOAT = 25;
const ENVELOPE_BYTES = 64 * 1024;

/** What one request takes that is counted in bytes of an answer whose vectors are of unknown length. */
const UNKNOWN_ANSWER_BYTES = 64 * 1024 * 1024;

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

/** What is to be embedded by one request. @internal */
export interface Order {
  readonly texts: readonly string[];
  /** As estimated. */
  readonly tokens: number;
  readonly bytes: number;
  readonly settings: LaneSettings;
  /** How long the vectors must be, where that is known. */
  readonly dimensions: number | undefined;
  readonly truncate: boolean;
  /** On the timeline. */
  readonly startedAt: number;
  readonly signal: AbortSignal;
  /** Told when it has to wait, of what for. */
  onWait(what: string): void;
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
  private discovery: Promise<void> | undefined = undefined;
  private discoverAt = 0;

  constructor(readonly parts: EndpointParts) {
    const { profile, model, options } = parts;
    this.limits = this.bounded(limitsOf(profile, model));
    this.isAskingForBase64 = (options.encoding ?? profile.encoding) !== 'never';
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
      if (admission instanceof Error) throw admission;
      return await this.attempt(order, admission.isProbe);
    } finally {
      this.inFlight -= 1;
    }
  }

  /** Remembers that base64 is not to be asked for again. */
  withoutEncoding(): void {
    this.isAskingForBase64 = false;
  }

  private async attempt(order: Order, isProbe: boolean): Promise<EmbeddingAnswer> {
    const { breaker, concurrency, limiter, timeline } = this.parts;
    this.requests += 1;
    // As they are now: another answer may come before this one, and the model is loaded then.
    const limits = this.requestLimits();
    try {
      const answer = await this.exchange(order, limits);
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
      this.onFailure(own as Error, isProbe, order);
      throw own;
    }
  }

  private async exchange(order: Order, limits: RequestLimits): Promise<EmbeddingAnswer> {
    const { gateway, profile, limiter } = this.parts;
    const request = this.requestOf(order);
    if (profile.call !== undefined) return this.customExchange(request, order);
    const path = profile.path?.(request) ?? 'embeddings';
    const body = requestBody(profile, request);
    const headers = profile.headers?.(request) ?? {};
    const signature = await profile.sign?.({
      method: 'POST',
      url: new URL(path, `${gateway.baseURL}/`),
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    let refused: EmbeddingApiError | undefined;
    const answer = await this.post(
      {
        path,
        body: Buffer.from(body),
        headers: { ...headers, ...signature },
        maxAnswerBytes: this.maxAnswerBytes(order),
        isHeld: () => {
          order.onWait('waiting for an answer');
          return limiter.pausedForMs() > 0;
        },
        onAnswer: (answer) => (refused = this.heed(answer, order)),
        ...limits,
      },
      order,
    );
    if (refused !== undefined) throw refused as EmbeddingApiError;
    return readAnswer(answer.body, {
      count: order.texts.length,
      dimensions: order.dimensions,
      requestId: cleanId(answer),
      ...(profile.read === undefined ? {} : { read: (parsed: unknown) => profile.read!(parsed) }),
    });
  }

  /** A connection may be long in coming; whoever was told to wait meanwhile gives it back, and waits without it. */
  private async post(request: GatewayRequest, order: Order): Promise<GatewayAnswer> {
    for (;;) {
      const answer = await this.parts.gateway.post(request, order.signal);
      if (answer !== 'held') return answer;
      order.onWait('waiting for the rate limit');
      await this.parts.limiter.resumed(order.signal);
    }
  }

  private async customExchange(request: EmbeddingRequest, order: Order): Promise<EmbeddingAnswer> {
    const { gateway, profile } = this.parts;
    order.onWait('waiting for an answer');
    const { vectors, tokens } = await this.inTime(order.signal, (signal) => gateway.call(profile, request, signal));
    if (!Array.isArray(vectors)) throw new EmbeddingResponseError(`${profile.name}: call() gave no list of vectors`);
    const items = vectors.map((embedding) => ({ embedding }));
    return readItems(
      { items, tokens },
      { count: order.texts.length, dimensions: order.dimensions, requestId: undefined },
    );
  }

  /** A call of the user's own has the time that any request has, and the same consequences. */
  private async inTime<R>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const { timeline } = this.parts;
    const { timeoutMs } = this.requestLimits();
    const late = new AbortController();
    const alarm = timeline.after(timeoutMs, () => late.abort(new EmbeddingTimeoutError('attempt', timeoutMs)));
    try {
      return await work(AbortSignal.any([signal, late.signal]));
    } catch (error) {
      if (late.signal.aborted) throw late.signal.reason;
      if (error instanceof EmbeddingApiError) this.holdBack(error);
      throw error;
    } finally {
      timeline.cancel(alarm);
    }
  }

  /** What an answer means for the requests after it, and its error if it is one. */
  private heed(answer: GatewayAnswer, order: Order): EmbeddingApiError | undefined {
    const { limiter, options } = this.parts;
    if (options.rateLimit !== false) limiter.learn(rateLimitFacts(answer.headers as AnswerHeaders));
    if (answer.status >= 200 && answer.status < 300) return undefined;
    const error = this.refusal(answer, order);
    this.holdBack(error);
    return error;
  }

  /** After a 429 nothing starts before its time. */
  private holdBack({ kind, retryAfterMs = UNTOLD_PAUSE_MS }: EmbeddingApiError): void {
    const { limiter, timeline } = this.parts;
    if (kind === 'rate-limit') limiter.penalise(timeline.now() + retryAfterMs, 'the server answered 429');
  }

  private refusal(answer: GatewayAnswer, { texts }: Order): EmbeddingApiError {
    const { status, headers, body } = answer;
    const facts = { status, headers, body, requestId: cleanId(answer), inputs: texts.length };
    return readApiFailure(
      facts,
      this.parts.profile,
      texts,
      (text) => answer.redact(text),
      () => Date.now(),
    );
  }

  private requestOf({ texts, settings, truncate }: Order): EmbeddingRequest {
    const { dimensions, inputType, extraBody } = settings;
    const encoding = this.isAskingForBase64 ? 'base64' : undefined;
    return { model: this.parts.model, texts, dimensions, inputType, encoding, truncate, extraBody };
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

  private maxAnswerBytes({ texts, dimensions }: Order): number {
    if (dimensions === undefined) return UNKNOWN_ANSWER_BYTES;
    return texts.length * dimensions * BYTES_PER_FLOAT + ENVELOPE_BYTES;
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
      maxInputs: batchSize ?? limits.maxInputs,
      maxTokens: maxBatchTokens ?? limits.maxTokens,
      maxBytes: maxBatchBytes ?? limits.maxBytes,
    };
  }
}

function cleanId(answer: GatewayAnswer): string | undefined {
  const id = requestIdOf(answer.headers);
  return id !== undefined && REQUEST_ID.test(id) ? answer.redact(id) : undefined;
}
