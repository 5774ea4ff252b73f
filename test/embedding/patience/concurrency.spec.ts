import fc from 'fast-check';
import { ConnectionPool, PoolOptionsError } from 'nestjs-pools/core';
import {
  AdaptiveConcurrency,
  type EmbeddingConcurrencyOptions,
  type ResizablePool,
  resolveConcurrency,
} from '../../../lib/embedding/patience/concurrency.js';

/** As strict as the real one. */
class PoolOfSizes implements ResizablePool {
  readonly resizes: object[] = [];
  looks = 0;
  isClosed = false;

  constructor(
    public min: number,
    public max: number,
  ) {}

  stats() {
    this.looks += 1;
    return { minConnections: this.min, maxConnections: this.max };
  }

  resize(change: { readonly minConnections?: number; readonly maxConnections?: number }): void {
    const { minConnections = this.min, maxConnections = this.max } = change;
    if (this.isClosed) throw new Error('closed');
    if (minConnections > maxConnections) throw new Error('minConnections: must not be above maxConnections');
    this.resizes.push(change);
    this.min = minConnections;
    this.max = maxConnections;
  }

  get size(): string {
    return `${this.min}..${this.max}`;
  }
}

function setUp(min: number, max: number, options?: EmbeddingConcurrencyOptions | false) {
  const pool = new PoolOfSizes(min, max);
  return { pool, adaptive: new AdaptiveConcurrency(pool, resolveConcurrency('docs', options)) };
}

