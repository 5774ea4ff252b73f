import fc from 'fast-check';
import { HedgeBudget, RecentLatency } from '../../../lib/embedding/patience/latency.js';

describe('when a second query is worth sending', () => {
  it('is not known before twenty queries were answered', () => {
    const latency = new RecentLatency();
    for (let sample = 0; sample < 19; sample += 1) latency.add(1_000);
    expect(latency.hedgeAfterMs()).toBeUndefined();
    latency.add(1_000);
    expect(latency.hedgeAfterMs()).toBeGreaterThanOrEqual(1_000);
  });

  it('is never before the minimum, however fast the server is', () => {
    const latency = new RecentLatency();
    for (let sample = 0; sample < 100; sample += 1) latency.add(3);
    expect(latency.hedgeAfterMs()).toBe(200);
  });

  it('is when 95 % of the last 256 were answered, and up to 5 % later', () => {
    const ms = fc.oneof(fc.double({ min: 0, max: 90_000, noNaN: true }), fc.integer({ min: 150, max: 900 }));
    fc.assert(
      fc.property(fc.array(ms, { minLength: 20, maxLength: 600 }), (samples) => {
        const latency = new RecentLatency();
        for (const sample of samples) latency.add(sample);
        const recent = samples.slice(-256).toSorted((a, b) => a - b);
        const exact = Math.max(200, recent[Math.ceil(recent.length * 0.95) - 1]!);
        const told = latency.hedgeAfterMs()!;
        expect(told >= exact * (1 - 1e-9) && told <= exact * 1.05 * (1 + 1e-9)).toBe(true);
      }),
    );
  });

  it('forgets all but the last 256', () => {
    const latency = new RecentLatency();
    for (let sample = 0; sample < 256; sample += 1) latency.add(5_000);
    for (let sample = 0; sample < 244; sample += 1) latency.add(3);
    // 12 slow ones of 256 are fewer than 5 %.
    expect(latency.hedgeAfterMs()).toBe(200);
    for (let sample = 0; sample < 12; sample += 1) latency.add(3);
    for (let sample = 0; sample < 13; sample += 1) latency.add(5_000);
    expect(latency.hedgeAfterMs()).toBeGreaterThan(5_000);
  });

  it('takes what is no time, or a very long one, for what it is nearest to', () => {
    const latency = new RecentLatency();
    for (let sample = 0; sample < 20; sample += 1) latency.add(Number.NaN);
    expect(latency.hedgeAfterMs()).toBe(200);
    for (let sample = 0; sample < 20; sample += 1) latency.add(Infinity);
    expect(latency.hedgeAfterMs()).toBeGreaterThan(90_000);
  });

  it('is asked no more often than in one of twenty calls', () => {
    const budget = new HedgeBudget();
    const taken: number[] = [];
    for (let call = 1; call <= 100; call += 1) {
      budget.onCall();
      if (budget.take()) taken.push(call);
    }
    expect(taken).toEqual([20, 40, 60, 80, 100]);
  });
});
