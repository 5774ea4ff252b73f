import { type EventListenerObject, listenToAbort } from '../../core/abort-listening.js';
import { shapeOf } from '../../core/option-rules.js';
import { EmbeddingAbortedError } from '../embedding-errors.js';
import type { EmbeddingOutcome } from '../embedding-outcome.js';
import { CursorKeeper } from './checkpoint.js';
import { Chunk } from './chunk.js';
import { type EmbedSource, feedOf, type Intake, type ItemFeed } from './item-feed.js';
import { ProgressMeter } from './progress.js';
import type { EmbedChunk, EmbedStreamParts, EmbedStreamSettings } from './stream-options.js';

const LOOK_AHEAD = 2;

/** What the consumer's side adds. @internal */
export interface ChunkFlowOptions<T> extends EmbedStreamSettings<T> {
  readonly ordered?: boolean;
  readonly settle?: boolean;
}

type FlowState =
  | { readonly is: 'new' }
  /** The checkpoint is asked where to begin. */
  | { readonly is: 'loading' }
  | { readonly is: 'open'; readonly feed: ItemFeed }
  /** The source has no more. */
  | { readonly is: 'drained'; readonly feed: ItemFeed }
  | { readonly is: 'closed'; readonly done: Promise<void> };

/**
 * Pulls items from a source, embeds them in chunks, and hands the chunks to one consumer.
 *
 * Invariants: chunks under way <= concurrency; chunks that are read and not let go <= concurrency + lookAhead; `live` has every
 * chunk that is not finished, oldest first, so that everything before its first unhandled item has been handled.
 *
 * @internal
 */
export class ChunkFlow<T> implements Intake<T>, EventListenerObject {
  readonly meter: ProgressMeter;
  /** Called when a chunk has become ready, and when the flow has closed. */
  onChange: () => void = () => {};
  /** Why it closed, unless it came to its end. */
  failure: { readonly error: unknown } | undefined;

  private state: FlowState = { is: 'new' };
  private readonly live: Chunk<T>[] = [];
  private filling: Chunk<T> | undefined;
  private readonly unsent: Chunk<T>[] = [];
  /** Embedded and not yet given to the consumer; not in use when order is kept. */
  private readonly ready: Chunk<T>[] = [];
  private underWay = 0;
  /** Live ones that the consumer has; the first ones of all when order is kept. */
  private given = 0;
  private released = 0;
  /** How many items of the source have been taken. */
  private position = 0;
  /** So many of them are skipped. */
  private skipped = 0;
  private flush: NodeJS.Immediate | undefined;
  private readonly keeper: CursorKeeper | undefined;
  private readonly controller = new AbortController();

  constructor(
    private readonly source: EmbedSource<T>,
    private readonly embed: EmbedChunk,
    private readonly options: ChunkFlowOptions<T>,
    private readonly parts: EmbedStreamParts,
  ) {
    const { checkpoint, total, onProgress } = options;
    const priceOf = (tokens: number): number | undefined => parts.priceOf?.(tokens);
    this.meter = new ProgressMeter({ clock: parts.clock, total, onProgress, priceOf });
    if (checkpoint !== undefined) this.keeper = new CursorKeeper(checkpoint, (error) => this.close({ error }));
  }

  /** Aborted when the flow is given up. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get isClosed(): boolean {
    return this.state.is === 'closed';
  }

  /** Whether only the source can bring anything new: all that came from it is with the consumer. */
  get isStalled(): boolean {
    return this.live.length === this.given;
  }

  /** Whether {@link ChunkFlow.next} has one. */
  get hasReady(): boolean {
    return this.options.ordered === true ? this.live[this.given]?.isEmbedded === true : this.ready.length > 0;
  }

  /** Begins, the first time; nothing is read before. */
  async start(): Promise<void> {
    if (this.state.is !== 'new') return;
    const { signal, maxBuffered = Infinity } = this.options;
    if (signal?.aborted) return this.handleEvent();
    if (signal !== undefined) listenToAbort(signal, this);
    this.state = { is: 'loading' };
    try {
      if (this.keeper !== undefined) this.skipped = await this.keeper.load();
      if (this.isClosed) return;
      this.state = { is: 'open', feed: feedOf(this.source, this, maxBuffered) };
      this.meter.start(this.skipped);
      this.pump();
    } catch (error) {
      this.close({ error });
    }
  }

  /** The next chunk for the consumer, if one is there. */
  next(): Chunk<T> | undefined {
    if (!this.hasReady) return undefined;
    const chunk = this.options.ordered === true ? this.live[this.given] : this.ready.shift();
    this.given += 1;
    return chunk;
  }

  /** The source may go on as if the chunk were finished, though its items are not handled yet. */
  release(chunk: Chunk<T>): void {
    chunk.isReleased = true;
    this.released += 1;
    this.pump();
  }

  /** All of the chunk's items have been handled. */
  finish(chunk: Chunk<T>): void {
    const { live } = this;
    if (this.isClosed) return;
    if (live[0] === chunk) live.shift();
    else live.splice(live.indexOf(chunk), 1);
    this.given -= 1;
    if (chunk.isReleased) this.released -= 1;
    this.keeper?.note(this.cursor);
    this.pump();
    this.endIfEmpty();
  }

