import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { from, Subject } from 'rxjs';
import { PoolOptionsError } from '../../../lib/core/index.js';
import {
  EmbeddingAbortedError,
  EmbeddingInputError,
  EmbeddingResponseError,
} from '../../../lib/embedding/embedding-errors.js';
import type { EmbeddingOutcome } from '../../../lib/embedding/embedding-outcome.js';
import { embedStream, type EmbedStreamOptions } from '../../../lib/embedding/stream/embed-stream.js';
import { EmbedBufferError } from '../../../lib/embedding/stream/item-feed.js';
import { failure } from '../../postgres/rig.js';
import { fakeEmbed, GatedEmbed, numbers, outcomeOf, partsOf, turns } from './fake-embed.js';

async function all<Y>(items: AsyncIterable<Y>): Promise<Y[]> {
  const list: Y[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** A source that tells how far it was read and whether it was ended. */
class Watched implements Iterable<string> {
  pulled = 0;
  isEnded = false;

  constructor(
    private readonly to: number,
    private readonly failsAt = Infinity,
  ) {}

  *[Symbol.iterator](): Generator<string> {
    try {
      for (const text of numbers(this.to)) {
        if (this.pulled === this.failsAt) throw new Error('source broke');
        this.pulled += 1;
        yield text;
      }
    } finally {
      this.isEnded = true;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    yield* this[Symbol.iterator]();
  }

  /** Without the asynchronous side. */
  get sync(): Iterable<string> {
    return { [Symbol.iterator]: () => this[Symbol.iterator]() };
  }
}

describe('a stream of embeddings', () => {
  it('hands out every item once with the vector of its own text, from any kind of source and in any size of chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          length: fc.nat(60),
          chunkSize: fc.integer({ min: 1, max: 9 }),
          concurrency: fc.integer({ min: 1, max: 4 }),
          lookAhead: fc.nat(3),
          ordered: fc.boolean(),
          kind: fc.constantFrom('sync', 'async', 'observable'),
          delays: fc.infiniteStream(fc.nat(3)),
        }),
        async ({ length, chunkSize, concurrency, lookAhead, ordered, kind, delays }) => {
          const items = Array.from({ length }, (_, id) => ({ id }));
          const watched = new Watched(length);
          const sources = {
            sync: items,
            observable: from(items),
            async: (async function* () {
              for await (const text of watched) yield items[Number(text)]!;
            })(),
          };
          const stream = embedStream(
            sources[kind],
            async (texts) => {
              const outcomes = texts.map(outcomeOf);
              await turns(delays.next().value as number);
              return outcomes;
            },
            { text: ({ id }) => String(id), ordered, chunkSize, concurrency, lookAhead },
            partsOf(),
          );
          const seen = await all(stream);
          if (!ordered) seen.sort((one, other) => one.index - other.index);
          expect(seen).toEqual(items.map((item, index) => ({ item, index, vector: Float32Array.of(index) })));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads nothing before it is asked for the first item', async () => {
    const source = new Watched(10);
    const stream = embedStream(source.sync, fakeEmbed(), {}, partsOf());
    await turns();
    expect(source.pulled).toBe(0);
    await stream.return!();
    expect(source.pulled).toBe(0);
  });

  it.each(['sync', 'async'] as const)(
    'reads no further ahead of its consumer than concurrency + lookAhead chunks: %s',
    async (kind) => {
      const source = new Watched(100);
      const stream = embedStream(
        kind === 'sync' ? source.sync : source,
        fakeEmbed(),
        { concurrency: 2, lookAhead: 3, chunkSize: 4 },
        partsOf(),
      );
      await stream.next();
      await turns();
      expect(source.pulled).toBe(20);
      for (let left = 4; left > 0; left -= 1) await stream.next();
      await turns();
      // The first chunk is dealt with now that an item of the next one has been asked for.
      expect(source.pulled).toBe(24);
      await stream.return!();
    },
  );

  it('has no more requests under way than it may, and makes the next one as soon as one has ended', async () => {
    const gate = new GatedEmbed();
    const stream = embedStream(numbers(100), gate.embed, { concurrency: 2, chunkSize: 2 }, partsOf());
    const first = stream.next();
    await turns();
    expect(gate.sent).toEqual(['0 1', '2 3']);
    gate.requests[1]!.answer();
    expect(await first).toMatchObject({ value: { index: 2 } });
    expect(gate.sent).toEqual(['0 1', '2 3', '4 5']);
    await stream.return!();
  });

  it('asks anew how many requests there may be', async () => {
    const gate = new GatedEmbed();
    let concurrency = 1;
    const parts = { ...partsOf({ chunkSize: 1 }), concurrency: () => concurrency };
    const stream = embedStream(numbers(9), gate.embed, {}, parts);
    void stream.next();
    await turns();
    expect(gate.sent).toEqual(['0']);
    concurrency = 3;
    gate.requests[0]!.answer();
    await turns();
    expect(gate.sent).toEqual(['0', '1', '2', '3']);
    await stream.return!();
  });

  it('hands out what is ready first, or in order when that is asked for', async () => {
    for (const ordered of [false, true]) {
      const gate = new GatedEmbed();
      const stream = embedStream(numbers(6), gate.embed, { ordered, concurrency: 3, chunkSize: 2 }, partsOf());
      const reading = all(stream);
      await turns();
      for (const at of [2, 0, 1]) {
        gate.requests[at]!.answer();
        await turns();
      }
      const order = (await reading).map(({ index }) => index);
      expect(order).toEqual(ordered ? [0, 1, 2, 3, 4, 5] : [4, 5, 0, 1, 2, 3]);
    }
  });

  it('sends a chunk that is not full when the source stalls and a request could be made, else lets it grow', async () => {
    const gate = new GatedEmbed();
    const source = new Subject<string>();
    const stream = embedStream(source, gate.embed, { concurrency: 1, chunkSize: 4 }, partsOf());
    const reading = all(stream);
    source.next('0');
    source.next('1');
    await turns();
    expect(gate.sent).toEqual(['0 1']);
    source.next('2');
    await turns();
    source.next('3');
    await turns();
    expect(gate.sent).toEqual(['0 1']);
    gate.requests[0]!.answer();
    await turns();
    expect(gate.sent).toEqual(['0 1', '2 3']);
    gate.requests[1]!.answer();
    source.complete();
    expect(await reading).toHaveLength(4);
  });

  it('fills its chunks from an asynchronous source that is quick', async () => {
    const gate = new GatedEmbed();
    const stream = embedStream(new Watched(9), gate.embed, { concurrency: 4, chunkSize: 4 }, partsOf());
    const reading = all(stream);
    await turns();
    expect(gate.sent).toEqual(['0 1 2 3', '4 5 6 7', '8']);
    for (const request of gate.requests) request.answer();
    await reading;
  });

  it('answers several calls of next() at once, each with an item of its own', async () => {
    const stream = embedStream(numbers(5), fakeEmbed(), { chunkSize: 2, ordered: true }, partsOf());
    const results = await Promise.all(Array.from({ length: 7 }, () => stream.next()));
    expect(results.map(({ value, done }) => (done === true ? 'done' : value.index))).toEqual([
      0,
      1,
      2,
      3,
      4,
      'done',
      'done',
    ]);
  });
});

describe('a stream that fails', () => {
  const rejected = (text: string): EmbeddingOutcome =>
    text === '5' ? { ok: false, error: new EmbeddingInputError(1, 'blank', 'is blank') } : outcomeOf(text);

  it('rejects once with the first failure, named by its place in the source, and aborts what is under way', async () => {
    const gate = new GatedEmbed();
    const source = new Watched(100);
    const stream = embedStream(source.sync, gate.embed, { concurrency: 3, chunkSize: 4 }, partsOf());
    const first = failure(stream.next());
    await turns();
    gate.requests[1]!.answer(gate.requests[1]!.texts.map(rejected));
    expect(await first).toMatchObject({
      code: 'EMBEDDING_INPUT',
      index: 5,
      problem: 'blank',
      message: 'text 5: is blank',
    });
    expect(gate.requests.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    expect(source.isEnded).toBe(true);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    gate.requests[0]!.refuse(new Error('late, and nobody minds'));
    await turns();
  });

  it('hands failures out with their items when they are to be settled', async () => {
    const pool = new PoolOptionsError('embeddings', ['any error of a pool']);
    const embed = async (texts: readonly string[]): Promise<EmbeddingOutcome[]> =>
      texts.map((text) => (text === '2' ? { ok: false, error: pool } : rejected(text)));
    const seen = await all(embedStream(numbers(7), embed, { settle: true, ordered: true }, partsOf()));
    expect(seen.map(({ outcome }) => (outcome.ok ? outcome.vector[0] : outcome.error))).toEqual([
      0,
      1,
      pool,
      3,
      4,
      expect.objectContaining({ index: 5 }),
      6,
    ]);
  });

  it('rejects with what ends a request as a whole, though failures are settled', async () => {
    const error = new Error('quota');
    const stream = embedStream(numbers(9), () => Promise.reject(error), { settle: true }, partsOf());
    expect(await failure(stream.next())).toBe(error);
  });

  it('does not hand out vectors when there are more or fewer of them than texts', async () => {
    const stream = embedStream(numbers(9), async () => [outcomeOf('1')], {}, partsOf());
    expect(await failure(stream.next())).toBeInstanceOf(EmbeddingResponseError);
  });

  it.each(['sync', 'async'] as const)('rejects with the error of a source that throws: %s', async (kind) => {
    const source = new Watched(100, 3);
    const options = { concurrency: 1, chunkSize: 2, lookAhead: 0, settle: false } as const;
    const stream = embedStream(kind === 'sync' ? source.sync : source, fakeEmbed(), options, partsOf());
    expect(await stream.next()).toMatchObject({ value: { index: 0 } });
    expect(await stream.next()).toMatchObject({ value: { index: 1 } });
    expect(await failure(stream.next())).toMatchObject({ message: 'source broke' });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it.each(['sync', 'async'] as const)('delivers nothing more when its source has thrown: %s', async (kind) => {
    const gate = new GatedEmbed();
    const source = new Watched(100, 3);
    const stream = embedStream(kind === 'sync' ? source.sync : source, gate.embed, { chunkSize: 2 }, partsOf());
    const first = failure(stream.next());
    expect(await first).toMatchObject({ message: 'source broke' });
    expect(gate.requests.map(({ signal }) => signal.aborted)).toEqual([true]);
    gate.requests[0]!.answer();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('says what is missing when items are no texts', async () => {
    const stream = embedStream([{ id: 1 }], fakeEmbed(), {}, partsOf());
    expect(await failure(stream.next())).toMatchObject({
      message: 'item 0: expected a text, got a value of type object; say what to embed by the option "text"',
    });
  });

  it('ends the source when "text" throws', async () => {
    const source = new Watched(9);
    const text = (): string => {
      throw new Error('no such field');
    };
    for (const from of [source.sync, source]) {
      source.isEnded = false;
      const stream = embedStream(from, fakeEmbed(), { text }, partsOf());
      expect(await failure(stream.next())).toMatchObject({ message: 'no such field' });
      expect(source.isEnded).toBe(true);
    }
  });

  it('rejects when the signal aborts, with its reason as the cause, and before anything is read when it has', async () => {
    const gate = new GatedEmbed();
    const controller = new AbortController();
    const source = new Watched(9);
    const stream = embedStream(source.sync, gate.embed, { signal: controller.signal }, partsOf());
    const first = failure(stream.next());
    await turns();
    controller.abort('enough');
    expect(await first).toBeInstanceOf(EmbeddingAbortedError);
    expect(await first).toMatchObject({ cause: 'enough' });
    expect(gate.requests[0]!.signal.aborted).toBe(true);
    expect(source.isEnded).toBe(true);
    const another = embedStream(new Watched(9), gate.embed, { signal: controller.signal }, partsOf());
    expect(await failure(another.next())).toBeInstanceOf(EmbeddingAbortedError);
    expect(gate.requests).toHaveLength(2);
  });
});

it('listens to the signal for as long as the stream lasts, and no longer', async () => {
  const { signal } = new AbortController();
  const whole = embedStream(numbers(9), fakeEmbed(), { signal }, partsOf());
  const broken = embedStream(numbers(9), fakeEmbed(), { signal }, partsOf());
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  await whole.next();
  await broken.next();
  expect(getEventListeners(signal, 'abort')).toHaveLength(2);
  await all(whole);
  await broken.return!();
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

describe('a stream whose consumer breaks off', () => {
  it.each(['sync', 'async'] as const)('ends the source and aborts its requests: %s', async (kind) => {
    const gate = new GatedEmbed();
    const source = new Watched(100);
    const options: EmbedStreamOptions<string> = { concurrency: 2, chunkSize: 2 };
    const reading = (async () => {
      for await (const _ of embedStream(
        kind === 'sync' ? source.sync : source,
        gate.embed,
        { ...options, settle: false },
        partsOf(),
      ))
        break;
    })();
    await turns();
    gate.requests[0]!.answer();
    await reading;
    expect(source.isEnded).toBe(true);
    expect(gate.requests.slice(1).every(({ signal }) => signal.aborted)).toBe(true);
  });

  it('does not wait for a source that never yields', async () => {
    let returned = 0;
    const source: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => {
          returned += 1;
          return new Promise(() => {});
        },
      }),
    };
    const stream = embedStream(source, fakeEmbed(), {}, partsOf());
    const waiting = stream.next();
    await turns();
    expect(await stream.return!()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(returned).toBe(1);
  });

  it('waits for a source that has something to tidy up, and tells of what goes wrong there', async () => {
    const source = (async function* () {
      try {
        yield* numbers(100);
      } finally {
        await turns();
        // oxlint-disable-next-line no-unsafe-finally
        throw new Error('cursor not closed');
      }
    })();
    const stream = embedStream(source, fakeEmbed(), { chunkSize: 1, concurrency: 1 }, partsOf());
    await stream.next();
    await turns();
    expect(await failure(stream.return!())).toMatchObject({ message: 'cursor not closed' });
  });

  it('rejects throw() with what was thrown, after it has ended', async () => {
    const source = new Watched(9);
    const stream = embedStream(source.sync, fakeEmbed(), {}, partsOf());
    await stream.next();
    const error = new Error('mine');
    expect(await failure(stream.throw!(error))).toBe(error);
    expect(source.isEnded).toBe(true);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});

describe('an Observable as the source', () => {
  it('is unsubscribed from when the stream ends', async () => {
    const source = new Subject<string>();
    const stream = embedStream(source, fakeEmbed(), {}, partsOf());
    const first = stream.next();
    source.next('1');
    await first;
    expect(source.observed).toBe(true);
    await stream.return!();
    expect(source.observed).toBe(false);
  });

  it('ends the stream when it is further ahead than was allowed', async () => {
    const gate = new GatedEmbed();
    const source = new Subject<string>();
    const stream = embedStream(
      source,
      gate.embed,
      { concurrency: 1, lookAhead: 0, chunkSize: 2, maxBuffered: 3 },
      partsOf(),
    );
    const first = failure(stream.next());
    for (const text of numbers(5)) source.next(text);
    await turns();
    expect(gate.requests[0]!.signal.aborted).toBe(false);
    source.next('5');
    expect(await first).toBeInstanceOf(EmbedBufferError);
    expect(source.observed).toBe(false);
  });

  it('passes its error on', async () => {
    const source = new Subject<string>();
    const stream = embedStream(source, fakeEmbed(), {}, partsOf());
    const first = failure(stream.next());
    source.error(new Error('lost'));
    expect(await first).toMatchObject({ message: 'lost' });
  });
});

it('names every option of a stream that is wrong', () => {
  const wrong = {
    chunkSize: 0,
    lookAhead: -1,
    ordered: 'yes',
    checkpoint: {},
    batch: 3,
  } as unknown as EmbedStreamOptions<string> & { settle: false };
  expect(() => embedStream('a text', fakeEmbed(), wrong, { ...partsOf(), name: 'documents' })).toThrow(
    expect.objectContaining({
      pool: 'documents',
      problems: [
        'source: expected an iterable, an async iterable or an Observable of items, got a text',
        'chunkSize: expected a whole number from 1, got another number',
        'lookAhead: expected a whole number from 0, got a negative number',
        'ordered: expected true or false, got a text',
        'checkpoint: expected an object with load() and save(), got a value of type object',
        expect.stringMatching(/^batch: no such option/),
      ],
    }),
  );
});
