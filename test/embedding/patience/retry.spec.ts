import fc from 'fast-check';
import { PoolOptionsError } from 'nestjs-pools/core';
import { RetryBudget } from '../../../lib/embedding/patience/retry-budget.js';
import {
  checkRetry,
  type EmbeddingRetryOptions,
  resolveRetry,
  RetryPolicy,
} from '../../../lib/embedding/patience/retry-policy.js';

const policy = (options?: EmbeddingRetryOptions | false) => new RetryPolicy(resolveRetry('docs', options));
/** The next below 1, as `Math.random` may give. */
const almostOne = () => 1 - Number.EPSILON;
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('the pause before a retry', () => {
  it('is drawn from the whole of a doubling range, up to the longest', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 40].map((attempt) =>
      Math.round(policy({ attempts: 50 }).delayMs(attempt, undefined, almostOne)!),
    );
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
    expect(policy().delayMs(3, undefined, () => 0)).toBe(0);
  });

  it('is none after the last attempt, whatever the server says', () => {
    expect([3, 4, 5].map((attempt) => policy().delayMs(attempt, 10, () => 0))).toEqual([10, undefined, undefined]);
    expect(policy(false).delayMs(1, 10)).toBeUndefined();
  });

  it('is never shorter than the hint and at most a tenth longer; a hint that is too long is not waited for', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 120_000, noNaN: true }), draw, (hintMs, random) => {
        const waitMs = policy().delayMs(1, hintMs, () => random);
        if (hintMs > 60_000) expect(waitMs).toBeUndefined();
        else expect(waitMs! >= hintMs && waitMs! <= hintMs * 1.1).toBe(true);
      }),
    );
  });

  it('is its own where a hint says nothing', () => {
    for (const hintMs of [0, -5, Number.NaN]) expect(policy().delayMs(1, hintMs, () => 0.5)).toBe(250);
    expect(policy({ maxHintMs: Infinity }).delayMs(1, Infinity)).toBeUndefined();
  });

  it('names every option that is wrong', () => {
    const wrong = { attempts: 0, factor: 0.5, maxMs: Infinity, budget: 2, retries: 3 } as EmbeddingRetryOptions;
    expect(() => resolveRetry('docs', wrong)).toThrow(PoolOptionsError);
    expect(checkRetry(wrong)).toEqual([
      'retry.attempts: expected a whole number from 1, got another number',
      'retry.factor: expected a number from 1, got a fraction or an infinite number',
      'retry.maxMs: expected a number of milliseconds above 0, got a fraction or an infinite number',
      'retry.budget: expected a number from 0 to 1, got another number',
      'retry.retries: no such option',
    ]);
  });
});

describe('A10: the budget of retries', () => {
  it('allows the burst at first, and then one for five calls', () => {
    const budget = new RetryBudget();
    const taken = () => Array.from({ length: 20 }, () => budget.take()).filter(Boolean).length;
    const counts = [taken()];
    for (let call = 0; call < 10; call += 1) budget.onCall();
    counts.push(taken());
    for (let call = 0; call < 1_000; call += 1) budget.onCall();
    counts.push(taken());
    expect(counts).toEqual([10, 2, 10]);
  });

  it('allows its share without a burst too', () => {
    const budget = new RetryBudget({ budget: 0.5, burst: 0 });
    const taken = Array.from({ length: 6 }, () => (budget.onCall(), budget.take()));
    expect(taken).toEqual([false, true, false, true, false, true]);
  });

  it('keeps all attempts of an outage within 1.2 × calls + burst, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 6 }), { maxLength: 400 }), (retriesWanted) => {
        const budget = new RetryBudget();
        let attempts = 0;
        let calls = 0;
        for (const wanted of retriesWanted) {
          calls += 1;
          attempts += 1;
          budget.onCall();
          for (let retry = 0; retry < wanted && budget.take(); retry += 1) attempts += 1;
          expect(5 * attempts).toBeLessThanOrEqual(6 * calls + 50);
        }
      }),
    );
  });

  it('gains nothing by counting for long', () => {
    const budget = new RetryBudget({ budget: 0.1, burst: 5 });
    let taken = 0;
    for (let call = 0; call < 100_000; call += 1) {
      budget.onCall();
      if (budget.take()) taken += 1;
    }
    // The first call's share finds no room.
    expect(taken).toBe(10_004);
  });
});
