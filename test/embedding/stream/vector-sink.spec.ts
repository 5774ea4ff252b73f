import { Subject } from 'rxjs';
import { EmbeddingAbortedError, EmbeddingInputError } from '../../../lib/embedding/embedding-errors.js';
import type { EmbeddedItem } from '../../../lib/embedding/stream/embed-stream.js';
import { type EmbedIntoOptions, embedInto, type VectorSink } from '../../../lib/embedding/stream/vector-sink.js';
import { failure } from '../../postgres/rig.js';
import { fakeEmbed, GatedEmbed, numbers, outcomeOf, partsOf, turns } from './fake-embed.js';

/** Keeps what it is given when it is told to. */
class GatedSink implements VectorSink<string> {
  readonly batches: (readonly EmbeddedItem<string>[])[] = [];
  readonly signals: AbortSignal[] = [];
  private readonly ends: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor(private readonly isOpen = false) {}

  write(batch: readonly EmbeddedItem<string>[], signal: AbortSignal): Promise<void> {
    this.batches.push(batch);
    this.signals.push(signal);
    return this.isOpen ? Promise.resolve() : new Promise((resolve, reject) => this.ends.push({ resolve, reject }));
  }

  keep(): void {
    this.ends.shift()!.resolve();
  }

  refuse(error: unknown): void {
    this.ends.shift()!.reject(error);
  }

  get written(): number[][] {
    return this.batches.map((batch) => batch.map(({ index }) => index));
  }
}

describe('a stream into a sink', () => {
  const parts = partsOf({ concurrency: 2, chunkSize: 4 });

  it('writes batches of the size that was asked for, whatever the chunks are, and sums up', async () => {
    const sink = new GatedSink(true);
    const summary = await embedInto(
      numbers(25),
      sink,
      fakeEmbed(),
      { sinkBatch: 10 },
      { ...parts, priceOf: (tokens) => tokens },
    );
    expect(sink.batches.map(({ length }) => length)).toEqual([10, 10, 5]);
    expect(sink.batches.flat()).toEqual(
      [...numbers(25)].map((item, index) => ({ item, index, vector: Float32Array.of(index) })),
    );
    expect(summary).toEqual({ done: 25, failed: 0, tokens: 50, cost: 50, elapsedMs: expect.any(Number) });
  });

  it('fills its batches from an asynchronous source that is quick', async () => {
    const sink = new GatedSink(true);
    const source = (async function* () {
      yield* numbers(25);
    })();
    await embedInto(source, sink, fakeEmbed(), { sinkBatch: 10, chunkSize: 1, concurrency: 1, lookAhead: 0 }, parts);
    expect(sink.batches.map(({ length }) => length)).toEqual([10, 10, 5]);
  });

  it('takes a batch that is larger than all that is read ahead', async () => {
    const sink = new GatedSink(true);
    await embedInto(
      numbers(100),
      sink,
      fakeEmbed(),
      { sinkBatch: 80, chunkSize: 1, concurrency: 1, lookAhead: 0 },
      parts,
    );
    expect(sink.batches.map(({ length }) => length)).toEqual([80, 20]);
  });

  it('goes at the pace of the sink, one batch at a time', async () => {
    const sink = new GatedSink();
    const gate = new GatedEmbed();
    const embed = (texts: readonly string[], signal: AbortSignal) => {
      const answer = gate.embed(texts, signal);
      gate.requests.at(-1)!.answer();
      return answer;
    };
    const done = embedInto(numbers(1_000), sink, embed, { sinkBatch: 8 }, parts);
    await turns(20);
    expect(sink.batches).toHaveLength(1);
    // Two chunks in the batch, and four that were read ahead.
    expect(gate.requests).toHaveLength(6);
    sink.keep();
    await turns(20);
    expect(sink.batches).toHaveLength(2);
    expect(gate.requests).toHaveLength(8);
    const reason = new Error('disk full');
    sink.refuse(reason);
    expect(await failure(done)).toBe(reason);
  });

  it('moves the checkpoint only past what is kept', async () => {
    const sink = new GatedSink();
    const saved: number[] = [];
    const checkpoint = { load: () => 0, save: (cursor: number) => void saved.push(cursor) };
    const done = embedInto(numbers(10), sink, fakeEmbed(), { sinkBatch: 6, checkpoint }, parts);
    await turns();
    expect(saved).toEqual([]);
    sink.keep();
    await turns();
    // Of the second chunk the batch had two of four.
    expect(saved.every((cursor) => cursor <= 6)).toBe(true);
    const reason = new Error('disk full');
    sink.refuse(reason);
    expect(await failure(done)).toBe(reason);
    expect(saved.at(-1)).toBe(6);
  });

  it('leaves out what cannot be embedded where somebody is told of it, and goes past it', async () => {
    const error = new EmbeddingInputError(0, 'blank', 'is blank');
    const embed = async (texts: readonly string[]) =>
      texts.map((text) => (Number(text) % 3 === 0 ? ({ ok: false, error } as const) : outcomeOf(text)));
    const failed: number[] = [];
    const saved: number[] = [];
    const options: EmbedIntoOptions<string> = {
      onFailure: (failure) => failed.push(failure.index, (failure.error as EmbeddingInputError).index),
      checkpoint: { load: () => 0, save: (cursor) => void saved.push(cursor) },
    };
    const sink = new GatedSink(true);
    expect(await embedInto(numbers(7), sink, embed, options, parts)).toMatchObject({ done: 4, failed: 3 });
    expect(failed).toEqual([0, 0, 3, 3, 6, 6]);
    expect(sink.written).toEqual([[1, 2, 4, 5]]);
    expect(saved.at(-1)).toBe(7);
    expect(await failure(embedInto(numbers(7), sink, embed, {}, parts))).toMatchObject({ index: 0 });
  });

  it('writes what it has when the source keeps it waiting', async () => {
    const sink = new GatedSink(true);
    const source = new Subject<string>();
    const done = embedInto(source, sink, fakeEmbed(), {}, parts);
    source.next('0');
    source.next('1');
    await turns();
    expect(sink.written).toEqual([[0, 1]]);
    source.next('2');
    source.complete();
    expect(await done).toMatchObject({ done: 3 });
    expect(sink.written).toEqual([[0, 1], [2]]);
  });

  it('aborts a batch on its way when the stream is aborted, and rejects when that has ended', async () => {
    const sink = new GatedSink();
    const controller = new AbortController();
    let isSettled = false;
    const done = failure(embedInto(numbers(9), sink, fakeEmbed(), { sinkBatch: 4, signal: controller.signal }, parts));
    void done.then(() => (isSettled = true));
    await turns();
    controller.abort();
    expect(sink.signals[0]!.aborted).toBe(true);
    await turns();
    expect(isSettled).toBe(false);
    sink.refuse(controller.signal.reason);
    expect(await done).toBeInstanceOf(EmbeddingAbortedError);
    expect(sink.batches).toHaveLength(1);
  });

  it('names every option that is wrong', async () => {
    const wrong = { sinkBatch: 0, settle: true } as unknown as EmbedIntoOptions<string>;
    expect(await failure(embedInto(numbers(1), new GatedSink(), fakeEmbed(), wrong, parts))).toMatchObject({
      problems: ['sinkBatch: expected a whole number from 1, got another number', 'settle: no such option'],
    });
  });
});