  /** Ends everything that is under way: because of a failure, else because nobody wants more, or there is no more. */
  close(failure?: { readonly error: unknown }): void {
    if (this.state.is === 'closed') return;
    const { cursor, state } = this;
    this.failure = failure;
    let wrappedUp!: () => void;
    this.state = { is: 'closed', done: new Promise<void>((resolve) => (wrappedUp = resolve)) };
    if (this.flush !== undefined) clearImmediate(this.flush);
    this.options.signal?.removeEventListener('abort', this);
    for (const list of [this.live, this.unsent, this.ready]) list.length = 0;
    this.filling = undefined;
    if (failure !== undefined || this.underWay > 0) this.controller.abort(failure?.error);
    void this.wrapUp(state, cursor).then(wrappedUp);
    this.onChange();
  }

  /** Resolves when the source has ended and the last cursor is saved, as far as they can be waited for. */
  async closed(): Promise<void> {
    if (this.state.is === 'closed') await this.state.done;
  }

  /** The caller's signal has aborted. */
  handleEvent(): void {
    this.close({ error: new EmbeddingAbortedError(this.options.signal!.reason) });
  }

  /** For the feed, as are `take`, `end` and `fail`. */
  get hasRoom(): boolean {
    if (this.filling !== undefined) return true;
    if (this.state.is !== 'open') return false;
    return this.live.length - this.released < this.concurrency + (this.options.lookAhead ?? LOOK_AHEAD);
  }

  take(item: T): void {
    if (this.state.is !== 'open') return;
    const { position } = this;
    this.position = position + 1;
    if (position < this.skipped) return;
    const chunk = this.filling ?? this.begin(position);
    chunk.items.push(item);
    const { text } = this.options;
    if (text !== undefined) chunk.texts.push(text(item));
    else if (typeof item !== 'string') throw noText(item, position);
    if (chunk.items.length >= chunk.size) this.send();
    else if (this.flush === undefined && this.state.feed.mayStall) this.planFlush();
  }

  end(): void {
    if (this.state.is !== 'open') return;
    this.state = { is: 'drained', feed: this.state.feed };
    if (this.filling !== undefined) this.send();
    this.endIfEmpty();
  }

  fail(error: unknown): void {
    this.close({ error });
  }

  /** Everything before it has been handled. */
  private get cursor(): number {
    const oldest = this.live[0];
    return oldest === undefined ? Math.max(this.position, this.skipped) : oldest.first + oldest.handled;
  }

  private get concurrency(): number {
    return Math.max(this.options.concurrency ?? this.parts.concurrency(), 1);
  }

  private begin(first: number): Chunk<T> {
    const size = Math.max(this.options.chunkSize ?? this.parts.chunkSize(), 1);
    const chunk = new Chunk<T>(first, size, this.options.text !== undefined);
    this.filling = chunk;
    this.live.push(chunk);
    return chunk;
  }

  private pump(): void {
    if (this.state.is === 'open' && this.hasRoom) this.state.feed.flow();
  }

  /** The chunk that was being filled goes out as it is, when its turn comes. */
  private send(): void {
    this.unsent.push(this.filling!);
    this.filling = undefined;
    this.sendAll();
  }

  private sendAll(): void {
    while (this.unsent.length > 0 && this.underWay < this.concurrency) {
      const chunk = this.unsent.shift()!;
      this.underWay += 1;
      void this.embedOne(chunk);
    }
  }

  private async embedOne(chunk: Chunk<T>): Promise<void> {
    try {
      const outcomes = await this.embed(chunk.texts, this.signal);
      this.underWay -= 1;
      if (!this.isClosed) this.embedded(chunk, outcomes);
    } catch (error) {
      this.close({ error });
    }
  }

  /**
   * A chunk that is not full goes out when a request could be made for it and a turn of the event loop has brought nothing more:
   * a slow source's items need not wait for others, and while requests are busy they gather.
   */
  private planFlush(): void {
    if (this.flush !== undefined || this.underWay >= this.concurrency) return;
    const { position } = this;
    this.flush = setImmediate(() => {
      this.flush = undefined;
      if (this.filling === undefined) return;
      if (this.position !== position) this.planFlush();
      else if (this.underWay < this.concurrency) this.send();
    });
  }

  private embedded(chunk: Chunk<T>, outcomes: readonly EmbeddingOutcome[]): void {
    const { done, failed, tokens } = chunk.settle(outcomes, this.options.settle === true, this.parts);
    this.meter.add(done, failed, tokens);
    if (this.options.ordered !== true) this.ready.push(chunk);
    this.sendAll();
    // There may be more connections by now.
    this.pump();
    if (this.filling !== undefined) this.planFlush();
    this.onChange();
  }

  private endIfEmpty(): void {
    if (this.state.is === 'drained' && this.live.length === 0) this.close();
  }

  private async wrapUp(state: FlowState, cursor: number): Promise<void> {
    // First, and so before `close` returns: an Observable would emit into the void.
    await this.attempt(() => (state.is === 'open' || state.is === 'drained' ? state.feed.stop() : undefined));
    await this.attempt(() => this.meter.end());
    await this.attempt(() => this.keeper?.end(cursor));
  }

  private async attempt(step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.failure ??= { error };
    }
  }
}

function noText(item: unknown, index: number): TypeError {
  return new TypeError(`item ${index}: expected a text, got ${shapeOf(item)}; say what to embed by the option "text"`);
}
