import fc from 'fast-check';
import { TokenBucket } from '../../../lib/embedding/patience/token-bucket.js';

/** Takes as early as may be, in whole milliseconds. */
function takeInTurn(bucket: TokenBucket, costs: readonly number[]): number[] {
  let now = 0;
  return costs.map((cost) => {
    for (let waitMs = bucket.waitMs(cost, now); waitMs > 0; waitMs = bucket.waitMs(cost, now)) now += Math.ceil(waitMs);
    bucket.take(cost, now);
    return now;
  });
}

describe('the bucket of one limit', () => {
  it('holds one second’s worth and fills evenly', () => {
    expect(takeInTurn(new TokenBucket(120, 1, 1, 0), [1, 1, 1, 1, 1])).toEqual([0, 0, 500, 1_000, 1_500]);
  });

  it('lets one request pass at once, however few are allowed, and then each at its time', () => {
    expect(takeInTurn(new TokenBucket(10, 0.6, 1, 0), [1, 1, 1])).toEqual([0, 10_000, 20_000]);
  });

  it('lets a cost pass that is above one second’s worth, and has those after it pay', () => {
    expect(takeInTurn(new TokenBucket(60_000, 1, 0, 0), [5_000, 1, 1_000])).toEqual([0, 4_001, 5_001]);
  });

  it('takes less or more when the true cost is known, and never holds more than a second’s worth', () => {
    const bucket = new TokenBucket(60_000, 1, 0, 0);
    bucket.take(1_000, 0);
    bucket.take(-400, 0);
    expect([bucket.waitMs(400, 0), bucket.waitMs(500, 0)]).toEqual([0, 100]);
    bucket.take(-9_000, 0);
    bucket.take(1_000, 0);
    expect(bucket.waitMs(1, 0)).toBe(1);
  });

  it('is off until a limit is known', () => {
    const bucket = new TokenBucket(undefined, 0.9, 1, 0);
    expect([bucket.isOff, bucket.waitMs(1e9, 0), bucket.perMinute]).toEqual([true, 0, undefined]);
    bucket.learn({ limit: 100 }, 0);
    expect([bucket.isOff, bucket.perMinute]).toEqual([false, expect.closeTo(90)]);
  });

  it('keeps to the lower of what is configured and what the server tells', () => {
    const bucket = new TokenBucket(100, 1, 1, 0);
    const seen = [300, 50, 80, Number.NaN, 0].map((limit) => (bucket.learn({ limit }, 0), bucket.perMinute));
    expect(seen).toEqual([100, 50, 80, 80, 80].map((each) => expect.closeTo(each) as number));
  });

  it('spreads what the server has left over the time until it counts anew, and then goes on by the limit', () => {
    const bucket = new TokenBucket(undefined, 1, 1, 0);
    bucket.learn({ limit: 6_000, remaining: 4, resetMs: 8_000 }, 0);
    // 4 are there, then one in 2 s. From 8 s on 100 in a second.
    const times = takeInTurn(bucket, Array<number>(10).fill(1));
    expect(times.slice(0, 5)).toEqual([0, 2_000, 4_000, 6_000, 8_000]);
    expect(times.slice(5)).toEqual([8_010, 8_020, 8_030, 8_040, 8_050]);
  });

  it('says until when nothing is left', () => {
    const bucket = new TokenBucket(undefined, 1, 1, 0);
    expect(bucket.learn({ remaining: 0, resetMs: 1_500 }, 100)).toBe(1_600);
    expect(bucket.learn({ remaining: 0 }, 100)).toBeUndefined();
    expect(bucket.learn({ remaining: 1, resetMs: 1_500 }, 100)).toBeUndefined();
  });

  it('in any time lets pass its rate and one second’s worth, or the last cost', () => {
    const call = fc.record({ afterMs: fc.nat({ max: 3_000 }), cost: fc.integer({ min: 1, max: 300 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), fc.array(call, { maxLength: 25 }), (perMinute, calls) => {
        const bucket = new TokenBucket(perMinute, 0.9, 1, 0);
        const rate = (perMinute * 0.9) / 60_000;
        const taken: { readonly at: number; readonly cost: number }[] = [];
        let now = 0;
        for (const { afterMs, cost } of calls) {
          now += afterMs;
          for (let ms = bucket.waitMs(cost, now); ms > 0; ms = bucket.waitMs(cost, now)) now += Math.ceil(ms);
          bucket.take(cost, now);
          taken.push({ at: now, cost });
          let sum = 0;
          for (const each of taken.toReversed()) {
            sum += each.cost;
            const most = rate * (now - each.at) + Math.max(1, rate * 1_000, cost);
            expect(sum).toBeLessThanOrEqual(most + 1e-3);
          }
        }
      }),
    );
  });
});
