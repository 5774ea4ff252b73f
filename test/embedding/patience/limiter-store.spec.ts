import { ManualClock } from 'nestjs-pools/testing';
import type { LimiterCost, LimiterLimits, LimiterStore } from '../../../lib/embedding/patience/limiter-store.js';
import { resolveRateLimit } from '../../../lib/embedding/patience/rate-limit-options.js';
import { RateLimiter } from '../../../lib/embedding/patience/rate-limiter.js';
import { Timeline } from '../../../lib/embedding/patience/timeline.js';

type Verdict = Awaited<ReturnType<LimiterStore['reserve']>>;

/** Answers when the test says so. */
class ScriptedStore implements LimiterStore {
  readonly asked: string[] = [];
  readonly told: string[] = [];
  limits: LimiterLimits | undefined;
  fails: Error | undefined;
  heedsSignals = false;
  private answer: ((verdict: Verdict) => void) | undefined;

  reserve(
    key: string,
    { requests, tokens }: LimiterCost,
    limits: LimiterLimits,
    signal?: AbortSignal,
  ): Promise<Verdict> {
    this.asked.push(`${key}: ${requests}/${tokens}`);
    this.limits = limits;
    if (this.fails !== undefined) throw this.fails;
    return new Promise((resolve, reject) => {
      this.answer = resolve;
      if (this.heedsSignals) signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }

  settle(_key: string, deltaTokens: number): Promise<void> {
    return this.tell(`settle ${deltaTokens}`);
  }

  penalise(_key: string, untilEpochMs: number, reason: string): Promise<void> {
    return this.tell(`penalise until ${untilEpochMs}: ${reason}`);
  }

  grant(): void {
    this.answer!({ ok: true });
  }

  deny(waitMs: number): void {
    this.answer!({ ok: false, waitMs });
  }

  private tell(what: string): Promise<void> {
    this.told.push(what);
    return this.fails === undefined ? Promise.resolve() : Promise.reject(this.fails);
  }
}

function setUp({ instances = 2 } = {}) {
  const clock = new ManualClock();
  const store = new ScriptedStore();
  const errors: unknown[] = [];
  const options = { requestsPerMinute: 120, share: 0.5, store, key: 'team', instances };
  const limiter = new RateLimiter(resolveRateLimit('docs', options), new Timeline(clock), {
    onStoreError: (error) => errors.push(error),
    calendarAheadMs: () => 1_000_000,
  });
  const started: string[] = [];
  const start = (name: string, tokens: number, signal?: AbortSignal) =>
    void limiter.reserve({ requests: 1, tokens }, signal).then(
      () => started.push(`${name} at ${clock.now()}`),
      (reason: unknown) => started.push(`${name} failed by ${String(reason)}`),
    );
  return { clock, store, limiter, errors, started, start };
}

describe('the limiter over a store', () => {
  it('asks for one after the other, with the limits of all processes together', async () => {
    const { clock, store, limiter, started, start } = setUp();
    expect(limiter.tryReserve({ requests: 1, tokens: 1 })).toBe(false);
    start('a', 7);
    start('b', 8);
    await clock.advance(10);
    expect(store.asked).toEqual(['team: 1/7']);
    store.grant();
    await clock.advance(0);
    expect([started, store.asked]).toEqual([['a at 10'], ['team: 1/7', 'team: 1/8']]);
    expect(store.limits).toEqual({ requestsPerMinute: expect.closeTo(60) as number, tokensPerMinute: undefined });
    store.grant();
    await clock.advance(0);
    expect([started, clock.referencedTimers]).toEqual([['a at 10', 'b at 10'], 0]);
  });

  it('waits for as long as the store says, and asks again', async () => {
    const { clock, store, started, start } = setUp();
    start('a', 1);
    store.deny(300);
    await clock.advance(0);
    start('b', 1);
    await clock.advance(299);
    expect(store.asked.length).toBe(1);
    await clock.advance(1);
    expect(store.asked.length).toBe(2);
    store.grant();
    await clock.advance(0);
    expect(started).toEqual(['a at 300']);
    store.grant();
    await clock.advance(0);
  });

  it('keeps to its own share while the store fails, tells of it, and asks again after five seconds', async () => {
    const { clock, store, errors, started, start } = setUp();
    store.fails = new Error('store down');
    for (const name of ['a', 'b']) start(name, 0);
    await clock.advance(4_000);
    // 120 × 0.5 / 2 = 30 in a minute.
    expect([started, store.asked.length, errors]).toEqual([['a at 0', 'b at 2000'], 1, [store.fails]]);
    store.fails = undefined;
    await clock.advance(1_000);
    start('c', 0);
    await clock.advance(0);
    expect(store.asked.length).toBe(2);
    store.grant();
    await clock.advance(0);
    expect(started[2]).toBe('c at 5000');
  });

  it('does not wait for a store that is silent, and gives back what it grants too late', async () => {
    const { clock, store, errors, started, start } = setUp();
    start('a', 40);
    await clock.advance(999);
    expect(started).toEqual([]);
    await clock.advance(1);
    expect([started, String(errors[0])]).toEqual([
      ['a at 1000'],
      "Error: the limiter's store did not answer within 1000 ms",
    ]);
    await clock.advance(5_000);
    store.grant();
    await clock.advance(0);
    expect(store.told).toEqual(['settle -40']);
  });

  it('takes an answer without a time for a failure', async () => {
    const { clock, store, errors, started, start } = setUp();
    start('a', 0);
    store.deny(Number.NaN);
    await clock.advance(0);
    expect([started, errors.length]).toEqual([['a at 0'], 1]);
  });

  it('A9: pauses all processes at one 429, and starts nothing in it that the store has granted', async () => {
    const { clock, store, limiter, started, start } = setUp();
    start('a', 5);
    limiter.penalise(2_000.5, 'rate_limit_exceeded');
    expect(store.told).toEqual(['penalise until 1002001: rate_limit_exceeded']);
    store.grant();
    await clock.advance(2_000);
    expect(started).toEqual([]);
    await clock.advance(1);
    expect([started, store.asked.length]).toEqual([['a at 2001'], 1]);
  });

  it('gives back what was granted to somebody who has gone, and serves the next', async () => {
    const { clock, store, started, errors, limiter, start } = setUp();
    const [early, late] = [new AbortController(), new AbortController()];
    start('gone while asking', 5, early.signal);
    start('gone in a pause', 6, late.signal);
    start('stays', 7);
    early.abort('enough');
    store.grant();
    await clock.advance(0);
    expect([started, store.told]).toEqual([['gone while asking failed by enough'], ['settle -5']]);
    limiter.penalise(1_000, '429');
    store.grant();
    await clock.advance(500);
    late.abort('enough');
    await clock.advance(500);
    store.grant();
    await clock.advance(0);
    expect(store.told.slice(2)).toEqual(['settle -6']);
    expect(started.slice(1)).toEqual(['gone in a pause failed by enough', 'stays at 1000']);
    expect(errors).toEqual([]);
  });

  it('does not take a store for failed that gives up because the caller has gone', async () => {
    const { clock, store, errors, started, start } = setUp();
    store.heedsSignals = true;
    const controller = new AbortController();
    start('gone', 5, controller.signal);
    start('stays', 6);
    controller.abort('enough');
    await clock.advance(0);
    expect([errors, store.asked]).toEqual([[], ['team: 1/5', 'team: 1/6']]);
    store.grant();
    await clock.advance(0);
    expect(started).toEqual(['gone failed by enough', 'stays at 0']);
  });

  it('tells the store what was really used, and no caller of its failure', async () => {
    const { clock, store, limiter, errors } = setUp();
    limiter.settle(12);
    limiter.settle(0);
    store.fails = new Error('store down');
    limiter.settle(-3);
    await clock.advance(0);
    limiter.penalise(10, '429');
    expect([store.told, errors]).toEqual([['settle 12', 'settle -3'], [store.fails]]);
  });
});
