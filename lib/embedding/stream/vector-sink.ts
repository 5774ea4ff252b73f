import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Rule, someFunction, wholeFrom } from '../../core/option-rules.js';
import type { EmbeddingOutcome } from '../embedding-outcome.js';
import type { Chunk } from './chunk.js';
import { ChunkFlow } from './chunk-flow.js';
import type { EmbeddedItem } from './embed-stream.js';
import type { EmbedSource } from './item-feed.js';
import {
  checkStream,
  type EmbedChunk,
  type EmbedStreamParts,
  type EmbedStreamSettings,
  STREAM,
} from './stream-options.js';

/** Where vectors are kept: a database, an index, a file. @publicApi */
export interface VectorSink<T> {
  /**
   * Resolves when the batch is kept for good: the checkpoint then goes past it. One batch at a time; embedding goes on
   * meanwhile. After a crash some items come again, so what was kept must be overwritten or left as it is, not added twice.
   *
   * The signal aborts when the stream has failed or is given up.
   */
  write(batch: readonly EmbeddedItem<T>[], signal: AbortSignal): Promise<void>;
}

/** An item that could not be embedded. @publicApi */
export interface FailedItem<T> {
  readonly item: T;
  readonly index: number;
  readonly error: Extract<EmbeddingOutcome, { readonly ok: false }>['error'];
}

/** What a stream into a sink may ask for. @publicApi */
export interface EmbedIntoOptions<T> extends EmbedStreamSettings<T> {
  /** Items of one `write`, at most. Default: 1 000. Fewer at the end, and when the source keeps one waiting. */
  readonly sinkBatch?: number;
  /** Told of every item that cannot be embedded, which is then left out. Default: the first of them ends the stream. */
  readonly onFailure?: (failure: FailedItem<T>) => void;
}

/** What has become of a stream into a sink. @publicApi */
export interface EmbedIntoSummary {
  /** Items that the sink has kept. */
  readonly done: number;
  /** Items that could not be embedded. */
  readonly failed: number;
  /** As the server counted them, else an estimate, else 0. */
  readonly tokens: number;
  /** What the tokens cost, where a price is known. */
  readonly cost: number | undefined;
  readonly elapsedMs: number;
}

const RULES: Readonly<Record<keyof EmbedIntoOptions<unknown>, Rule>> = {
  ...STREAM,
  sinkBatch: wholeFrom(1),
  onFailure: someFunction,
};

/**
 * Embeds what a source has to offer and writes it to a sink in batches, in no certain order. The sink's pace is the source's:
 * what waits to be written is at most one batch, beside the chunks that the stream reads ahead.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong; else the first failure of any part
 * @internal
 */
export async function embedInto<T>(
  source: EmbedSource<T>,
  sink: VectorSink<T>,
  embed: EmbedChunk,
  options: EmbedIntoOptions<T>,
  parts: EmbedStreamParts,
): Promise<EmbedIntoSummary> {
  checkStream(RULES, source, options, parts);
  const flow = new ChunkFlow(source, embed, { ...options, settle: options.onFailure !== undefined }, parts);
  const writer = new BatchWriter(flow, sink, options.onFailure, options.sinkBatch ?? 1_000);
  try {
    await writer.run();
  } catch (error) {
    flow.close({ error });
  }
  await flow.closed();
  if (flow.failure !== undefined) throw flow.failure.error;
  const { failed, tokens, cost, elapsedMs } = flow.meter;
  return { done: writer.written, failed, tokens, cost, elapsedMs };
}

class BatchWriter<T> {
  written = 0;
  private batch: EmbeddedItem<T>[] = [];
  /** Those that the batch has items of; all of its items but for the last one's. */
  private chunks: Chunk<T>[] = [];
  /** How many items of the last one are in the batch, or were in one before. */
  private taken = 0;
  /** Items since the last write, those included that have failed: a batch may be small, but never long in coming. */
  private count = 0;
  private wake: (() => void) | undefined;

  constructor(
    private readonly flow: ChunkFlow<T>,
    private readonly sink: VectorSink<T>,
    private readonly onFailure: ((failure: FailedItem<T>) => void) | undefined,
    private readonly size: number,
  ) {
    flow.onChange = () => this.wake?.();
  }

  async run(): Promise<void> {
    const { flow } = this;
    void flow.start();
    while (!flow.isClosed) {
      const chunk = flow.next();
      if (chunk !== undefined) await this.add(chunk);
      else if (this.chunks.length > 0 && (await this.isAtRest())) await this.write();
      else await this.change();
    }
  }

  /** Nothing is under way, and a turn of the event loop has brought nothing. */
  private async isAtRest(): Promise<boolean> {
    if (!this.flow.isStalled) return false;
    await nextTurn();
    return this.flow.isStalled;
  }

  private async change(): Promise<void> {
    if (this.flow.isClosed || this.flow.hasReady) return;
    await new Promise<void>((resolve) => (this.wake = resolve));
    this.wake = undefined;
  }

  private async add(chunk: Chunk<T>): Promise<void> {
    const { items, outcomes, first } = chunk;
    this.chunks.push(chunk);
    this.flow.release(chunk);
    for (let at = 0; at < items.length; at += 1) {
      const outcome = outcomes[at]!;
      const item = items[at] as T;
      this.taken = at + 1;
      this.count += 1;
      if (outcome.ok) this.batch.push({ item, index: first + at, vector: outcome.vector });
      else this.onFailure?.({ item, index: first + at, error: outcome.error });
      if (this.count < this.size) continue;
      await this.write();
      if (this.flow.isClosed) return;
    }
  }

  private async write(): Promise<void> {
    const { batch, chunks, flow } = this;
    this.count = 0;
    if (batch.length > 0) {
      this.batch = [];
      await this.sink.write(batch, flow.signal);
      this.written += batch.length;
    }
    const last = chunks.at(-1)!;
    last.handled = this.taken;
    this.chunks = last.handled < last.items.length ? [last] : [];
    for (const chunk of chunks) if (chunk !== last || this.chunks.length === 0) flow.finish(chunk);
  }
}
