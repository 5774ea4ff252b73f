import { jest } from '@jest/globals';
import fc from 'fast-check';
import { PoolOptionsError } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import { EmbeddingUnavailableError } from '../../../lib/embedding/embedding-errors.js';
import {
  checkBreaker,
  type EmbeddingBreakerOptions,
  resolveBreaker,
} from '../../../lib/embedding/patience/breaker-options.js';
import { Breaker } from '../../../lib/embedding/patience/breaker.js';
import { FailureWindow } from '../../../lib/embedding/patience/failure-window.js';

const lost = Object.assign(new Error('lost'), { code: 'ECONNRESET' });

function setUp(options?: EmbeddingBreakerOptions | false) {
  const clock = new ManualClock();
  const story: string[] = [];
  const breaker = new Breaker(resolveBreaker('docs', options), clock, (state, before) => {
    const until = state.is === 'open' ? ` until ${state.retryAt}` : '';
    story.push(`${clock.now()}: ${before.is} -> ${state.is}${until}`);
  });
  const fail = (times: number) => {
    for (let time = 0; time < times; time += 1) breaker.onFailure(false, lost);
  };
  const succeed = (times: number) => {
    for (let time = 0; time < times; time += 1) breaker.onSuccess(false);
  };
  /** What becomes of a call: `in`, `probe` or `out`. */
  const enter = () => {
    const pass = breaker.enter();
    if (pass instanceof Error) return 'out';
    return pass.isProbe ? 'probe' : 'in';
  };
  return { clock, breaker, story, fail, succeed, enter };
}

