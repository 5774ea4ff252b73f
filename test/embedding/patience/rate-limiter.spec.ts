import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { PoolOptionsError } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import {
  checkRateLimit,
  type EmbeddingRateLimitOptions,
  resolveRateLimit,
} from '../../../lib/embedding/patience/rate-limit-options.js';
import { RateLimiter } from '../../../lib/embedding/patience/rate-limiter.js';
import { Timeline } from '../../../lib/embedding/patience/timeline.js';

const ONE = { requests: 1, tokens: 0 };

function setUp(options?: EmbeddingRateLimitOptions | false) {
  const clock = new ManualClock();
  const timeline = new Timeline(clock);
  const limiter = new RateLimiter(resolveRateLimit('docs', options), timeline);
  const started: string[] = [];
  const start = (name: string, cost = ONE, signal?: AbortSignal) =>
    limiter.reserve(cost, signal).then(
      () => void started.push(`${name} at ${clock.now()}`),
      (reason: unknown) => void started.push(`${name} failed by ${String(reason)}`),
    );
  return { clock, timeline, limiter, started, start };
}

describe('the rate limiter', () => {
  it('holds nothing back, and has no timer, until it knows a limit', () => {
    const { clock, limiter } = setUp();
    const huge = { requests: 1e6, tokens: 1e9 };
    expect([limiter.tryReserve(huge), limiter.isLimitingRequests, clock.pendingTimers]).toEqual([true, false, 0]);
  });

  it('starts requests at nine tenths of the limit, in the order in which they came', async () => {
    const { clock, started, start } = setUp({ requestsPerMinute: 60 });
    for (const name of ['a', 'b', 'c']) void start(name);
    await clock.advance(10_000);
    expect(started).toEqual(['a at 0', 'b at 1112', 'c at 2224']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('waits for both limits at once, and takes from neither before it has both', async () => {
    const { clock, limiter, started, start } = setUp({ requestsPerMinute: 120, tokensPerMinute: 60_000, share: 1 });
    expect(limiter.tryReserve({ requests: 1, tokens: 3_000 })).toBe(true);
    void start('many tokens', { requests: 1, tokens: 1_000 });
    await clock.advance(2_999);
    expect(limiter.tryReserve({ requests: 1, tokens: 0 })).toBe(false);
    await clock.advance(1);
    expect(started).toEqual(['many tokens at 3000']);
    // It took one request; the other of that second is still there.
    expect([limiter.tryReserve(ONE), limiter.tryReserve(ONE)]).toEqual([true, false]);
  });

  it('lets nobody overtake who waits', async () => {
    const { clock, limiter, started, start } = setUp({ tokensPerMinute: 60_000, share: 1 });
    limiter.tryReserve({ requests: 1, tokens: 1_000 });
    void start('large', { requests: 1, tokens: 900 });
    void start('small', { requests: 1, tokens: 10 });
    await clock.advance(500);
    expect(limiter.tryReserve({ requests: 1, tokens: 1 })).toBe(false);
    await clock.advance(500);
    expect(started).toEqual(['large at 900', 'small at 910']);
  });

  it('keeps the process alive for those who wait', async () => {
    const { clock, limiter, start } = setUp({ requestsPerMinute: 60, share: 1 });
    limiter.tryReserve(ONE);
    expect(clock.referencedTimers).toBe(0);
    void start('a');
    expect([clock.referencedTimers, limiter.waiting]).toEqual([1, 1]);
    await clock.advance(1_000);
    expect([clock.referencedTimers, limiter.waiting]).toEqual([0, 0]);
  });

  it('A6: whoever gives up leaves at once, has taken nothing, and stops listening', async () => {
    const { clock, limiter, started, start } = setUp({ requestsPerMinute: 60, share: 1 });
    limiter.tryReserve(ONE);
    const controller = new AbortController();
    const { signal } = controller;
    void start('head', ONE, signal);
    void start('middle', ONE, signal);
    void start('tail');
    await clock.advance(500);
    controller.abort('enough');
    await clock.advance(0);
    expect(started).toEqual(['head failed by enough', 'middle failed by enough']);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await clock.advance(500);
    expect([started.slice(2), clock.referencedTimers]).toEqual([['tail at 1000'], 0]);
    await expect(limiter.reserve(ONE, signal)).rejects.toBe('enough');
  });

  it('A9: starts nothing before the end of a pause, neither newcomers nor those who wait, though it knows no limit', async () => {
    const { clock, limiter, started, start } = setUp();
    limiter.penalise(2_000, '429');
    expect([limiter.tryReserve(ONE), limiter.pausedForMs()]).toEqual([false, 2_000]);
    void start('a');
    await clock.advance(1_000);
    limiter.penalise(3_000, '429');
    limiter.penalise(2_500, '429, and sooner');
    void start('b');
    void limiter.resumed().then(() => started.push(`resumed at ${clock.now()}`));
    await clock.advance(1_999);
    expect(started).toEqual([]);
    await clock.advance(1);
    expect(started.toSorted()).toEqual(['a at 3000', 'b at 3000', 'resumed at 3000']);
    expect([limiter.tryReserve(ONE), limiter.pausedForMs()]).toEqual([true, 0]);
  });

  it('gives back what an estimate was too high by, to who waits for it', async () => {
    const { clock, limiter, started, start } = setUp({ tokensPerMinute: 60_000, share: 1 });
    limiter.tryReserve({ requests: 1, tokens: 1_000 });
    void start('a', { requests: 1, tokens: 500 });
    limiter.settle(-500);
    await clock.advance(0);
    expect(started).toEqual(['a at 0']);
    limiter.settle(1_000);
    void start('b', { requests: 1, tokens: 1 });
    await clock.advance(5_000);
    expect(started[1]).toBe('b at 1001');
  });

  it('learns the limits from the headers of the first answer', () => {
    const { limiter } = setUp();
    limiter.learn({});
    expect(limiter.isLimitingRequests).toBe(false);
    limiter.learn({ requests: { limit: 120, remaining: 119, resetMs: 500 }, tokens: undefined });
    expect(limiter.isLimitingRequests).toBe(true);
    expect([limiter.tryReserve(ONE), limiter.tryReserve(ONE)]).toEqual([true, false]);
  });

  it('pauses until the server counts anew when it has nothing left', async () => {
    const { clock, limiter, started, start } = setUp();
    limiter.learn({ tokens: { limit: 60_000, remaining: 0, resetMs: 4_000 } });
    void start('a', { requests: 1, tokens: 5 });
    await clock.advance(10_000);
    expect(started).toEqual(['a at 4000']);
  });

  it('does not learn where it is switched off, and yet holds a pause', () => {
    const { limiter } = setUp(false);
    limiter.learn({ requests: { limit: 1, remaining: 0, resetMs: 1_000 } });
    expect([limiter.tryReserve(ONE), limiter.tryReserve(ONE)]).toEqual([true, true]);
    limiter.penalise(100, '429');
    expect(limiter.tryReserve(ONE)).toBe(false);
  });

  it('keeps to its part where several processes share the limit', async () => {
    const { clock, started, start } = setUp({ requestsPerMinute: 60, share: 1, instances: 4 });
    for (const name of ['a', 'b']) void start(name);
    await clock.advance(10_000);
    expect(started).toEqual(['a at 0', 'b at 4000']);
  });

  it('lets nobody wait for ever when it is closed', async () => {
    const { clock, limiter, started, start } = setUp({ requestsPerMinute: 1 });
    limiter.tryReserve(ONE);
    const { signal } = new AbortController();
    void start('a', ONE, signal);
    limiter.close('closed');
    void start('b');
    await clock.advance(0);
    expect(started).toEqual(['a failed by closed', 'b failed by closed']);
    expect([limiter.tryReserve(ONE), getEventListeners(signal, 'abort').length]).toEqual([false, 0]);
    expect(clock.referencedTimers).toBe(0);
  });

  it('names every option that is wrong', () => {
    const wrong = { requestsPerMinute: 0, share: 1.5, store: { reserve: 1 }, rpm: 1 } as unknown;
    expect(() => resolveRateLimit('docs', wrong as EmbeddingRateLimitOptions)).toThrow(PoolOptionsError);
    expect(checkRateLimit(wrong as EmbeddingRateLimitOptions)).toEqual([
      'rateLimit.requestsPerMinute: expected a number above 0, got another number',
      'rateLimit.share: expected a number above 0, up to 1, got a fraction or an infinite number',
      'rateLimit.rpm: no such option',
      'rateLimit.store.reserve: expected a function, got another number',
      'rateLimit.store.settle: expected a function, got nothing',
      'rateLimit.store.penalise: expected a function, got nothing',
    ]);
  });

  it('in any story starts in order, never in a pause, and never leaves anybody behind', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ is: fc.constant('call' as const), tokens: fc.nat({ max: 400 }) }) },
      { weight: 2, arbitrary: fc.record({ is: fc.constant('time' as const), ms: fc.nat({ max: 800 }) }) },
      { weight: 1, arbitrary: fc.record({ is: fc.constant('429' as const), ms: fc.nat({ max: 900 }) }) },
      { weight: 1, arbitrary: fc.record({ is: fc.constant('abort' as const), which: fc.nat({ max: 20 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ is: fc.constant('settle' as const), tokens: fc.integer({ min: -300, max: 300 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ is: fc.constant('learn' as const), limit: fc.integer({ min: 6_000, max: 30_000 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, isConfigured) => {
        const { clock, limiter } = setUp(isConfigured ? { requestsPerMinute: 300, tokensPerMinute: 12_000 } : {});
        const started: number[] = [];
        const early: number[] = [];
        const signals: AbortController[] = [];
        let aborted = 0;
        let pausedUntil = 0;
        for (const each of steps) {
          if (each.is === 'call') {
            const name = signals.push(new AbortController()) - 1;
            void limiter.reserve({ requests: 1, tokens: each.tokens }, signals[name]!.signal).then(
              () => {
                if (clock.now() < pausedUntil) early.push(name);
                started.push(name);
              },
              () => (aborted += 1),
            );
            await clock.advance(0);
          } else if (each.is === 'time') await clock.advance(each.ms);
          else if (each.is === '429') {
            pausedUntil = Math.max(pausedUntil, clock.now() + each.ms);
            limiter.penalise(clock.now() + each.ms, '429');
          } else if (each.is === 'abort') signals[each.which]?.abort();
          else if (each.is === 'settle') limiter.settle(each.tokens);
          else limiter.learn({ tokens: { limit: each.limit } });
        }
        await clock.advance(600_000);
        expect(started).toEqual(started.toSorted((a, b) => a - b));
        expect(started.length + aborted).toBe(signals.length);
        expect([early, limiter.waiting, clock.pendingTimers]).toEqual([[], 0, 0]);
      }),
      { numRuns: 40 },
    );
  });
});