describe('the number of requests at a time', () => {
  it('is halved by a refusal, down to one, and not twice by refusals of the same round', () => {
    const { pool, adaptive } = setUp(0, 10);
    // Begun before the cut, or within a second of it: of the same round.
    const told = [adaptive.onRateLimit(5_000), adaptive.onRateLimit(5_001), adaptive.onRateLimit(9_000, 4_999)];
    for (const now of [9_000, 10_000, 11_000, 12_000]) told.push(adaptive.onRateLimit(now));
    expect(told).toEqual([5, undefined, undefined, 2, 1, undefined, undefined]);
    expect(pool.resizes).toEqual([{ maxConnections: 5 }, { maxConnections: 2 }, { maxConnections: 1 }]);
  });

  it('grows by one after each ten seconds without a refusal, up to what it was', () => {
    const { adaptive } = setUp(0, 4);
    adaptive.onRateLimit(0);
    const grown: string[] = [];
    for (let now = 0; now <= 60_000; now += 1_000) {
      if (now === 5_000) adaptive.onRateLimit(now, -1);
      const size = adaptive.onSuccess(now);
      if (size !== undefined) grown.push(`${size} at ${now}`);
    }
    expect(grown).toEqual(['3 at 15000', '4 at 25000']);
  });

  it('does not look at the pool at each success', () => {
    const { pool, adaptive } = setUp(0, 4);
    for (let now = 0; now < 100; now += 1) adaptive.onSuccess(now);
    expect(pool.looks).toBe(0);
    adaptive.onRateLimit(100);
    const { looks } = pool;
    for (let now = 100; now < 10_100; now += 1) adaptive.onSuccess(now);
    expect(pool.looks).toBe(looks);
  });

  it('lowers a minimum that is in the way, and gives it back', () => {
    const { pool, adaptive } = setUp(4, 6);
    const sizes: string[] = [];
    for (const now of [0, 1_000]) {
      adaptive.onRateLimit(now);
      sizes.push(pool.size);
    }
    for (let now = 11_000; now <= 61_000; now += 10_000) {
      adaptive.onSuccess(now);
      sizes.push(pool.size);
    }
    expect(sizes).toEqual(['3..3', '1..1', '2..2', '3..3', '4..4', '4..5', '4..6', '4..6']);
  });

  it('takes what somebody else sets for the most from then on', () => {
    const { pool, adaptive } = setUp(3, 10);
    adaptive.onRateLimit(0);
    adaptive.onRateLimit(1_000);
    pool.resize({ maxConnections: 4 });
    adaptive.onSuccess(11_000);
    expect(pool.size).toBe('3..4');
    for (let now = 21_000; now < 100_000; now += 10_000) adaptive.onSuccess(now);
    expect(pool.size).toBe('3..4');
    adaptive.onRateLimit(100_000);
    adaptive.restore();
    expect(pool.size).toBe('3..4');
  });

  it('restores what it has taken, and nothing that somebody else has set', () => {
    const { pool, adaptive } = setUp(2, 10);
    adaptive.restore();
    expect(pool.resizes).toEqual([]);
    adaptive.onRateLimit(0);
    adaptive.restore();
    expect(pool.size).toBe('2..10');
    adaptive.onRateLimit(5_000);
    pool.resize({ minConnections: 1, maxConnections: 7 });
    adaptive.restore();
    expect(pool.size).toBe('1..7');
    expect(adaptive.onSuccess(1e6)).toBeUndefined();
  });

  it('never opens a pool that somebody has set to nothing', () => {
    const { pool, adaptive } = setUp(0, 4);
    adaptive.onRateLimit(0);
    pool.resize({ maxConnections: 0 });
    adaptive.onRateLimit(5_000);
    adaptive.onSuccess(20_000);
    expect(pool.size).toBe('0..0');
    pool.resize({ maxConnections: 2 });
    adaptive.restore();
    expect(pool.size).toBe('0..2');
  });

  it('sees each of two changes that somebody else makes, though the second is to what it had set itself', () => {
    const { pool, adaptive } = setUp(0, 4);
    adaptive.onRateLimit(0);
    pool.resize({ maxConnections: 0 });
    adaptive.onRateLimit(5_000);
    pool.resize({ maxConnections: 2 });
    adaptive.restore();
    expect(pool.size).toBe('0..2');
  });

  it('resizes a real pool', async () => {
    const factory = { create: () => Promise.resolve({}) };
    const pool = new ConnectionPool({ name: 'docs', factory, minConnections: 2, maxConnections: 3 });
    const adaptive = new AdaptiveConcurrency(pool, resolveConcurrency('docs'));
    adaptive.onRateLimit(0);
    expect(pool.stats()).toMatchObject({ minConnections: 1, maxConnections: 1 });
    adaptive.restore();
    expect(pool.stats()).toMatchObject({ minConnections: 2, maxConnections: 3 });
    adaptive.onRateLimit(5_000);
    await pool.close();
    adaptive.restore();
  });

  it('does not fail when the pool is closed', () => {
    const { pool, adaptive } = setUp(0, 4);
    adaptive.onRateLimit(0);
    pool.isClosed = true;
    expect([adaptive.onRateLimit(2_000), adaptive.onSuccess(50_000)]).toEqual([undefined, undefined]);
    adaptive.restore();
    expect(pool.size).toBe('0..2');
  });

  it('never touches the pool when it is switched off', () => {
    for (const off of [false, { enabled: false }] as const) {
      const { pool, adaptive } = setUp(0, 4, off);
      adaptive.onRateLimit(0);
      adaptive.onSuccess(50_000);
      adaptive.restore();
      expect([pool.looks, pool.resizes]).toEqual([0, []]);
    }
    expect(() => resolveConcurrency('docs', { growEveryMs: 0 })).toThrow(PoolOptionsError);
  });

  it('stays between one and the most, with the minimum below, and comes back to what is wanted', () => {
    const step = fc.oneof(
      fc.constant('refused' as const),
      fc.constant('answered' as const),
      fc.tuple(fc.nat({ max: 9 }), fc.integer({ min: 1, max: 12 })),
    );
    fc.assert(
      fc.property(fc.nat({ max: 6 }), fc.nat({ max: 6 }), fc.array(step, { maxLength: 40 }), (min, more, steps) => {
        const { pool, adaptive } = setUp(min, min + more + 1);
        let wanted = { min, max: min + more + 1 };
        let now = 0;
        let ours = [min, min + more + 1];
        for (const each of steps) {
          now += 4_000;
          if (typeof each === 'string') {
            const size = each === 'refused' ? adaptive.onRateLimit(now) : adaptive.onSuccess(now);
            if (size !== undefined) ours = [pool.min, pool.max];
          } else {
            const [low, high] = [Math.min(...each), each[1]];
            // Who sets what is there already, or what we have left, cannot be told from nobody.
            if ([pool.min, ours[0]].includes(low) || [pool.max, ours[1]].includes(high)) continue;
            wanted = { min: low, max: high };
            pool.resize({ minConnections: low, maxConnections: high });
          }
          expect(pool.max >= 1 && pool.max <= wanted.max && pool.min <= wanted.min).toBe(true);
        }
        adaptive.restore();
        expect(pool.size).toBe(`${wanted.min}..${wanted.max}`);
      }),
    );
  });
});
