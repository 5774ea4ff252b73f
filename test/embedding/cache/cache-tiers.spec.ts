import { PoolOptionsError } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import type { EmbeddingCacheOptions } from '../../../lib/embedding/cache/cache-options.js';
import { EmbeddingCache } from '../../../lib/embedding/cache/cache-tiers.js';
import { decodeCached, encodeVector } from '../../../lib/embedding/cache/vector-bytes.js';
import type { VectorCache } from '../../../lib/embedding/cache/vector-cache.js';

const vectorOf = (value: number): Float32Array => Float32Array.of(value, 1);

/** A store that does as it is told, and notes what it was asked. */
class FakeStore implements VectorCache {
  readonly values = new Map<string, Uint8Array>();
  readonly asked: (readonly string[])[] = [];
  readonly written: (number | undefined)[] = [];
  /** What is done before an answer: nothing, failing, or waiting for ever. */
  before: () => Promise<void> = () => Promise.resolve();

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.asked.push(keys);
    await this.before();
    return keys.map((key) => this.values.get(key));
  }

  async setMany(entries: readonly (readonly [string, Uint8Array])[], ttlMs?: number): Promise<void> {
    this.written.push(ttlMs);
    await this.before();
    for (const [key, value] of entries) this.values.set(key, value);
  }

  keep(key: string, vector: Float32Array, model?: string): void {
    this.values.set(`embeddings:${key}`, encodeVector(vector, model));
  }
}

const fail = (): Promise<void> => Promise.reject(new Error('the store is down'));
const hang = (): Promise<void> => new Promise(() => undefined);

