import { ManualClock } from 'nestjs-pools/testing';
import type { DialectName, Script, SeenRequest } from '../../support/embedding-server.js';
import { closeRigs, errorOf, failure, isOneByOne, kindOf, NAMES, Rig } from './rig.js';

afterEach(closeRigs);

const TEXTS = Array.from({ length: 12 }, (_none, index) => `text ${index} of a storm`);

interface Hint {
  readonly message?: string;
  readonly headers?: Record<string, string>;
}

/** What a server may say of when to come back, and how long that is. */
const HINTS: [string, number, Hint][] = [
  ['retry-after in seconds', 3_000, { headers: { 'retry-after': '3' } }],
  ['retry-after in parts of a second', 250, { headers: { 'retry-after': '0.25' } }],
  ['retry-after-ms', 70, { headers: { 'retry-after-ms': '70', 'retry-after': '9' } }],
  ['words', 50, { message: 'Rate limit reached. Please try again in 0.05s.' }],
  ['words in units', 59_000, { message: 'Please retry after 59 seconds' }],
  [
    'the reset of the requests',
    1_200,
    {
      headers: {
        'x-ratelimit-limit-requests': '60',
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': '1.2s',
      },
    },
  ],
  [
    'the reset of the tokens',
    6_000,
    {
      headers: {
        'x-ratelimit-limit-tokens': '900000',
        'x-ratelimit-remaining-tokens': '0',
        'x-ratelimit-reset-tokens': '6s',
      },
    },
  ],
  ['x-should-retry', 1_000, { headers: { 'x-should-retry': 'true' } }],
  ['nothing', 1_000, {}],
];

interface Storm {
  readonly rig: Rig;
  readonly clock: ManualClock;
  /** By number of the request: when it came, and whether it was answered with vectors. */
  readonly seen: { readonly at: number; readonly isAnswered: boolean; readonly texts: readonly string[] }[];
  /** Moves time on until the work is done. */
  readonly done: <T>(work: Promise<T>) => Promise<T>;
}

/** Three requests come at once; all of them are turned away when the last has come, and the next one once more. */
async function storm(name: DialectName, hint: Hint, turnedAway = 4): Promise<Storm> {
  const clock = new ManualClock();
  const seen: { at: number; isAnswered: boolean; texts: readonly string[] }[] = [];
  let third!: () => void;
  const together = new Promise<void>((resolve) => (third = resolve));
  const script: Script = async ({ number, texts }: SeenRequest) => {
    const isAnswered = number >= turnedAway;
    seen[number] = { at: clock.now(), isAnswered, texts };
    if (number === 2) third();
    await together;
    if (isAnswered) return undefined;
    const { message = 'Too many requests', headers = {} } = hint;
    return { error: [429, message, 'rate_limit_exceeded'], headers };
  };
  const rig = await Rig.start(name, {
    script,
    options: { batchSize: isOneByOne(name) ? 1 : 2, dimensions: 8 },
    parts: { clock },
  });
  const done = async <T>(work: Promise<T>): Promise<T> => {
    let isOver = false;
    const over = (): void => void (isOver = true);
    work.then(over, over);
    while (!isOver) {
      for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      // Only while the server is waited for by nobody does time pass.
      if (rig.server.inFlight === 0) await clock.advance(10);
    }
    return work;
  };
  return { rig, clock, seen, done };
}

const THREE_AT_ONCE = NAMES.filter((name) => name !== 'ollama' && !name.startsWith('no-encoding'));

describe.each(HINTS)('a 429 that says when to come back by %s', (_what, hintMs, hint) => {
  const names = hintMs > 5_000 ? (['openai'] as const) : THREE_AT_ONCE;
  it.each(names)('is obeyed of a server of the kind "%s": nothing is sent before, and no text twice', async (name) => {
    const { rig, seen, done } = await storm(name, hint);
    expect(await done(rig.service.embedMany(TEXTS))).toEqual(rig.rightOf(TEXTS));
    const [first, , , fourth, ...later] = seen;
    // Three had been sent by then. The fourth was turned away too, and told the same.
    expect(fourth!.at - first!.at).toBeGreaterThanOrEqual(hintMs);
    for (const { at } of later) expect(at - fourth!.at).toBeGreaterThanOrEqual(hintMs);
    // And nobody waits much longer than that.
    expect(later[0]!.at - fourth!.at).toBeLessThanOrEqual(hintMs * 1.1 + 30);
    const embedded = seen.filter(({ isAnswered }) => isAnswered).flatMap(({ texts }) => texts);
    expect(embedded.toSorted()).toEqual(TEXTS.toSorted());
    expect(rig.pool.stats().activeConnections).toBe(0);
  });
});

