import { checkGroup, type Rule, yesOrNo } from '../../core/option-rules.js';
import { PoolOptionsError } from '../../core/index.js';
import type { EmbeddingCache } from '../cache/cache-tiers.js';
import { CacheKeys } from '../cache/cache-key.js';
import { checkText, truncateTo, wellFormed } from '../batching/input-policy.js';
import { jsonBytes } from '../batching/json-bytes.js';
import { EmbeddingInputError, EmbeddingUnavailableError } from '../embedding-errors.js';
import { CALL, type EmbedOptions, type ResolvedEmbeddingOptions } from '../embedding-options.js';
import type { Alarm, Timeline } from '../patience/timeline.js';
import { Batch } from './batch.js';
import { BatchRunner } from './batch-runner.js';
import { type CallResult, EmbedCall } from './embed-call.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import { EndpointChoice } from './endpoint-choice.js';
import { EngineCounters } from './engine-stats.js';
import type { Hedging } from './hedging.js';
import { Lane } from './lane.js';
import { LaneShelf, type Turn } from './lane-shelf.js';
import { Ticket } from './ticket.js';
import type { RetryBudget } from '../patience/retry-budget.js';
import type { RetryPolicy } from '../patience/retry-policy.js';

/** What a call may ask of the engine. @internal */
export interface EngineCall extends EmbedOptions {
  readonly settle?: boolean;
  readonly patient?: boolean;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** @internal */
export interface EngineParts {
  readonly name: string;
  readonly endpoints: readonly EmbeddingEndpoint[];
  readonly options: ResolvedEmbeddingOptions;
  readonly timeline: Timeline;
  readonly cache: EmbeddingCache | undefined;
  readonly policy: RetryPolicy | undefined;
  readonly budget: RetryBudget;
  readonly hedging: Hedging | undefined;
  /** Exact counts, once they are there. */
  countTokens(): ((text: string) => number) | undefined;
  readonly random?: () => number;
}

/**
 * Takes calls apart into texts, and texts together into requests.
 *
 * A text that no cache knows becomes a ticket in a lane, unless one for the same text is there already. While the endpoint
 * can take another request, a batch is made of what waits: at once when little is going on, so that a single text waits for
 * nobody, and in ever larger batches as the connections are busy. {@link BatchRunner} sees each of them through.
 *
 * @internal
 */
export class EmbeddingEngine {
  readonly counters = new EngineCounters();
  private readonly endpoints: EndpointChoice;
  private readonly lanes: LaneShelf;
  private readonly runner: BatchRunner;
  private readonly calls = new Set<EmbedCall>();
  private readonly life = new AbortController();
  private isPumpDue = false;
  private alarm: Alarm | undefined = undefined;

  constructor(private readonly parts: EngineParts) {
    const { options, timeline, policy, budget, hedging, random = Math.random } = parts;
    const { dimensions, inputType, extraBody } = options;
    this.endpoints = new EndpointChoice(parts.endpoints);
    this.lanes = new LaneShelf({ dimensions, inputType, extraBody, tenant: undefined }, (settings) =>
      this.laneOf(settings),
    );
    this.runner = new BatchRunner({
      endpoints: this.endpoints,
      timeline,
      policy,
      budget,
      random,
      ask: (endpoint, order) =>
        hedging === undefined ? endpoint.ask(order) : hedging.ask(endpoint, order, this.endpoints),
      shorter: (ticket, endpoint) => this.shorter(ticket, endpoint),
      onAnswer: (answer, tickets, endpoint) => this.counters.onAnswer(answer, tickets, endpoint),
      onVectors: (entries, answer) => this.keep(entries, answer.model),
      onRetry: () => (this.counters.retries += 1),
      onFree: () => this.pumpSoon(),
    });
  }

  /** The vectors of these texts, or the errors of those that have none. */
  embed(texts: readonly unknown[], isAlone: boolean, call: EngineCall): Promise<CallResult> {
    const { options, timeline } = this.parts;
    const { signal, deadlineMs = options.deadlineMs, settle = false, patient = false, onProgress } = call;
    const lane = this.lanes.of(call);
    const dimensions = (): number | undefined => lane.dimensions;
    const embedCall = new EmbedCall(
      texts.length,
      { signal, deadlineMs, settle, patient, onProgress, dimensions },
      timeline,
    );
    this.counters.onCall(texts.length);
    this.calls.add(embedCall);
    const { result } = embedCall;
    const forget = (): void => void this.calls.delete(embedCall);
    result.then(forget, forget);
    if (this.life.signal.aborted) embedCall.end(this.life.signal.reason);
    else if (!embedCall.isSettled) this.tryFill(embedCall, lane, texts, isAlone, call.cache !== false);
    if (!embedCall.isSettled) embedCall.await();
    return result;
  }

