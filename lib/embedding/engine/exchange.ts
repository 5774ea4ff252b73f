import { requestIdOf } from '../../http/http-error.js';
import { EmbeddingApiError, EmbeddingResponseError, EmbeddingTimeoutError } from '../embedding-errors.js';
import type { Timeline } from '../patience/timeline.js';
import type { EmbeddingProfile, EmbeddingRequest } from '../profiles/profile.js';
import { type EmbeddingAnswer, readAnswer, readItems } from '../protocol/answer-reader.js';
import { readApiFailure } from '../protocol/api-failure.js';
import { requestBody } from '../protocol/request-body.js';
import type { RequestLimits } from './failure.js';
import type { EmbeddingGateway, GatewayAnswer } from './gateway.js';
import type { LaneSettings } from './lane.js';

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

/** What an exchange asks of its endpoint. @internal */
export interface ExchangeHost {
  readonly gateway: EmbeddingGateway;
  readonly profile: EmbeddingProfile;
  readonly model: string;
  readonly timeline: Timeline;
  /** Whether base64 is asked for. */
  asksForBase64(): boolean;
  /** Whether the server has asked to be left alone. */
  isHeld(): boolean;
  /** Resolves when the server may be asked again. */
  resumed(signal: AbortSignal): Promise<void>;
  /** Told of each answer before its connection is given back. */
  heed(answer: GatewayAnswer, error: EmbeddingApiError | undefined): void;
}

/** What a server's name for a request looks like; anything else may be anything, a text or a key included. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

/** A float in JSON has up to 25 characters, its comma included; the rest is for what stands around the vectors. */
const BYTES_PER_FLOAT = 25;
const ENVELOPE_BYTES = 64 * 1024;

/** For an answer whose vectors are of unknown length. */
const UNKNOWN_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * One request and its answer, in the server's own manner: from an order to vectors, or to the error that says what is wrong.
 *
 * @internal
 */
export class Exchange {
  constructor(private readonly host: ExchangeHost) {}

  async run(order: Order, limits: RequestLimits): Promise<EmbeddingAnswer> {
    const request = this.requestOf(order);
    return this.host.profile.call === undefined ? this.post(request, order, limits) : this.call(request, order, limits);
  }

  private async post(request: EmbeddingRequest, order: Order, limits: RequestLimits): Promise<EmbeddingAnswer> {
    const { gateway, profile } = this.host;
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
    const onAnswer = (answer: GatewayAnswer): void => {
      const isWell = answer.status >= 200 && answer.status < 300;
      refused = isWell ? undefined : this.refusal(answer, order);
      this.host.heed(answer, refused);
    };
    const own = { path, body: Buffer.from(body), headers: { ...headers, ...signature } };
    const maxAnswerBytes = maxBytesOf(order);
    const answer = await this.whenFree(order, (isHeld) =>
      gateway.post({ ...own, ...limits, maxAnswerBytes, isHeld, onAnswer }, order.signal),
    );
    if (refused !== undefined) throw refused as EmbeddingApiError;
    return readAnswer(answer.body, {
      count: order.texts.length,
      dimensions: order.dimensions,
      requestId: cleanId(answer),
      ...(profile.read === undefined ? {} : { read: (parsed: unknown) => profile.read!(parsed) }),
    });
  }

  /** A profile's own way of asking. It has the time that any request has. */
  private async call(request: EmbeddingRequest, order: Order, limits: RequestLimits): Promise<EmbeddingAnswer> {
    const { gateway, profile, timeline } = this.host;
    const late = new AbortController();
    const signal = AbortSignal.any([order.signal, late.signal]);
    const error = new EmbeddingTimeoutError('attempt', limits.timeoutMs);
    const alarm = timeline.after(limits.timeoutMs, () => late.abort(error));
    try {
      const { vectors, tokens } = await this.whenFree(order, (isHeld) =>
        gateway.call(profile, request, isHeld, signal),
      );
      if (!Array.isArray(vectors)) throw new EmbeddingResponseError(`${profile.name}: call() gave no list of vectors`);
      const items = vectors.map((embedding) => ({ embedding }));
      const { dimensions, texts } = order;
      return readItems({ items, tokens }, { count: texts.length, dimensions, requestId: undefined });
    } catch (failure) {
      throw late.signal.aborted ? error : failure;
    } finally {
      timeline.cancel(alarm);
    }
  }

  /**
   * A connection may be long in coming; whoever was told to wait meanwhile gives it back, and waits without it.
   *
   * @param ask says `held` where it has not asked
   */
  private async whenFree<R>(order: Order, ask: (isHeld: () => boolean) => Promise<R | 'held'>): Promise<R> {
    const isHeld = (): boolean => {
      order.onWait('waiting for an answer');
      return this.host.isHeld();
    };
    for (;;) {
      const answer = await ask(isHeld);
      if (answer !== 'held') return answer;
      order.onWait('waiting for the rate limit');
      await this.host.resumed(order.signal);
    }
  }

  private requestOf({ texts, settings, truncate }: Order): EmbeddingRequest {
    const { dimensions, inputType, extraBody } = settings;
    const encoding = this.host.asksForBase64() ? 'base64' : undefined;
    return { model: this.host.model, texts, dimensions, inputType, encoding, truncate, extraBody };
  }

  private refusal(answer: GatewayAnswer, { texts }: Order): EmbeddingApiError {
    const { status, headers, body } = answer;
    const facts = { status, headers, body, requestId: cleanId(answer), inputs: texts.length };
    return readApiFailure(
      facts,
      this.host.profile,
      texts,
      (text) => answer.redact(text),
      () => Date.now(),
    );
  }
}

function maxBytesOf({ texts, dimensions }: Order): number {
  if (dimensions === undefined) return UNKNOWN_ANSWER_BYTES;
  return texts.length * dimensions * BYTES_PER_FLOAT + ENVELOPE_BYTES;
}

function cleanId(answer: GatewayAnswer): string | undefined {
  const id = requestIdOf(answer.headers);
  return id !== undefined && REQUEST_ID.test(id) ? answer.redact(id) : undefined;
}