describe('the breaker', () => {
  it('opens when half of at least twenty calls have failed, and not before', () => {
    const { fail, succeed, enter, story } = setUp();
    fail(19);
    expect(enter()).toBe('in');
    succeed(19);
    fail(1);
    expect([enter(), story]).toEqual(['out', ['0: closed -> open until 5000']]);
  });

  it('stays closed while fewer than half fail, and forgets what is older than ten seconds', async () => {
    const { clock, fail, succeed, enter } = setUp();
    succeed(30);
    fail(29);
    expect(enter()).toBe('in');
    await clock.advance(10_000);
    fail(19);
    expect(enter()).toBe('in');
    fail(1);
    expect(enter()).toBe('out');
  });

  it('says until when the server is left alone, why, and by what the last call failed', () => {
    const { breaker, fail } = setUp();
    jest.spyOn(Date, 'now').mockReturnValue(Date.UTC(2026, 0, 1));
    try {
      fail(20);
      const error = breaker.enter() as EmbeddingUnavailableError;
      expect(error).toBeInstanceOf(EmbeddingUnavailableError);
      expect(error.message).toBe(
        'the embedding server is left alone until 2026-01-01T00:00:05.000Z: 20 of 20 calls failed, the last by ECONNRESET',
      );
      expect([error.cause, error.retryAt]).toEqual([lost, new Date('2026-01-01T00:00:05.000Z')]);
    } finally {
      jest.restoreAllMocks();
    }
  });

  it('lets one probe through at a time, and closes when it succeeds', async () => {
    const { clock, breaker, fail, enter, story } = setUp();
    fail(20);
    await clock.advance(4_999);
    expect(enter()).toBe('out');
    await clock.advance(1);
    expect([enter(), enter(), breaker.state().is]).toEqual(['probe', 'out', 'half-open']);
    breaker.onSuccess(true);
    expect([enter(), breaker.state()]).toEqual(['in', { is: 'closed' }]);
    // What was counted before is forgotten.
    fail(19);
    expect(enter()).toBe('in');
    expect(story).toEqual(['0: closed -> open until 5000', '5000: open -> half-open', '5000: half-open -> closed']);
  });

  it('opens for twice as long after each probe that fails, up to a minute, and as at first once one has succeeded', async () => {
    const { clock, breaker, fail, enter } = setUp();
    fail(20);
    const waits: number[] = [];
    for (let probe = 0; probe < 6; probe += 1) {
      const state = breaker.state();
      const waitMs = state.is === 'open' ? state.retryAt - clock.now() : Number.NaN;
      waits.push(waitMs);
      await clock.advance(waitMs);
      expect(enter()).toBe('probe');
      if (probe < 5) breaker.onFailure(true, lost);
    }
    expect(waits).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    breaker.onSuccess(true);
    fail(20);
    expect(breaker.state()).toMatchObject({ is: 'open', retryAt: clock.now() + 5_000 });
  });

  it('counts nothing that is neither, but gives the place of such a probe to the next', async () => {
    const { clock, breaker, fail, enter } = setUp();
    for (let call = 0; call < 100; call += 1) breaker.onNeutral(false);
    fail(19);
    expect(enter()).toBe('in');
    fail(1);
    await clock.advance(5_000);
    expect(enter()).toBe('probe');
    breaker.onNeutral(true);
    expect([enter(), enter()]).toEqual(['probe', 'out']);
  });

  it('does not listen to calls that began before it opened', async () => {
    const { clock, breaker, fail, succeed, enter } = setUp();
    fail(20);
    succeed(1);
    fail(1);
    expect(breaker.state()).toMatchObject({ is: 'open', retryAt: 5_000 });
    await clock.advance(5_000);
    expect(enter()).toBe('probe');
    succeed(1);
    fail(1);
    expect([breaker.state().is, enter()]).toEqual(['half-open', 'out']);
  });

  it('opens for five minutes when nothing is left to spend, and for as long as the server says', async () => {
    const { clock, breaker, enter } = setUp();
    breaker.onQuota(false, lost);
    expect(breaker.state()).toEqual({ is: 'open', since: 0, retryAt: 300_000, reason: 'nothing is left to spend' });
    breaker.open('somebody wants it', 1_000);
    expect(breaker.state()).toMatchObject({ retryAt: 300_000, reason: 'nothing is left to spend' });
    await clock.advance(300_000);
    expect(enter()).toBe('probe');
    breaker.onQuota(true, lost, 1_000);
    await clock.advance(1_000);
    expect(enter()).toBe('probe');
  });

  it('follows the pool: open until the pool itself tries again, uncounted, and then it is one call that makes it try', async () => {
    const { clock, breaker, enter, fail } = setUp();
    fail(19);
    breaker.followPool(700, lost);
    expect(breaker.state()).toMatchObject({ is: 'open', retryAt: 700, reason: 'no connection to it can be opened' });
    expect((breaker.enter() as EmbeddingUnavailableError).cause).toBe(lost);
    await clock.advance(700);
    expect([enter(), enter()]).toEqual(['probe', 'out']);
    breaker.followPool(1_900, lost, true);
    await clock.advance(1_199);
    expect(enter()).toBe('out');
    await clock.advance(1);
    // Its place was free again; and one that the pool wants at once is let in at once.
    expect(enter()).toBe('probe');
    breaker.followPool(clock.now(), lost, true);
    expect([enter(), breaker.state().is]).toEqual(['probe', 'half-open']);
    breaker.onSuccess(true);
    // Not counted among those that failed.
    fail(19);
    expect(enter()).toBe('in');
  });

  it('tells whether and by what a call would be turned away, without letting it in', async () => {
    const { clock, breaker, fail, enter } = setUp();
    const told = () => [breaker.mayEnter, breaker.refusal() instanceof EmbeddingUnavailableError];
    expect(told()).toEqual([true, false]);
    fail(20);
    expect(told()).toEqual([false, true]);
    await clock.advance(5_000);
    expect([told(), told(), breaker.state().is]).toEqual([[true, false], [true, false], 'open']);
    expect([enter(), told()]).toEqual(['probe', [false, true]]);
    breaker.onNeutral(true);
    expect(told()).toEqual([true, false]);
  });

  it('has at most one probe out, also when it opens once more meanwhile', async () => {
    const { clock, breaker, fail, enter } = setUp();
    fail(20);
    await clock.advance(5_000);
    expect(enter()).toBe('probe');
    breaker.open('nothing is left to spend', 10_000);
    await clock.advance(10_000);
    expect(enter()).toBe('out');
    breaker.onSuccess(true);
    expect([breaker.state().is, enter()]).toEqual(['open', 'probe']);
  });

  it('lets all in when it is switched off', () => {
    const { breaker, fail, enter, story } = setUp(false);
    fail(100);
    breaker.onQuota(false, lost);
    expect([enter(), story]).toEqual(['in', []]);
  });

  it('names every option that is wrong', () => {
    const wrong = { failureRate: 0, minCalls: 1.5, openMs: -1, resetMs: 5 } as EmbeddingBreakerOptions;
    expect(() => resolveBreaker('docs', wrong)).toThrow(PoolOptionsError);
    expect(checkBreaker(wrong)).toEqual([
      'breaker.failureRate: expected a number above 0, up to 1, got another number',
      'breaker.minCalls: expected a whole number from 1, got a fraction or an infinite number',
      'breaker.openMs: expected a number of milliseconds above 0, got a negative number',
      'breaker.resetMs: no such option',
    ]);
  });

  it('never has two probes out, never lets one in while it is open, and ends closed when the server is well', () => {
    const step = fc.constantFrom('enter', 'success', 'failure', 'neutral', 'quota', 'time');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { clock, breaker } = setUp({ minCalls: 2, openMs: 1_000, maxOpenMs: 4_000, quotaOpenMs: 3_000 });
        const out: boolean[] = [];
        const enter = () => {
          const before = breaker.state();
          const pass = breaker.enter();
          if (pass instanceof Error) return;
          if (before.is === 'open') expect(clock.now()).toBeGreaterThanOrEqual(before.retryAt);
          expect(pass.isProbe).toBe(before.is !== 'closed');
          out.push(pass.isProbe);
          expect(out.filter(Boolean).length).toBeLessThan(2);
        };
        for (const each of steps) {
          if (each === 'enter') enter();
          if (each === 'time') clock.stall(700);
          const isProbe = each === 'enter' || each === 'time' ? undefined : out.shift();
          if (isProbe === undefined) continue;
          if (each === 'success') breaker.onSuccess(isProbe);
          if (each === 'failure') breaker.onFailure(isProbe, lost);
          if (each === 'neutral') breaker.onNeutral(isProbe);
          if (each === 'quota') breaker.onQuota(isProbe, lost);
        }
        for (let isProbe = out.shift(); isProbe !== undefined; isProbe = out.shift()) breaker.onSuccess(isProbe);
        clock.stall(4_000);
        enter();
        breaker.onSuccess(out[0]!);
        expect(breaker.state().is).toBe('closed');
      }),
    );
  });
});

describe('what the breaker counts', () => {
  it('is what happened within the window, give or take one of its ten buckets', () => {
    const event = fc.record({ afterMs: fc.nat({ max: 4_000 }), isFailure: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: -50_000, max: 50_000 }), fc.array(event, { maxLength: 60 }), (start, events) => {
        const recent = new FailureWindow(10_000);
        const seen: { readonly at: number; readonly isFailure: boolean }[] = [];
        let now = start;
        for (const { afterMs, isFailure } of events) {
          now += afterMs;
          recent.count(isFailure, now);
          seen.push({ at: now, isFailure });
          const since = (ms: number) => seen.filter(({ at }) => at > now - ms);
          const failed = (ms: number) => since(ms).filter((each) => each.isFailure).length;
          expect(recent.calls >= since(9_000).length && recent.calls <= since(10_000).length).toBe(true);
          expect(recent.failures >= failed(9_000) && recent.failures <= failed(10_000)).toBe(true);
        }
      }),
    );
  });
});
