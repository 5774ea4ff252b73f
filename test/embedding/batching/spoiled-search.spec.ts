import fc from 'fast-check';
import { searchSpoiled, splitInHalf } from '../../../lib/embedding/batching/spoiled-search.js';

interface Search {
  readonly calls: readonly (readonly number[])[];
  readonly good: readonly number[];
  readonly spoiled: readonly number[];
  readonly errors: readonly string[];
}

/** Searches a batch whose texts are spoiled where `isSpoiled` says so. An error is named after the set that gave it. */
async function search(isSpoiled: readonly boolean[]): Promise<Search> {
  const calls: number[][] = [];
  const good: number[] = [];
  const spoiled: number[] = [];
  const errors: string[] = [];
  const attempt = async (places: readonly number[]): Promise<string | undefined> => {
    calls.push([...places]);
    if (places.some((place) => isSpoiled[place])) return places.join();
    good.push(...places);
    return undefined;
  };
  await searchSpoiled([...isSpoiled.keys()], 'the batch', attempt, (place, error) => {
    spoiled.push(place);
    errors.push(error);
  });
  return { calls, good, spoiled, errors };
}

const allowed = (n: number, k: number): number => k * (Math.ceil(Math.log2(n / k)) + 2);
const where = (isSpoiled: readonly boolean[], which: boolean): number[] =>
  [...isSpoiled.keys()].filter((place) => isSpoiled[place] === which);
const bits = (n: number, set: number): boolean[] => Array.from({ length: n }, (_, place) => ((set >> place) & 1) === 1);
/** Every way to spoil so many texts. */
const everyBatch = (n: number): boolean[][] => Array.from({ length: 2 ** n - 1 }, (_, set) => bits(n, set + 1));

/** Some of the texts, in one row or anywhere. */
const batches = fc.integer({ min: 1, max: 256 }).chain((n) =>
  fc
    .oneof(
      fc.uniqueArray(fc.nat(n - 1), { minLength: 1, maxLength: Math.min(n, 40) }),
      fc
        .tuple(fc.nat(n - 1), fc.integer({ min: 1, max: n }))
        .map(([from, many]) => Array.from({ length: Math.min(many, n - from) }, (_, at) => from + at)),
      fc.integer({ min: 1, max: n }).map((step) => Array.from({ length: Math.ceil(n / step) }, (_, at) => at * step)),
    )
    .map((spoiled) => {
      const isSpoiled = Array.from({ length: n }, () => false);
      for (const place of spoiled) isSpoiled[place] = true;
      return isSpoiled;
    }),
);

it('embeds every good text once and names every spoiled one once, in order, however a small batch is spoiled', async () => {
  for (let n = 1; n <= 10; n += 1) {
    for (const isSpoiled of everyBatch(n)) {
      const { good, spoiled } = await search(isSpoiled);
      expect([good, spoiled]).toEqual([where(isSpoiled, false), where(isSpoiled, true)]);
    }
  }
});

it('asks no more than k * (ceil(log2(n / k)) + 2) times, however a small batch is spoiled', async () => {
  for (let n = 1; n <= 10; n += 1) {
    for (const isSpoiled of everyBatch(n)) {
      const { calls, spoiled } = await search(isSpoiled);
      expect(calls.length).toBeLessThanOrEqual(allowed(n, spoiled.length));
    }
  }
});

it('does the same for large batches, with five calls more at most', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (isSpoiled) => {
      const { calls, good, spoiled } = await search(isSpoiled);
      expect([good, spoiled]).toEqual([where(isSpoiled, false), where(isSpoiled, true)]);
      expect(calls.length).toBeLessThanOrEqual(allowed(isSpoiled.length, spoiled.length) + 5);
    }),
    { numRuns: 300 },
  );
});

// The same runs every time: no bound is proven for this one.
it('sends a good text in few requests, whatever is spoiled', async () => {
  await fc.assert(
    fc.asyncProperty(batches, async (isSpoiled) => {
      const times = isSpoiled.map(() => 0);
      for (const places of (await search(isSpoiled)).calls) for (const place of places) times[place]! += 1;
      const most = Math.max(0, ...times.filter((_, place) => !isSpoiled[place]));
      expect(most).toBeLessThanOrEqual(4 * Math.ceil(Math.log2(isSpoiled.length)) + 1);
    }),
    { numRuns: 200, seed: 20_261_123 },
  );
});

it.each([64, 128, 256])('finds one of %i within log2(n) + 3 calls, wherever it is', async (n) => {
  for (let place = 0; place < n; place += 1) {
    const { calls } = await search(Array.from({ length: n }, (_, at) => at === place));
    expect(calls.length).toBeLessThanOrEqual(Math.log2(n) + 3);
  }
});

it('never asks what it knows: not about the whole batch, and not about the rest where the first part is good', async () => {
  for (const isSpoiled of everyBatch(8)) {
    const { calls } = await search(isSpoiled);
    const settled = new Set<number>();
    let suspects: readonly number[] = [...isSpoiled.keys()];
    for (const places of calls) {
      expect(places.length === suspects.length && places.every((place, at) => place === suspects[at])).toBe(false);
      if (places.some((place) => isSpoiled[place])) suspects = places;
      else {
        for (const place of places) settled.add(place);
        suspects = suspects.filter((place) => !settled.has(place));
      }
    }
  }
});

it('asks nothing about a batch of one, whose error is known', async () => {
  expect(await search([true])).toEqual({ calls: [], good: [], spoiled: [0], errors: ['the batch'] });
});

it('asks nothing about a batch of none', async () => {
  expect(await search([])).toEqual({ calls: [], good: [], spoiled: [], errors: [] });
});

it('tells a spoiled text the last error of a set that it was in', async () => {
  for (const isSpoiled of everyBatch(7)) {
    const { spoiled, errors } = await search(isSpoiled);
    for (const [at, error] of errors.entries()) {
      expect(error === 'the batch' || error.split(',').includes(String(spoiled[at]))).toBe(true);
    }
  }
});

it('ends with what the attempt rejects with, and asks no more', async () => {
  const stop = new Error('stop');
  let calls = 0;
  const attempt = async (): Promise<string> => {
    calls += 1;
    if (calls === 2) throw stop;
    return 'spoiled';
  };
  await expect(searchSpoiled([1, 2, 3, 4, 5, 6, 7, 8], 'batch', attempt, () => {})).rejects.toBe(stop);
  expect(calls).toBe(2);
});

it('takes the largest batch of the protocol', async () => {
  const isSpoiled = Array.from({ length: 2_048 }, (_, place) => place === 2_000);
  const { calls, spoiled } = await search(isSpoiled);
  expect(spoiled).toEqual([2_000]);
  expect(calls.length).toBeLessThanOrEqual(24);
});

it('splits what is too large in two halves, in order, down to single texts', () => {
  expect(splitInHalf([4, 5, 6, 7, 8])).toEqual([
    [4, 5, 6],
    [7, 8],
  ]);
  expect(splitInHalf([7, 8])).toEqual([[7], [8]]);
  expect(splitInHalf([7])).toBeUndefined();
});