  /** How many requests can be under way at once, and how many texts are in one: for those who feed it. */
  get appetite(): { readonly requests: number; readonly inputs: number } {
    const endpoint = this.endpoints.all[0]!;
    return { requests: endpoint.free + endpoint.inFlight, inputs: endpoint.limits.maxInputs };
  }

  /** Calls that have not ended. */
  get pendingCalls(): number {
    return this.calls.size;
  }

  /**
   * Waits until what is under way has ended; for so long at most.
   *
   * @param withNew what comes meanwhile too
   */
  async finish(graceMs: number, withNew: boolean): Promise<void> {
    const over = new AbortController();
    let isLate = false;
    const late = this.parts.timeline.sleep(graceMs, over.signal).then(
      () => (isLate = true),
      () => undefined,
    );
    while (this.calls.size > 0 && !isLate) {
      await Promise.race([Promise.allSettled([...this.calls].map(({ result }) => result)), late]);
      if (!withNew) break;
    }
    over.abort();
  }

  /** Ends what is under way, and refuses what comes. */
  close(reason: Error): void {
    if (this.life.signal.aborted) return;
    this.life.abort(reason);
    for (const call of this.calls) call.end(reason);
    for (const { parts } of this.endpoints.all) {
      parts.limiter.close(reason);
      parts.concurrency.restore();
    }
    this.parts.timeline.close(reason);
  }

  /** What the caller's own counter of tokens throws ends its call. */
  private tryFill(...[call, ...rest]: Parameters<EmbeddingEngine['fill']>): void {
    try {
      this.fill(call, ...rest);
    } catch (error) {
      call.end(error);
    }
  }

  private fill(call: EmbedCall, lane: Lane, texts: readonly unknown[], isAlone: boolean, mayCache: boolean): void {
    const cache = mayCache && lane.cacheKeys !== undefined ? this.parts.cache : undefined;
    let missing: Missing[] | undefined;
    for (let index = 0; index < texts.length && !call.isSettled; index += 1) {
      const text = texts[index];
      if (this.isSettledHere(call, text, index)) continue;
      if (cache === undefined) {
        this.enter(call, lane, text as string, undefined, index, isAlone);
        continue;
      }
      const key = lane.cacheKeys!.keyOf(text as string);
      const vector = cache.getLocal(key, this.parts.options.model);
      if (vector !== undefined) this.fromCache(call, lane, index, vector);
      else if (cache.hasStore) (missing ??= []).push({ index, text: text as string, key });
      else this.enter(call, lane, text as string, key, index, isAlone);
    }
    if (missing === undefined || call.isSettled) this.pumpSoon();
    else void this.fillFromStore(call, lane, cache!, missing, isAlone);
  }

  private async fillFromStore(
    call: EmbedCall,
    lane: Lane,
    cache: EmbeddingCache,
    missing: readonly Missing[],
    isAlone: boolean,
  ): Promise<void> {
    const vectors = await cache.getMany(
      missing.map(({ key }) => key),
      this.parts.options.model,
    );
    try {
      for (let place = 0; place < missing.length && !call.isSettled; place += 1) {
        const { index, text, key } = missing[place]!;
        const vector = vectors[place];
        if (vector === undefined) this.enter(call, lane, text, key, index, isAlone);
        else this.fromCache(call, lane, index, vector);
      }
    } catch (error) {
      // As in tryFill.
      call.end(error);
    }
    this.pumpSoon();
  }

  private fromCache(call: EmbedCall, lane: Lane, index: number, vector: Float32Array): void {
    this.counters.onCached(this.parts.options.model);
    lane.dimensions ??= vector.length;
    call.embedded(index, vector, 0);
  }

  /** What is no text, or no words, needs no request. */
  private isSettledHere(call: EmbedCall, text: unknown, index: number): boolean {
    const { onBlank = 'error' } = this.parts.options;
    const error = checkText(text, index);
    if (error === undefined) return false;
    if (error.problem !== 'blank' || onBlank === 'error') call.failed(index, error);
    else call.blank(index, onBlank);
    return true;
  }

  private enter(
    call: EmbedCall,
    lane: Lane,
    given: string,
    key: string | undefined,
    index: number,
    isAlone: boolean,
  ): void {
    const text = wellFormed(given);
    const same = lane.find(text);
    if (same !== undefined) {
      this.counters.deduped += 1;
      same.join(call, index);
      call.waitsFor(same);
      return;
    }
    const endpoint = this.endpoints.all[0]!;
    const bytes = jsonBytes(text);
    const counted = this.parts.countTokens()?.(text);
    // A counter that counts nothing is none.
    const tokens = counted !== undefined && counted > 0 ? counted : endpoint.estimate.estimate(bytes);
    const ticket = new Ticket(lane, text, bytes, tokens, key, call, index);
    if (tokens === counted && tokens > endpoint.limits.maxInputTokens) {
      const shorter = this.shorter(ticket, endpoint);
      if (shorter === undefined) return call.failed(index, tooLong(index, tokens, endpoint));
      ticket.cut = shorter;
    }
    lane.add(ticket, isAlone);
    call.waitsFor(ticket);
  }

