import fc from 'fast-check';
import { parseDuration, rateLimitFacts, retryHints } from '../../../lib/embedding/protocol/retry-hints.js';

const NOW = Date.parse('2026-11-30T12:00:00Z');

describe('parseDuration', () => {
  it.each([
    ['6m0s', 360_000],
    ['12ms', 12],
    ['1s', 1_000],
    ['2.812s', 2_812],
    ['7m12s', 432_000],
    ['20 seconds', 20_000],
    ['1 minute, 30 seconds', 90_000],
    ['1h2m3s', 3_723_000],
    ['500µs', 0.5],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 6);
  });

  it.each(['', 'soon', '12', '-1s', '1s and more', '5 parsecs', 'Infinitys', 's', '1constructor'])(
    'makes nothing of %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe('retryHints', () => {
  const everything = {
    'retry-after-ms': '250',
    'retry-after': '3',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '9s',
  };
  const message = 'Please try again in 5s.';

  it('takes the most exact hint there is', () => {
    const { 'retry-after-ms': _ms, ...second } = everything;
    const { 'retry-after': _seconds, ...third } = second;
    expect(retryHints(everything, message, NOW).retryAfterMs).toBe(250);
    expect(retryHints(second, message, NOW).retryAfterMs).toBe(3_000);
    expect(retryHints(third, message, NOW).retryAfterMs).toBe(5_000);
    expect(retryHints(third, 'slow down', NOW).retryAfterMs).toBe(9_000);
    expect(retryHints({}, 'slow down', NOW).retryAfterMs).toBeUndefined();
  });

  it('passes over a hint that makes no sense', () => {
    const headers = { 'retry-after-ms': 'NaN', 'retry-after': '1e400', 'x-should-retry': 'maybe' };
    expect(retryHints(headers, message, NOW)).toEqual({ retryAfterMs: 5_000, shouldRetry: undefined });
  });

  it("repeats the server's verdict", () => {
    expect(retryHints({ 'x-should-retry': 'false' }, undefined, NOW).shouldRetry).toBe(false);
    expect(retryHints({ 'x-should-retry': 'True' }, undefined, NOW).shouldRetry).toBe(true);
    expect(retryHints({}, undefined, NOW).shouldRetry).toBeUndefined();
  });

  it.each([
    ['Mon, 30 Nov 2026 12:00:07 GMT', 7_000],
    ['Monday, 30-Nov-26 12:00:07 GMT', 7_000],
    ['Mon, 30 Nov 2026 11:59:00 GMT', 0],
    ['next monday 5', undefined],
    ['2026', 2_026_000],
  ])('reads the date %s from now on', (date, ms) => {
    expect(retryHints({ 'retry-after': date }, undefined, NOW).retryAfterMs).toBe(ms);
  });

  it.each([
    ['Rate limit reached. Please try again in 2.812s. Visit https://…', 2_812],
    ['Please try again in 7m12s.', 432_000],
    ['Please retry after 20 seconds.', 20_000],
    ['Please try again in 12ms', 12],
    ['Please retry in 34.074824224s.', 34_074.824224],
    ['Try again in 20 seconds or raise your limit', 20_000],
    ['Please try again later', undefined],
    ['It took 20 seconds', undefined],
  ])('understands "%s"', (words, ms) => {
    const { retryAfterMs } = retryHints({}, words, NOW);
    if (ms === undefined) expect(retryAfterMs).toBeUndefined();
    else expect(retryAfterMs).toBeCloseTo(ms, 6);
  });

  it('waits for the later one of two limits that are used up, and not for one that is not', () => {
    const both = {
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '6m0s',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '12ms',
    };
    expect(retryHints(both, undefined, NOW).retryAfterMs).toBe(360_000);
    expect(retryHints({ ...both, 'x-ratelimit-remaining-requests': '3' }, undefined, NOW).retryAfterMs).toBe(12);
  });

  it('never throws, and never says anything but a time to come, whatever the headers hold', () => {
    const piece = fc.constantFrom(
      '1',
      '0',
      '9'.repeat(30),
      '-5',
      '1e999',
      'NaN',
      'Infinity',
      's',
      'ms',
      ' ',
      ',',
      'GMT',
      '\u0000',
    );
    const value = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 6 }).map((parts) => parts.join('')),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      fc.array(fc.string(), { maxLength: 2 }),
      fc.constant(undefined),
    );
    const names = [
      'x-should-retry',
      'retry-after-ms',
      'retry-after',
      'x-ratelimit-limit-tokens',
      'x-ratelimit-remaining-tokens',
      'x-ratelimit-reset-tokens',
      'x-ratelimit-remaining-req-minute',
      'ratelimitbysize-reset',
    ];
    const headers = fc.dictionary(fc.constantFrom(...names), value);
    const isTime = (ms: number | undefined): boolean => ms === undefined || (Number.isFinite(ms) && ms >= 0);
    fc.assert(
      fc.property(headers, fc.string(), value, (some, words, time) => {
        const said = retryHints(some, `try again in ${String(time)} ${words}`, NOW);
        const { requests, tokens } = rateLimitFacts(some);
        const numbers = [
          said.retryAfterMs,
          parseDuration(String(time)),
          ...[requests, tokens].flatMap((window) => [window?.limit, window?.remaining, window?.resetMs]),
        ];
        expect(numbers.filter((ms) => !isTime(ms))).toEqual([]);
        expect([true, false, undefined]).toContain(said.shouldRetry);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('rateLimitFacts', () => {
  it("reads OpenAI's headers", () => {
    const headers = {
      'x-ratelimit-limit-requests': '3000',
      'x-ratelimit-remaining-requests': '2999',
      'x-ratelimit-reset-requests': '20ms',
      'x-ratelimit-limit-tokens': '1000000',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '6m0s',
    };
    expect(rateLimitFacts(headers)).toEqual({
      requests: { limit: 3_000, remaining: 2_999, resetMs: 20 },
      tokens: { limit: 1_000_000, remaining: 0, resetMs: 360_000 },
    });
  });

  it("reads Azure's bare seconds, and takes its -1 for nothing", () => {
    const headers = {
      'x-ratelimit-limit-requests': '10',
      'x-ratelimit-remaining-requests': '9',
      'x-ratelimit-reset-requests': '7',
      'x-ratelimit-limit-tokens': '-1',
      'x-ratelimit-remaining-tokens': '-1',
      'x-ratelimit-reset-tokens': '0',
    };
    expect(rateLimitFacts(headers)).toEqual({ requests: { limit: 10, remaining: 9, resetMs: 7_000 } });
  });

  it("reads Mistral's headers, and its older ones", () => {
    expect(
      rateLimitFacts({
        'x-ratelimit-limit-req-minute': '5',
        'x-ratelimit-remaining-req-minute': '4',
        'x-ratelimit-limit-tokens-minute': '10000',
        'x-ratelimit-remaining-tokens-minute': '9000',
      }),
    ).toEqual({
      requests: { limit: 5, remaining: 4, resetMs: undefined },
      tokens: { limit: 10_000, remaining: 9_000, resetMs: undefined },
    });
    expect(
      rateLimitFacts({
        'ratelimitbysize-limit': '500000',
        'ratelimitbysize-remaining': '499900',
        'ratelimitbysize-reset': '28',
      }),
    ).toEqual({ tokens: { limit: 500_000, remaining: 499_900, resetMs: 28_000 } });
  });

  it('takes a time of day for no duration', () => {
    const headers = { 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': '1796040000' };
    expect(rateLimitFacts(headers).tokens?.resetMs).toBeUndefined();
  });
});
