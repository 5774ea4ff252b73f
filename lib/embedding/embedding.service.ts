import { inspect } from 'node:util';
import { Logger, type BeforeApplicationShutdown, type OnApplicationShutdown } from '@nestjs/common';
import { Observable } from 'rxjs';
import { type Clock, type ConnectionPool, PoolClosedError, type PoolError, systemClock } from '../core/index.js';
import { shapeOf } from '../core/option-rules.js';
import type { HttpConnection } from '../http/index.js';
import { plainNumbers } from './adapters/plain-numbers.js';
import { CostLedger, type EmbeddingCost } from './cost-ledger.js';
import { EmbeddingAbortedError, EmbeddingApiError, type EmbeddingError } from './embedding-errors.js';
import { PooledGateway } from './embedding-gateway.service.js';
import { type EmbeddingHealth, healthOf } from './embedding-health.js';
import {
  checkCall,
  type EmbeddingEndpointOptions,
  type EmbeddingOptions,
  type EmbedOptions,
} from './embedding-options.js';
import type { EmbeddingOutcome } from './embedding-outcome.js';
import { type EmbeddingStats, statsOf } from './embedding-stats.js';
import { type Assembly, assemble } from './engine/assemble.js';
import { type EmbeddedItem, embedStream, type EmbedStreamOptions, type SettledItem } from './stream/embed-stream.js';
import type { EmbedSource } from './stream/item-feed.js';
import type { EmbedStreamParts, EmbedStreamSettings } from './stream/stream-options.js';
import { embedInto, type EmbedIntoOptions, type EmbedIntoSummary, type VectorSink } from './stream/vector-sink.js';

/** In which form vectors are wanted. @publicApi */
export interface EmbeddingOutputOptions {
  /** `number`: plain arrays, which take three times the memory. Default: `float32`. */
  readonly as?: 'float32' | 'number';
}

/** What `embedMany()` may be asked for. @publicApi */
export interface EmbedManyOptions extends EmbedOptions {
  /** Called after each request that has succeeded, and when all is done. What it throws ends the call. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called once at the end, where the server has counted the tokens of all texts. */
  readonly onUsage?: (usage: { readonly tokens: number }) => void;
}

/** What a stream may be asked for beside what is a stream's own. @publicApi */
export type EmbeddingStreamOptions<T> = EmbedStreamOptions<T> & Omit<EmbedOptions, 'signal'>;

/** Another pool for when the first is down. Its vectors must be of the same model. @publicApi */
export interface EmbeddingFailover extends Partial<EmbeddingEndpointOptions> {
  readonly pool: ConnectionPool<HttpConnection>;
}

/** What else an {@link EmbeddingService} may be given. @publicApi */
export interface EmbeddingServiceParts {
  /** Asked in this order while those before are down. */
  readonly failover?: readonly EmbeddingFailover[];
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** From 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** As long as pools wait for their leases by default. */
const SHUTDOWN_GRACE_MS = 10_000;

/**
 * Turns texts into vectors, over leased connections to an embedding server.
 *
 * @publicApi
 */
export class EmbeddingService implements BeforeApplicationShutdown, OnApplicationShutdown {
  /** As the server names it. */
  readonly model: string;
  readonly #assembly: Assembly;
  readonly #ledger: CostLedger;
  readonly #clock: Clock;
  /** Once the application has begun to end. */
  #graceUntil: number | undefined = undefined;

  /**
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  constructor(pool: ConnectionPool<HttpConnection>, options: EmbeddingOptions, parts: EmbeddingServiceParts = {}) {
    const { failover = [], clock, random } = parts;
    const plans = [
      { gateway: new PooledGateway(pool) },
      ...failover.map(({ pool: other, ...own }) => ({ gateway: new PooledGateway(other), ...own })),
    ];
    this.#assembly = assemble(plans, options, { clock, random });
    this.model = options.model;
    this.#clock = clock ?? systemClock;
    const { pricePerMillionTokens: price } = options;
    this.#ledger = new CostLedger(price === undefined ? {} : { prices: { [this.model]: price } });
    void this.#assembly.tokenizer?.then((isThere) => {
      if (isThere) return;
      const why = `gpt-tokenizer is not installed, or does not know ${this.model}`;
      new Logger(EmbeddingService.name).warn(`tokens are estimated and not counted: ${why}`);
    });
    this.#assembly.engine.counters.onUsage = (model, usage) => this.#ledger.add(model, usage);
  }

  /**
   * The vector of one text. Calls that come while all connections are busy share a request.
   *
   * Rejects with an {@link EmbeddingError}, or with a {@link PoolError} when no connection could be had.
   */
  embed(text: string, options?: EmbedOptions & { readonly as?: 'float32' }): Promise<Float32Array>;
  embed(text: string, options: EmbedOptions & { readonly as: 'number' }): Promise<number[]>;
  async embed(
    text: string,
    { as, ...options }: EmbedOptions & EmbeddingOutputOptions = {},
  ): Promise<Float32Array | number[]> {
    checkCall(this.name, options, 'one');
    const { vectors } = await this.#assembly.engine.embed([text], true, { ...options, settle: false });
    const vector = vectors[0] as Float32Array;
    return as === 'number' ? numbersOf(vector) : vector;
  }