  private shorter(ticket: Ticket, endpoint: EmbeddingEndpoint): string | undefined {
    const { cuts, text, bytes } = ticket;
    if (this.parts.options.onTooLong !== 'truncate' || cuts >= CUTS.length) return undefined;
    const { maxInputTokens } = endpoint.limits;
    const count = this.parts.countTokens();
    // Nothing is known of what this server takes: half of it, then half of that.
    if (maxInputTokens === Infinity) return truncateTo(text, Math.max(1, Math.floor(bytes / 2 ** (cuts + 1))));
    if (count !== undefined)
      return truncateTo(text, Math.max(1, Math.floor(maxInputTokens * CUTS[cuts]!.counted)), count);
    return truncateTo(text, Math.floor(maxInputTokens * CUTS[cuts]!.bytesPerToken));
  }

  private keep(entries: readonly (readonly [string, Float32Array])[], model: string | undefined): void {
    this.parts.cache?.setMany(entries, model, this.parts.options.model);
  }

  private pumpIn(ms: number): void {
    const { timeline } = this.parts;
    this.alarm ??= timeline.after(Math.max(1, ms), () => {
      this.alarm = undefined;
      this.pump();
    });
  }

  private pumpSoon(): void {
    if (this.isPumpDue) return;
    this.isPumpDue = true;
    // Calls made in a row are in one request: they have all come when this runs.
    queueMicrotask(this.pump);
  }

  private readonly pump = (): void => {
    this.isPumpDue = false;
    if (this.life.signal.aborted) return;
    for (let turn = this.lanes.next(); turn !== undefined; turn = this.lanes.next()) {
      const endpoint = this.endpoints.current;
      if (endpoint instanceof EmbeddingUnavailableError) return this.refuse(endpoint);
      const preparing = endpoint.prepare(this.life.signal);
      if (preparing !== undefined) return void preparing.then(() => this.pumpSoon());
      const { free, freeInputs } = endpoint;
      if (free <= 0 || freeInputs <= 0) return;
      this.start(turn, endpoint, endpoint.countsRequests ? 1 : free, freeInputs);
    }
  };

  /** Who is in a hurry is told; who would rather wait is looked after again when the server may be asked. */
  private refuse(error: EmbeddingUnavailableError): void {
    let others = false;
    for (const lane of this.lanes.all()) others = lane.refuse(error) || others;
    if (others) this.pumpIn(error.retryAt.getTime() - Date.now());
  }

  private start({ lane, queue }: Turn, endpoint: EmbeddingEndpoint, free: number, freeInputs: number): void {
    const { limits } = endpoint;
    const maxInputs = Math.min(limits.maxInputs, freeInputs);
    const tickets = lane.take({ ...limits, maxInputs }, queue, free);
    endpoint.inFlightInputs += tickets.length;
    void this.runner.run(new Batch(tickets)).finally(() => {
      endpoint.inFlightInputs -= tickets.length;
      this.pumpSoon();
    });
  }

  private laneOf(settings: Lane['settings']): Lane {
    const { options, cache, endpoints, name } = this.parts;
    const { dedupe = true, coalesce = true, onBlank = 'error', onTooLong } = options;
    const { profile, gateway, model } = endpoints[0]!.parts;
    // Where texts of a request have an influence on each other, none is like another, and none is to be found again.
    const isAlike = profile.mayCoalesce?.(settings.extraBody) ?? true;
    const keys = (): CacheKeys =>
      new CacheKeys({
        ...settings,
        endpoint: `${profile.name} ${gateway.baseURL ?? name}`,
        model,
        truncate: onTooLong === 'truncate',
        blank: onBlank,
      });
    return new Lane(settings, {
      cacheKeys: cache !== undefined && isAlike ? keys() : undefined,
      mayShare: coalesce && isAlike,
      dedupe: dedupe && isAlike,
      isDivisible: isAlike,
    });
  }
}

interface Missing {
  readonly index: number;
  readonly text: string;
  readonly key: string;
}

/**
 * How a text is cut that the server finds too long, from attempt to attempt: hopefully first, and safely in the end, for no
 * token has less than a byte.
 */
const CUTS = [
  { counted: 1, bytesPerToken: 3 },
  { counted: 0.9, bytesPerToken: 1.7 },
  { counted: 0.5, bytesPerToken: 1 },
] as const;

function tooLong(index: number, tokens: number, { limits }: EmbeddingEndpoint): EmbeddingInputError {
  const most = limits.maxInputTokens;
  const cure = 'shorten it, or set onTooLong: truncate';
  return new EmbeddingInputError(index, 'too-long', `it has ${tokens} tokens, and the model takes ${most}; ${cure}`);
}

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
