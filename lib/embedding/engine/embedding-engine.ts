import type { EmbeddingCache } from '../cache/cache-tiers.js';
import type { CountTokens } from '../batching/tokenizer.js';
import { EmbeddingUnavailableError } from '../embedding-errors.js';
import type { EmbedOptions, ResolvedEmbeddingOptions } from '../embedding-options.js';
import type { RetryBudget } from '../patience/retry-budget.js';
import type { RetryPolicy } from '../patience/retry-policy.js';
import type { Alarm, Timeline } from '../patience/timeline.js';
import { Batch } from './batch.js';
import { BatchRunner } from './batch-runner.js';
import { type CallResult, EmbedCall } from './embed-call.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import { EndpointChoice } from './endpoint-choice.js';
import { EngineCounters } from './engine-stats.js';
import type { Hedging } from './hedging.js';
import { Intake } from './intake.js';
import { laneOf } from './lane-maker.js';
import { LaneShelf, type Turn } from './lane-shelf.js';
import { TextCutter } from './text-cutter.js';

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
  readonly countTokens: () => CountTokens | undefined;
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
  private readonly intake: Intake;
  private readonly calls = new Set<EmbedCall>();
  private readonly life = new AbortController();
  private isPumpDue = false;
  private alarm: Alarm | undefined = undefined;

  constructor(private readonly parts: EngineParts) {
    const { options, timeline, policy, budget, hedging, random = Math.random } = parts;
    const { dimensions, inputType, extraBody } = options;
    this.endpoints = new EndpointChoice(parts.endpoints);
    const cutter = new TextCutter(options.onTooLong, parts.countTokens);
    this.intake = new Intake({ ...parts, cutter, counters: this.counters, onFilled: () => this.pumpSoon() });
    this.lanes = new LaneShelf({ dimensions, inputType, extraBody, tenant: undefined }, (settings) =>
      laneOf(settings, parts),
    );
    this.runner = new BatchRunner({
      endpoints: this.endpoints,
      timeline,
      policy,
      budget,
      random,
      ask: (endpoint, order) =>
        hedging === undefined ? endpoint.ask(order) : hedging.ask(endpoint, order, this.endpoints),
      shorter: (ticket, endpoint) => cutter.shorter(ticket, endpoint),
      onAnswer: (answer, tickets, endpoint) => this.counters.onAnswer(answer, tickets, endpoint),
      onVectors: (entries, answer, endpoint) => {
        // Another pool's server may name the same model otherwise: that is no change of models.
        const model = endpoint === parts.endpoints[0] ? answer.model : undefined;
        parts.cache?.setMany(entries, model, options.model);
      },
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
    else if (!embedCall.isSettled) {
      const queue = isAlone ? 'alone' : 'bulk';
      this.intake.fill({ call: embedCall, lane, queue, mayCache: call.cache !== false }, texts);
    }
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
}