describe('a 429', () => {
  it('whose hint is a date is obeyed', async () => {
    // A date has whole seconds; the machine's calendar is what it is compared with.
    const date = new Date(Date.now() + 3_000).toUTCString();
    const { rig, seen, done } = await storm('openai', { headers: { 'retry-after': date } }, 3);
    const sentAt = Date.now();
    expect(await done(rig.service.embedMany(TEXTS))).toEqual(rig.rightOf(TEXTS));
    const leastMs = Date.parse(date) - sentAt - 500;
    for (const { at } of seen.slice(3)) expect(at - seen[0]!.at).toBeGreaterThanOrEqual(leastMs);
    expect(leastMs).toBeGreaterThan(1_000);
  });

  it('that comes with two hints is obeyed by the first', async () => {
    let turnedAway = 0;
    const clock = new ManualClock();
    const at: number[] = [];
    const rig = await Rig.start('openai', { parts: { clock } });
    rig.server.script = () => {
      at.push(clock.now());
      if ((turnedAway += 1) > 1) return undefined;
      return {
        take: (response) =>
          void response
            .writeHead(429, ['retry-after', '2', 'retry-after', '40', 'content-type', 'application/json'])
            .end('{"error":{"message":"slow down"}}'),
      };
    };
    const work = rig.service.embed('a');
    while (at.length < 2) {
      await new Promise((resolve) => setImmediate(resolve));
      if (rig.server.inFlight === 0) await clock.advance(10);
    }
    expect(await work).toEqual(rig.right('a'));
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(2_000);
    expect(at[1]! - at[0]!).toBeLessThan(2_300);
  });

  it.each(NAMES)('that forbids another try is none of a server of the kind "%s"', async (name) => {
    const rig = await Rig.start(name, {
      script: () => ({ error: [429, 'no', 'rate_limit_exceeded'], headers: { 'x-should-retry': 'false' } }),
    });
    const error = await failure(rig.service.embed('a'));
    expect([kindOf(error), (error as { retryable?: boolean }).retryable]).toEqual(['rate-limit', false]);
  });

  it.each(NAMES)('that asks for more than anybody waits is told at once: kind "%s"', async (name) => {
    const rig = await Rig.start(name, {
      script: () => ({ error: [429, 'slow down'], headers: { 'retry-after': '3600' } }),
    });
    const [outcome] = await rig.service.embedMany(['a'], { settle: true });
    expect(errorOf(outcome)).toMatchObject({ status: 429, retryAfterMs: 3_600_000, retryable: true });
    expect(rig.pool.stats().activeConnections).toBe(0);
  });

  it.each(['openai', 'tei', 'bedrock'] as const)('is obeyed by the real clock too: kind "%s"', async (name) => {
    const rig = await Rig.start(name, { options: { batchSize: 1 }, pool: { maxConnections: 1 } });
    const turnedAway: number[] = [];
    rig.server.script = ({ number }) => {
      if (number % 3 !== 0) return undefined;
      turnedAway.push(number);
      return { error: [429, 'slow down'], headers: { 'retry-after-ms': '40' } };
    };
    const texts = TEXTS.slice(0, 6);
    expect(await rig.service.embedMany(texts)).toEqual(rig.rightOf(texts));
    for (const number of turnedAway) {
      const [refused, next] = [rig.server.requests[number]!, rig.server.requests[number + 1]!];
      expect(next.at - refused.at).toBeGreaterThanOrEqual(40);
    }
    expect(turnedAway.length).toBeGreaterThan(1);
  });
});
