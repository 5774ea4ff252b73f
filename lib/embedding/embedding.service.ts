import { type ConnectionPool } from '../core/index.js';
import type { HttpConnection } from '../http/index.js';
import { Leased } from '../nest/leased.decorator.js';
import { UsePool } from '../nest/use-pool.decorator.js';
import { EmbeddingInputError, EmbeddingResponseError } from './embedding-errors.js';
import { requestEmbeddings } from './embedding.client.js';
import { type EmbeddingOptions, type ResolvedEmbeddingOptions, resolveEmbeddingOptions } from './embedding-options.js';

/** What one call may ask for. @publicApi */
export interface EmbedOptions {
  /** Ends the call wherever it is: in the pool's queue, or in a request. */
  readonly signal?: AbortSignal;
}

/** @publicApi */
export interface EmbedManyOptions extends EmbedOptions {
  /** Called after each request that has succeeded. */
  readonly onProgress?: (done: number, total: number) => void;
}

interface Batch {
  readonly start: number;
  readonly texts: readonly string[];
}

/**
 * Turns texts into vectors, over leased connections to a server that speaks OpenAI's protocol.
 *
 * @publicApi
 */
export class EmbeddingService {
  private readonly options: ResolvedEmbeddingOptions;
  /** How long vectors are: as asked for, else as the first answer had them. A model does not change its mind. */
  private dimensions: number | undefined;

  /**
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  constructor(
    private readonly pool: ConnectionPool<HttpConnection>,
    options: EmbeddingOptions,
  ) {
    this.options = resolveEmbeddingOptions(pool.name, options);
    this.dimensions = this.options.dimensions;
  }

  /**
   * The vector of one text.
   *
   * Rejects with an {@link EmbeddingError}, or with a {@link PoolError} when no connection could be had.
   */
  async embed(text: string, options?: EmbedOptions): Promise<Float32Array> {
    const [vector] = await this.embedMany([text], options);
    return vector!;
  }

  /**
   * The vectors of many texts, in their order. Requests go out in parallel, as many as the pool has connections. The first
   * failure ends them all.
   *
   * Rejects with an {@link EmbeddingError}, or with a {@link PoolError} when no connection could be had.
   */
  async embedMany(texts: readonly string[], options: EmbedManyOptions = {}): Promise<Float32Array[]> {
    if (!Array.isArray(texts))
      throw new TypeError(`embedMany: expected an array of texts, got a value of type ${typeof texts}`);
    texts.forEach(refuseBlank);
    const batches = this.batchesOf(texts);
    const vectors: Float32Array[] = Array.from({ length: texts.length });
    let done = 0;
    await inParallel(batches, this.pool.stats().maxConnections, options.signal, async (batch, signal) => {
      const part = await this.post(batch.texts, signal);
      this.pin(part);
      part.forEach((vector, position) => (vectors[batch.start + position] = vector));
      done += part.length;
      options.onProgress?.(done, texts.length);
    });
    return vectors;
  }

  /** The one HTTP call. The decorator leases a connection for it and gives it back, whatever happens. */
  @UsePool<EmbeddingService>((self) => self.pool, { signal: (_texts, signal: AbortSignal) => signal })
  protected async post(
    texts: readonly string[],
    signal: AbortSignal,
    @Leased() connection?: HttpConnection,
  ): Promise<Float32Array[]> {
    return requestEmbeddings(connection!, texts, this.options, this.dimensions, signal);
  }

  private batchesOf(texts: readonly string[]): Batch[] {
    const { batchSize } = this.options;
    const count = Math.ceil(texts.length / batchSize);
    return Array.from({ length: count }, (_none, index) => {
      const start = index * batchSize;
      return { start, texts: texts.slice(start, start + batchSize) };
    });
  }

  /** Requests that were made before the first answer have not been held to its length yet. */
  private pin(vectors: readonly Float32Array[]): void {
    const length = vectors[0]?.length;
    this.dimensions ??= length;
    if (length === this.dimensions) return;
    throw new EmbeddingResponseError(`vectors of ${length} and of ${this.dimensions} dimensions came back`);
  }
}

function refuseBlank(text: unknown, index: number): void {
  if (typeof text !== 'string')
    throw new EmbeddingInputError(index, `expected a text, got a value of type ${typeof text}`);
  if (text.trim() === '') throw new EmbeddingInputError(index, 'it is empty; leave it out, or give it words');
}

/** Does `work` for each item, `limit` of them at a time. The first failure stops the others and is the one that counts. */
async function inParallel<Item>(
  items: readonly Item[],
  limit: number,
  caller: AbortSignal | undefined,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(caller?.reason);
  if (caller?.aborted) onAbort();
  caller?.addEventListener('abort', onAbort, { once: true });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next]!;
      next += 1;
      await work(item, stop.signal);
    }
  };
  try {
    const workers = Array.from({ length: Math.min(limit, items.length) }, worker);
    for (const running of workers) running.catch((error: unknown) => stop.abort(error));
    await Promise.all(workers);
  } finally {
    caller?.removeEventListener('abort', onAbort);
  }
}