describe('The two tiers of vectors', () => {
  let clock: ManualClock;
  let store: FakeStore;

  beforeEach(() => {
    clock = new ManualClock();
    store = new FakeStore();
  });
  // No request to the store may leave its timer behind.
  afterEach(() => expect(clock.pendingTimers).toBe(0));

  const cacheOf = (options: EmbeddingCacheOptions = {}): EmbeddingCache =>
    new EmbeddingCache({ store, ...options }, { clock });

  /** Asks for a key that is in neither tier, as often as is said. */
  async function miss(cache: EmbeddingCache, times: number): Promise<void> {
    for (let time = 0; time < times; time += 1) expect(await cache.getMany(['missing'])).toEqual([undefined]);
  }

  it('answer from memory what was set, without the store', async () => {
    const cache = cacheOf();
    cache.setMany([['a', vectorOf(1)]], 'm');
    expect(cache.getLocal('a')).toEqual(vectorOf(1));
    expect(await cache.getMany(['a'])).toEqual([vectorOf(1)]);
    expect(store.asked).toEqual([]);
    await cache.flush();
  });

  it('ask the store for what memory does not have, in one request, and give each key its own vector', async () => {
    const cache = cacheOf();
    cache.setMany([['b', vectorOf(2)]]);
    await cache.flush();
    store.keep('a', vectorOf(1));
    store.keep('d', vectorOf(4));
    expect(await cache.getMany(['a', 'b', 'c', 'd'])).toEqual([vectorOf(1), vectorOf(2), undefined, vectorOf(4)]);
    expect(store.asked).toEqual([['embeddings:a', 'embeddings:c', 'embeddings:d']]);
  });

  it('keep in memory what the store had, safe from the caller who got it first', async () => {
    const cache = cacheOf();
    store.keep('a', vectorOf(1));
    const [first] = await cache.getMany(['a']);
    first!.fill(9);
    expect(cache.getLocal('a')).toEqual(vectorOf(1));
  });

  it('send to the store what it was when it was set, with the model and the time to live', async () => {
    const cache = cacheOf({ storeTtlMs: 60_000.5, namespace: 'tests' });
    const vector = vectorOf(1);
    cache.setMany([['a', vector]], 'm');
    vector.fill(9);
    expect(cache.stats()).toMatchObject({ storeWrites: 1 });
    await cache.flush();
    expect(decodeCached(store.values.get('tests:a'))).toEqual({ vector: vectorOf(1), model: 'm' });
    expect(store.written).toEqual([60_001]);
    expect(cache.stats()).toMatchObject({ storeWrites: 0 });
  });

  it.each<[string, EmbeddingCacheOptions, number | undefined]>([
    ['as memory does, if nothing is said', { ttlMs: 5_000 }, 5_000],
    ['for as long as is said', { ttlMs: 5_000, storeTtlMs: 9_000 }, 9_000],
    ['for good', { ttlMs: 5_000, storeTtlMs: Infinity }, undefined],
    ['for good, as memory does', {}, undefined],
  ])('have the store keep vectors %s', async (_how, options, ttlMs) => {
    const cache = cacheOf(options);
    cache.setMany([['a', vectorOf(1)]]);
    await cache.flush();
    expect(store.written).toEqual([ttlMs]);
  });

  it('count each key once: by memory, then by the store', async () => {
    const cache = cacheOf();
    store.keep('a', vectorOf(1));
    for (const key of ['a', 'b']) expect(cache.getLocal(key)).toBeUndefined();
    await cache.getMany(['a', 'b']);
    cache.getLocal('a');
    expect(cache.stats()).toMatchObject({ entries: 1, hits: 1, misses: 2, storeHits: 1, storeFailures: 0 });
  });

  it('do without a store', async () => {
    const cache = new EmbeddingCache({}, { clock });
    cache.setMany([['a', vectorOf(1)]]);
    expect(await cache.getMany(['a', 'b'])).toEqual([vectorOf(1), undefined]);
    expect([cache.hasStore, cacheOf().hasStore]).toEqual([false, true]);
    await cache.flush();
    expect(cache.stats()).toMatchObject({ entries: 1, storeFailures: 0, storeDropped: 0 });
  });

  it('do without memory', async () => {
    const cache = cacheOf({ maxBytes: 0 });
    cache.setMany([['a', vectorOf(1)]]);
    await cache.flush();
    expect(cache.getLocal('a')).toBeUndefined();
    expect(await cache.getMany(['a'])).toEqual([vectorOf(1)]);
  });

  it('forget what is in memory, not what is in the store', async () => {
    const cache = cacheOf();
    cache.setMany([['a', vectorOf(1)]]);
    await cache.flush();
    cache.clear();
    expect(cache.getLocal('a')).toBeUndefined();
    expect(await cache.getMany(['a'])).toEqual([vectorOf(1)]);
  });

  describe('when the server changes its model', () => {
    it('hand out nothing of the old one, from memory or from the store', async () => {
      const cache = cacheOf();
      cache.setMany([['a', vectorOf(1)]], 'v1');
      store.keep('b', vectorOf(2), 'v1');
      cache.setMany([['c', vectorOf(3)]], 'v2');
      expect(cache.getLocal('a')).toBeUndefined();
      expect(await cache.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, vectorOf(3)]);
      expect(cache.stats()).toMatchObject({ entries: 1, storeHits: 0, storeUnfit: 2 });
    });

    it('notice even when it does so while the store is asked', async () => {
      const cache = cacheOf();
      store.keep('a', vectorOf(1), 'v1');
      const answer = cache.getMany(['a']);
      cache.setMany([['b', vectorOf(2)]], 'v2');
      expect(await answer).toEqual([undefined]);
      expect(cache.getLocal('a')).toBeUndefined();
    });

    it('tell it from a request for another model', async () => {
      const cache = cacheOf();
      cache.setMany([['a', vectorOf(1)]], 'small-2', 'small');
      cache.setMany([['b', vectorOf(2)]], 'large-7', 'large');
      await cache.flush();
      expect(cache.getLocal('a', 'small')).toEqual(vectorOf(1));
      expect(cache.getLocal('b', 'large')).toEqual(vectorOf(2));
      cache.setMany([['c', vectorOf(3)]], 'small-3', 'small');
      await cache.flush();
      expect(cache.getLocal('a', 'small')).toBeUndefined();
      expect(cache.getLocal('b', 'large')).toEqual(vectorOf(2));
    });

    it('accept the vectors of a server that names none', async () => {
      const cache = cacheOf();
      cache.setMany([['a', vectorOf(1)]], 'v1');
      cache.setMany([['b', vectorOf(2)]]);
      await cache.flush();
      cache.clear();
      expect(await cache.getMany(['a', 'b'])).toEqual([vectorOf(1), vectorOf(2)]);
    });
  });

  describe('with a store that is not well', () => {
    it('miss when it fails, be it at once or later', async () => {
      const cache = cacheOf();
      store.before = fail;
      await miss(cache, 1);
      store.getMany = () => {
        throw new Error('not even a promise');
      };
      await miss(cache, 1);
      cache.setMany([['a', vectorOf(1)]]);
      await cache.flush();
      expect(cache.getLocal('a')).toEqual(vectorOf(1));
      expect(cache.stats()).toMatchObject({ storeFailures: 3, storeTimeouts: 0 });
    });

    it('wait for it no longer than they are told to', async () => {
      const cache = cacheOf({ storeTimeoutMs: 40 });
      store.before = hang;
      let answer: unknown = 'none yet';
      void cache.getMany(['a']).then((vectors) => (answer = vectors));
      await clock.advance(39);
      expect(answer).toBe('none yet');
      await clock.advance(1);
      expect(answer).toEqual([undefined]);
      expect(cache.stats()).toMatchObject({ storeFailures: 1, storeTimeouts: 1 });
    });

    it('wait 250 ms where nothing is said', async () => {
      const answer = cacheOf().getMany(['a']);
      store.before = hang;
      expect(await answer).toEqual([undefined]);
      const late = cacheOf().getMany(['a']);
      await clock.advance(249);
      expect(clock.pendingTimers).toBe(1);
      await clock.advance(1);
      expect(await late).toEqual([undefined]);
    });

    it('keep no process alive by their patience', async () => {
      store.before = hang;
      void cacheOf().getMany(['a']);
      expect([clock.pendingTimers, clock.referencedTimers]).toEqual([1, 0]);
      await clock.advance(250);
    });

    it('pay no heed to an answer that comes too late, nor to a late failure', async () => {
      const cache = cacheOf({ storeTimeoutMs: 40 });
      const ends: (() => void)[] = [];
      store.before = () =>
        new Promise((resolve, reject) => ends.push(ends.length === 0 ? resolve : () => reject(new Error('late'))));
      store.keep('a', vectorOf(1));
      const answers = [cache.getMany(['a']), cache.getMany(['a'])];
      await clock.advance(40);
      for (const end of ends) end();
      expect(await Promise.all(answers)).toEqual([[undefined], [undefined]]);
      expect(cache.stats()).toMatchObject({ storeHits: 0, storeFailures: 2 });
    });

    it('wait for ever if they are told to', async () => {
      const cache = cacheOf({ storeTimeoutMs: Infinity });
      let proceed = (): void => undefined;
      store.before = () => new Promise((resolve) => (proceed = resolve));
      store.keep('a', vectorOf(1));
      const answer = cache.getMany(['a']);
      await clock.advance(1e9);
      proceed();
      expect(await answer).toEqual([vectorOf(1)]);
    });

    it.each<[string, unknown]>([
      ['nothing', undefined],
      ['a text', 'ab'],
      ['fewer values than keys', [encodeVector(vectorOf(1), undefined)]],
      ['more', [undefined, undefined, undefined]],
    ])('take %s for a failure: a vector might come to another text’s place', async (_what, answer) => {
      const cache = cacheOf();
      store.getMany = () => Promise.resolve(answer as []);
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
      expect(cache.stats()).toMatchObject({ storeFailures: 1 });
    });

    it('take values that are no vectors for misses, and nothing worse', async () => {
      const cache = cacheOf();
      store.keep('b', vectorOf(2));
      store.values.set('embeddings:a', Buffer.from('{"vector":[1,2]}'));
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, vectorOf(2)]);
      expect(cache.stats()).toMatchObject({ storeUnfit: 1, storeHits: 1, storeFailures: 0 });
    });

    it('leave it alone for a second after three failures in a row', async () => {
      const cache = cacheOf();
      store.before = fail;
      await miss(cache, 10);
      cache.setMany([['a', vectorOf(1)]]);
      expect(store.asked).toHaveLength(3);
      expect(cache.stats()).toMatchObject({ storeResting: true, storeSpared: 7, storeDropped: 1, storeWrites: 0 });
      store.before = () => Promise.resolve();
      await clock.advance(999);
      await miss(cache, 1);
      expect(store.asked).toHaveLength(3);
      await clock.advance(1);
      await miss(cache, 5);
      expect(store.asked).toHaveLength(8);
      expect(cache.stats()).toMatchObject({ storeResting: false });
    });

    it('leave it alone for twice as long each time, but for no more than 30 s', async () => {
      const cache = cacheOf();
      store.before = fail;
      await miss(cache, 3);
      for (const restMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
        const { length } = store.asked;
        await clock.advance(restMs - 1);
        await miss(cache, 1);
        expect(store.asked).toHaveLength(length);
        await clock.advance(1);
        await miss(cache, 2);
        expect(store.asked).toHaveLength(length + 1);
      }
    });

    it('rest a second again after it has worked in between', async () => {
      const cache = cacheOf();
      store.before = fail;
      await miss(cache, 3);
      await clock.advance(1_000);
      await miss(cache, 1);
      await clock.advance(2_000);
      store.before = () => Promise.resolve();
      await miss(cache, 1);
      store.before = fail;
      await miss(cache, 3);
      await clock.advance(1_000);
      await miss(cache, 1);
      expect(store.asked).toHaveLength(3 + 1 + 1 + 3 + 1);
    });

    it('let one request try after a rest, while all others go without', async () => {
      const cache = cacheOf({ storeTimeoutMs: 40 });
      store.before = fail;
      await miss(cache, 3);
      await clock.advance(1_000);
      store.before = hang;
      const answers = Promise.all(Array.from({ length: 10 }, () => cache.getMany(['a'])));
      expect(store.asked).toHaveLength(4);
      await clock.advance(40);
      expect(await answers).toHaveLength(10);
    });

    it('take failures of requests that were under way together for one reason to rest', async () => {
      const cache = cacheOf();
      store.before = hang;
      const answers = Promise.all(Array.from({ length: 50 }, () => cache.getMany(['a'])));
      await clock.advance(250);
      await answers;
      await clock.advance(1_000);
      expect(cache.stats()).toMatchObject({ storeFailures: 50, storeResting: false });
    });

    it('rest no longer for one that was under way before and fails later', async () => {
      const cache = cacheOf();
      store.before = hang;
      const straggler = cache.getMany(['a']);
      store.before = fail;
      await miss(cache, 3);
      await clock.advance(1_000);
      await straggler;
      expect(cache.stats()).toMatchObject({ storeFailures: 4, storeResting: false });
    });

    it('do not rest for failures that are not in a row', async () => {
      const cache = cacheOf();
      for (let round = 0; round < 5; round += 1) {
        store.before = fail;
        await miss(cache, 2);
        store.before = () => Promise.resolve();
        await miss(cache, 1);
      }
      expect(store.asked).toHaveLength(15);
    });

    it('have no more than 32 batches on their way to it, and drop the rest', async () => {
      const cache = cacheOf();
      store.before = hang;
      for (let batch = 0; batch < 40; batch += 1)
        cache.setMany([
          ['a', vectorOf(1)],
          ['b', vectorOf(2)],
        ]);
      expect(cache.stats()).toMatchObject({ storeWrites: 32, storeDropped: 16 });
      let isFlushed = false;
      void cache.flush().then(() => (isFlushed = true));
      await clock.advance(2_499);
      expect(isFlushed).toBe(false);
      await clock.advance(1);
      expect(isFlushed).toBe(true);
      expect(cache.stats()).toMatchObject({ storeWrites: 0, storeTimeouts: 32 });
    });
  });

  it('refuse wrong options, all of them at once', () => {
    const wrong = { maxBytes: -1, ttlMs: 0, store: {}, storeTtlMs: '1', storeTimeout: 5, namespace: '' };
    const make = () => new EmbeddingCache(wrong as unknown as EmbeddingCacheOptions, { name: 'search' });
    expect(make).toThrow(PoolOptionsError);
    const problems = (() => {
      try {
        make();
      } catch (error) {
        return (error as PoolOptionsError).problems;
      }
      return [];
    })();
    expect(problems).toEqual([
      'cache.maxBytes: expected a whole number from 0, got a negative number',
      'cache.ttlMs: expected a number of milliseconds above 0, or Infinity, got another number',
      'cache.store: expected an object with getMany() and setMany(), such as redisVectorCache() returns, got a value of type object',
      'cache.storeTtlMs: expected a number of milliseconds above 0, or Infinity, got a text',
      'cache.storeTimeout: no such option (did you mean storeTimeoutMs?)',
      'cache.namespace: expected a text that is not empty, got an empty text',
    ]);
  });
});
