import type { EmbeddingOutcome } from '../embedding-outcome.js';
import type { Chunk } from './chunk.js';
import { ChunkFlow } from './chunk-flow.js';
import type { EmbedSource } from './item-feed.js';
import {
  checkStream,
  type EmbedChunk,
  type EmbedStreamParts,
  type EmbedStreamSettings,
  ORDER,
  STREAM,
} from './stream-options.js';

/** What a stream of embeddings may ask for. @publicApi */
export interface EmbedStreamOptions<T> extends EmbedStreamSettings<T> {
  /** Whether vectors come in the order of their items. One slow request then holds up those behind it. Default: false. */
  readonly ordered?: boolean;
  /** Whether an item that cannot be embedded is handed out with its error, in place of ending the stream. Default: false. */
  readonly settle?: boolean;
}

/** An item with its vector. @publicApi */
export interface EmbeddedItem<T> {
  readonly item: T;
  /** Its place in the source, those included that a checkpoint has skipped. */
  readonly index: number;
  readonly vector: Float32Array;
}

/** An item with what became of it, of a stream with `settle`. @publicApi */
export interface SettledItem<T> {
  readonly item: T;
  /** Its place in the source, those included that a checkpoint has skipped. */
  readonly index: number;
  readonly outcome: EmbeddingOutcome;
}

/**
 * Embeds what a source has to offer, however much it is, in memory that does not grow: it is never more than `concurrency +
 * lookAhead` chunks ahead of its consumer. Nothing is read before the first `next()`.
 *
 * It rejects with the first failure, once, and delivers nothing more; all that is under way is aborted and the source is
 * ended, as when the consumer breaks off. An item counts as handled, for the checkpoint, when the consumer asks for another one after it.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function embedStream<T>(
  source: EmbedSource<T>,
  embed: EmbedChunk,
  options: EmbedStreamOptions<T> & { readonly settle: true },
  parts: EmbedStreamParts,
): AsyncIterableIterator<SettledItem<T>>;
export function embedStream<T>(
  source: EmbedSource<T>,
  embed: EmbedChunk,
  options: EmbedStreamOptions<T> & { readonly settle?: false | undefined },
  parts: EmbedStreamParts,
): AsyncIterableIterator<EmbeddedItem<T>>;
export function embedStream<T>(
  source: EmbedSource<T>,
  embed: EmbedChunk,
  options: EmbedStreamOptions<T>,
  parts: EmbedStreamParts,
): AsyncIterableIterator<EmbeddedItem<T> | SettledItem<T>>;
export function embedStream<T>(
  source: EmbedSource<T>,
  embed: EmbedChunk,
  options: EmbedStreamOptions<T>,
  parts: EmbedStreamParts,
): AsyncIterableIterator<EmbeddedItem<T> | SettledItem<T>> {
  checkStream({ ...STREAM, ...ORDER }, source, options, parts);
  const flow = new ChunkFlow(source, embed, options, parts);
  return new ItemIterator<T, EmbeddedItem<T> | SettledItem<T>>(
    flow,
    options.settle === true ? settledItem : embeddedItem,
  );
}

type Present<T, Y> = (chunk: Chunk<T>, at: number) => Y;

function settledItem<T>(chunk: Chunk<T>, at: number): SettledItem<T> {
  return { item: chunk.items[at] as T, index: chunk.first + at, outcome: chunk.outcomes[at]! };
}

function embeddedItem<T>(chunk: Chunk<T>, at: number): EmbeddedItem<T> {
  // Without `settle` a chunk with a failure has ended the flow.
  const { vector } = chunk.outcomes[at] as { readonly vector: Float32Array };
  return { item: chunk.items[at] as T, index: chunk.first + at, vector };
}

type Waiter<Y> = (result: IteratorResult<Y> | Promise<IteratorResult<Y>>) => void;

/** Item by item what a flow hands out in chunks. It may be asked for several items at once. */
class ItemIterator<T, Y> implements AsyncIterableIterator<Y> {
  private chunk: Chunk<T> | undefined;
  /** The next item within the chunk. */
  private at = 0;
  private readonly waiters: Waiter<Y>[] = [];
  private hasStarted = false;
  private isFailureTold = false;

  constructor(
    private readonly flow: ChunkFlow<T>,
    private readonly present: Present<T, Y>,
  ) {
    flow.onChange = () => this.serve();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Y>> {
    this.settleHandled();
    const value = this.waiters.length === 0 ? this.deliver() : undefined;
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.flow.isClosed) return this.ending();
    return new Promise((resolve) => {
      this.waiters.push(resolve);
      if (this.hasStarted) return;
      this.hasStarted = true;
      void this.flow.start();
    });
  }

  /** Ends all that is under way. The item handed out last does not count as handled. */
  async return(value?: unknown): Promise<IteratorResult<Y>> {
    this.flow.close();
    await this.ending();
    return { done: true, value };
  }

  async throw(error?: unknown): Promise<IteratorResult<Y>> {
    this.isFailureTold = true;
    await this.return();
    throw error;
  }

  /** Whoever asks for another item has dealt with all before it. */
  private settleHandled(): void {
    const { chunk } = this;
    if (chunk === undefined) return;
    chunk.handled = this.at;
    if (this.at < chunk.items.length) return;
    this.chunk = undefined;
    this.flow.finish(chunk);
  }

  private deliver(): Y | undefined {
    if (this.flow.isClosed) return undefined;
    if (this.chunk === undefined) {
      this.chunk = this.flow.next();
      this.at = 0;
    }
    const { chunk, at } = this;
    // The last of a chunk stays with it until it has been handled.
    if (chunk === undefined || at === chunk.items.length) return undefined;
    this.at = at + 1;
    return this.present(chunk, at);
  }

  private serve(): void {
    if (this.flow.isClosed) this.chunk = undefined;
    while (this.waiters.length > 0) {
      const value = this.deliver();
      if (value === undefined) break;
      this.waiters.shift()!({ done: false, value });
      // They who wait already have asked for another one.
      if (this.waiters.length > 0) this.settleHandled();
    }
    if (this.flow.isClosed) for (const resolve of this.waiters.splice(0)) resolve(this.ending());
  }

  private async ending(): Promise<IteratorResult<Y>> {
    await this.flow.closed();
    const { failure } = this.flow;
    if (failure === undefined || this.isFailureTold) return { done: true, value: undefined };
    this.isFailureTold = true;
    throw failure.error;
  }
}