  /**
   * The vectors of many texts, in their order. Requests go out in parallel, as many as the pool has connections. The first
   * failure ends the call; with `settle` each text has an outcome of its own.
   *
   * Rejects with an {@link EmbeddingError}, or with a {@link PoolError} when no connection could be had.
   */
  embedMany(
    texts: readonly string[],
    options?: EmbedManyOptions & { readonly as?: 'float32'; readonly settle?: false },
  ): Promise<Float32Array[]>;
  embedMany(
    texts: readonly string[],
    options: EmbedManyOptions & { readonly as: 'number'; readonly settle?: false },
  ): Promise<number[][]>;
  embedMany(
    texts: readonly string[],
    options: EmbedManyOptions & { readonly settle: true },
  ): Promise<EmbeddingOutcome[]>;
  async embedMany(
    texts: readonly string[],
    { as, onUsage, ...options }: EmbedManyOptions & EmbeddingOutputOptions & { readonly settle?: boolean } = {},
  ): Promise<Float32Array[] | number[][] | EmbeddingOutcome[]> {
    if (!Array.isArray(texts)) throw new TypeError(`embedMany: expected an array of texts, got ${shapeOf(texts)}`);
    checkCall(this.name, options, 'many');
    if (texts.length === 0) return [];
    const { vectors, tokens, totalTokens } = await this.#assembly.engine.embed(texts, texts.length === 1, options);
    if (totalTokens !== undefined) onUsage?.({ tokens: Math.round(totalTokens) });
    if (options.settle === true) return vectors.map((vector, place) => outcomeOf(vector, tokens[place]));
    return as === 'number' ? (vectors as Float32Array[]).map(numbersOf) : (vectors as Float32Array[]);
  }

  /**
   * Embeds a source of any length in memory that does not grow, no faster than its consumer takes the vectors.
   *
   * ```ts
   * for await (const { item, vector } of embeddings.embedStream(rows, { text: (row) => row.body })) { … }
   * ```
   *
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  embedStream<T>(
    source: EmbedSource<T>,
    options: EmbeddingStreamOptions<T> & { readonly settle: true },
  ): AsyncIterableIterator<SettledItem<T>>;
  embedStream<T>(
    source: EmbedSource<T>,
    options?: EmbeddingStreamOptions<T> & { readonly settle?: false | undefined },
  ): AsyncIterableIterator<EmbeddedItem<T>>;
  embedStream<T>(
    source: EmbedSource<T>,
    options: EmbeddingStreamOptions<T> = {},
  ): AsyncIterableIterator<EmbeddedItem<T> | SettledItem<T>> {
    const { own, call } = split(options);
    return embedStream(source, this.chunks(call), own as never, this.streamParts());
  }

  /** The same for RxJS: vectors of what an Observable emits. Unsubscribing ends what is under way. */
  embed$<T>(
    source$: Observable<T>,
    options: EmbeddingStreamOptions<T> & { readonly settle: true },
  ): Observable<SettledItem<T>>;
  embed$<T>(
    source$: Observable<T>,
    options?: EmbeddingStreamOptions<T> & { readonly settle?: false | undefined },
  ): Observable<EmbeddedItem<T>>;
  embed$<T>(
    source$: Observable<T>,
    options: EmbeddingStreamOptions<T> = {},
  ): Observable<EmbeddedItem<T> | SettledItem<T>> {
    return new Observable((subscriber) => {
      const stop = new AbortController();
      const { signal = stop.signal } = options;
      const merged = signal === stop.signal ? signal : AbortSignal.any([signal, stop.signal]);
      const pass = async (): Promise<void> => {
        const items: AsyncIterable<EmbeddedItem<T> | SettledItem<T>> = this.embedStream<T>(source$, {
          ...options,
          signal: merged,
        } as EmbeddingStreamOptions<T> & { readonly settle?: false });
        for await (const item of items) subscriber.next(item);
        subscriber.complete();
      };
      pass().catch((error: unknown) => subscriber.error(error));
      return () => stop.abort(new EmbeddingAbortedError('unsubscribed'));
    });
  }

  /**
   * Embeds a source and writes the vectors to a sink, whose pace becomes the source's.
   *
   * Rejects with the first failure of source, server, sink or checkpoint.
   */
  embedInto<T>(
    source: EmbedSource<T>,
    sink: VectorSink<T>,
    options: EmbedIntoOptions<T> & Omit<EmbedOptions, 'signal'> = {},
  ): Promise<EmbedIntoSummary> {
    const { own, call } = split(options);
    return embedInto(source, sink, this.chunks(call), own, this.streamParts());
  }

