import fc from 'fast-check';
import { ManualClock } from 'nestjs-pools/testing';
import { LocalVectorCache } from '../../../lib/embedding/cache/local-cache.js';

const vectorOf = (value: number, length = 4): Float32Array => new Float32Array(length).fill(value);

/** Bytes that an entry of a vector of four numbers and a key of one letter takes. */
function entryBytes(): number {
  const cache = new LocalVectorCache();
  cache.set('a', vectorOf(1));
  return cache.stats().bytes;
}

describe('Vectors in memory', () => {
  it('are handed out as copies: who writes into one spoils nobody else’s', () => {
    const cache = new LocalVectorCache();
    const given = vectorOf(1);
    cache.set('a', given);
    given.fill(9);
    const first = cache.get('a')!;
    expect(first).toEqual(vectorOf(1));
    first.fill(9);
    expect(cache.get('a')).toEqual(vectorOf(1));
  });

  it('pin no more memory than their own', () => {
    const cache = new LocalVectorCache();
    cache.set('a', vectorOf(1, 1_000).subarray(0, 4));
    expect(cache.get('a')!.buffer.byteLength).toBe(16);
  });

  it('leave in the order of their last use when the bytes are used up', () => {
    const cache = new LocalVectorCache({ maxBytes: entryBytes() * 2 });
    cache.set('a', vectorOf(1));
    cache.set('b', vectorOf(2));
    cache.get('a');
    cache.set('c', vectorOf(3));
    expect(['a', 'b', 'c'].map((key) => cache.get(key)?.[0])).toEqual([1, undefined, 3]);
    expect(cache.stats()).toEqual({ entries: 2, bytes: entryBytes() * 2, hits: 3, misses: 1, evicted: 1 });
  });

  it('count with their numbers, their key and what holds them', () => {
    const cache = new LocalVectorCache();
    cache.set('abc', vectorOf(1, 1_536));
    expect(cache.stats().bytes).toBe(entryBytes() - 16 - 1 + 6_144 + 3);
    expect(entryBytes()).toBeGreaterThan(16 + 1 + 400);
  });

  it('are not counted twice when they are set again', () => {
    const cache = new LocalVectorCache();
    cache.set('a', vectorOf(1));
    cache.set('a', vectorOf(2));
    expect(cache.get('a')).toEqual(vectorOf(2));
    expect(cache.stats()).toMatchObject({ entries: 1, bytes: entryBytes(), evicted: 0 });
  });

  it('are not kept when one alone is more than all the memory, and do not drive the others out', () => {
    const cache = new LocalVectorCache({ maxBytes: entryBytes() });
    cache.set('a', vectorOf(1));
    cache.set('b', vectorOf(2, 5));
    expect([cache.get('a')?.[0], cache.get('b')]).toEqual([1, undefined]);
  });

  it('are forgotten after their time, which a hit does not prolong', async () => {
    const clock = new ManualClock();
    const cache = new LocalVectorCache({ ttlMs: 1_000, clock });
    cache.set('a', vectorOf(1));
    await clock.advance(1_000);
    expect(cache.get('a')).toBeDefined();
    await clock.advance(1);
    expect(cache.get('a')).toBeUndefined();
    expect(cache.stats()).toEqual({ entries: 0, bytes: 0, hits: 1, misses: 1, evicted: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('are kept for good without a time', async () => {
    const clock = new ManualClock();
    const cache = new LocalVectorCache({ clock });
    cache.set('a', vectorOf(1));
    await clock.advance(1e12);
    expect(cache.get('a')).toBeDefined();
  });

  it('are forgotten when another model answers by now', () => {
    const cache = new LocalVectorCache();
    cache.set('a', vectorOf(1), 'old');
    expect(cache.get('a', 'old')).toBeDefined();
    expect(cache.get('a', 'new')).toBeUndefined();
    expect(cache.get('a', 'old')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, hits: 1, misses: 2, evicted: 0 });
  });

  it('are handed out when nothing is known of one of the two models', () => {
    const cache = new LocalVectorCache();
    cache.set('unnamed', vectorOf(1));
    cache.set('named', vectorOf(2), 'm');
    expect(cache.get('unnamed', 'm')).toEqual(vectorOf(1));
    expect(cache.get('named')).toEqual(vectorOf(2));
  });

  it('are all gone after a clear, and new ones are kept', () => {
    const cache = new LocalVectorCache();
    cache.set('a', vectorOf(1));
    cache.clear();
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0, evicted: 0 });
    expect(cache.allocatedBytes).toBe(0);
    cache.set('a', vectorOf(2));
    expect(cache.get('a')).toEqual(vectorOf(2));
  });

  it('are not kept at all with no memory', () => {
    const cache = new LocalVectorCache({ maxBytes: 0 });
    cache.set('a', vectorOf(1));
    expect(cache.get('a')).toBeUndefined();
    cache.clear();
    expect(cache.stats()).toEqual({ entries: 0, bytes: 0, hits: 0, misses: 1, evicted: 0 });
  });

  it('of another length take the block of the one used longest ago, with all that is in it', () => {
    // Four blocks of two vectors of 500 numbers, with bytes to spare for what entries take beside their numbers.
    const cache = new LocalVectorCache({ maxBytes: 16_000, blockBytes: 4_000 });
    for (const key of 'abcdef') cache.set(key, vectorOf(1, 500));
    expect(cache.stats()).toMatchObject({ entries: 6, evicted: 0 });
    cache.get('a');
    // The fourth block is left for the first; the other finds b the oldest, and a in its block though it was just used.
    cache.set('1', vectorOf(2, 30));
    cache.set('2', vectorOf(3, 20));
    expect('abcdef12'.split('').filter((key) => cache.get(key) !== undefined)).toEqual(['c', 'd', 'e', 'f', '1', '2']);
    expect(cache.stats()).toMatchObject({ entries: 6, evicted: 2 });
  });

  it('that leave bytes to spare but no place replace one of their own, and no more', () => {
    // Two to a block of 4 000 numbers; the bytes would do for ten.
    const cache = new LocalVectorCache({ maxBytes: 64_000, blockBytes: 16_000 });
    for (const key of 'abcdefghi') cache.set(key, vectorOf(1, 1_400));
    expect('abcdefghi'.split('').filter((key) => cache.get(key) === undefined)).toEqual(['a']);
    expect(cache.stats()).toMatchObject({ entries: 8, evicted: 1 });
  });

  it('that do not fit into a block are not kept, nor is what they replace', () => {
    const cache = new LocalVectorCache({ maxBytes: 16_000, blockBytes: 4_000 });
    cache.set('a', vectorOf(1));
    cache.set('a', vectorOf(2, 1_001));
    expect(cache.get('a')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0, evicted: 0 });
  });

  it('of many lengths are each their own, the newest is always there, and none is lost without being counted', () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 15 }),
      length: fc.constantFrom(1, 2, 60, 100, 250, 333, 500),
      isRead: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 4_500, max: 20_000 }), (steps, maxBytes) => {
        const cache = new LocalVectorCache({ maxBytes, blockBytes: 4_096 });
        const given = new Map<string, Float32Array>();
        let fresh = 0;
        steps.forEach(({ key, length, isRead }, index) => {
          const name = `${key}`;
          if (!isRead) {
            if (cache.get(name) === undefined) fresh += 1;
            const vector = Float32Array.from({ length }, (_, at) => index * 1_000 + at);
            given.set(name, vector);
            cache.set(name, vector);
            expect(cache.get(name)).toEqual(vector);
          }
          const found = cache.get(name);
          if (found !== undefined) expect(found).toEqual(given.get(name));
          expect(cache.stats().bytes).toBeLessThanOrEqual(maxBytes);
        });
        const kept = [...given].filter(([name, vector]) => {
          const found = cache.get(name);
          if (found !== undefined) expect(found).toEqual(vector);
          return found !== undefined;
        });
        const { entries, evicted } = cache.stats();
        expect(entries).toBe(kept.length);
        expect(evicted).toBe(fresh - entries);
      }),
      { numRuns: 60 },
    );
  });
});