  /** What it is doing and has done. */
  stats(): EmbeddingStats {
    return statsOf(this.#assembly);
  }

  /** What it has cost so far, by model. */
  costs(): readonly EmbeddingCost[] {
    return this.#ledger.report();
  }

  /**
   * Asks the server for a sign of life that costs no tokens. Never rejects for what is amiss with the server.
   *
   * @param timeoutMs default: 5 000
   */
  async check({
    signal,
    timeoutMs = 5_000,
  }: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {}): Promise<EmbeddingHealth> {
    const { gateway, profile } = this.#assembly.endpoints[0]!.parts;
    const { method, path } = profile.probe ?? { method: 'HEAD', path: '' };
    try {
      const { status } = await gateway.get(path, { method, timeoutMs }, signal ?? new AbortController().signal);
      return healthOf(status);
    } catch {
      return { status: 'down', statusCode: undefined };
    }
  }

  /** Ends what is under way, and waits until the cache's store has what was meant for it. */
  async close(): Promise<void> {
    const { engine, cache } = this.#assembly;
    engine.close(new EmbeddingAbortedError(undefined, 'the service was closed'));
    await cache?.flush();
  }

  /** Without texts: those under way and in the cache are its users'. */
  [inspect.custom](): string {
    return `EmbeddingService ${this.model} over Pool(${this.name})`;
  }

  toJSON(): object {
    return { model: this.model, pool: this.name };
  }

  /**
   * The hooks of the last step run in the order of the modules, and the pools' may be first. So what is under way now is waited
   * for here; requests that the application's server still gets must not delay its end, and are waited for by it.
   *
   * @internal
   */
  beforeApplicationShutdown(): Promise<void> {
    this.#graceUntil = this.#clock.now() + SHUTDOWN_GRACE_MS;
    return this.#assembly.engine.finish(SHUTDOWN_GRACE_MS, false);
  }

  /** @internal */
  async onApplicationShutdown(): Promise<void> {
    const left = (this.#graceUntil ??= this.#clock.now() + SHUTDOWN_GRACE_MS) - this.#clock.now();
    await this.#assembly.engine.finish(Math.max(0, left), true);
    await this.close();
  }

  private get name(): string {
    return this.#assembly.endpoints[0]!.name;
  }

  /** What embeds one chunk of a stream. Streams fill no memory with vectors that nobody asks for again. */
  private chunks(call: Omit<EmbedOptions, 'signal'>) {
    checkCall(this.name, call, 'one');
    const { engine, cache } = this.#assembly;
    const settings = { cache: cache?.hasStore === true, ...call, settle: true, patient: true };
    return async (texts: readonly string[], signal: AbortSignal): Promise<EmbeddingOutcome[]> => {
      const { vectors, tokens } = await engine.embed(texts, false, { ...settings, signal });
      // No text's own fault, and the same for all that would come after it: the stream must not run through with them.
      const hopeless = vectors.find(isHopeless);
      if (hopeless !== undefined) throw hopeless;
      return vectors.map((vector, place) => outcomeOf(vector, tokens[place]));
    };
  }

  private streamParts(): EmbedStreamParts {
    const { engine } = this.#assembly;
    return {
      name: this.name,
      concurrency: () => engine.appetite.requests,
      chunkSize: () => engine.appetite.inputs,
      clock: this.#clock,
      priceOf: (tokens) => this.#ledger.priceOf(this.model, tokens),
    } as EmbedStreamParts;
  }
}

function numbersOf(vector: Float32Array): number[] {
  return vector.length === 0 ? [] : plainNumbers(vector);
}

/** Whether an error is about the service's settings, or its end. */
function isHopeless(result: Float32Array | Error): boolean {
  if (result instanceof PoolClosedError) return true;
  return result instanceof EmbeddingApiError && HOPELESS.has(result.kind);
}

const HOPELESS: ReadonlySet<EmbeddingApiError['kind']> = new Set(['auth', 'config', 'quota'] as const);

function outcomeOf(vector: Float32Array | Error, tokens: number | undefined): EmbeddingOutcome {
  if (vector instanceof Error) return { ok: false, error: vector as EmbeddingError | PoolError };
  return tokens === undefined ? { ok: true, vector } : { ok: true, vector, tokens };
}

/** A stream's own settings, and those of each of its calls. */
function split<O extends EmbedStreamSettings<never> & Omit<EmbedOptions, 'signal'>>(options: O) {
  const { dimensions, inputType, extraBody, tenant, deadlineMs, cache, ...own } = options;
  const call = { dimensions, inputType, extraBody, tenant, deadlineMs, cache };
  const given = Object.entries(call).filter(([, value]) => value !== undefined);
  return { own, call: Object.fromEntries(given) as Omit<EmbedOptions, 'signal'> };
}
