import type { LimiterStore } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import type { Reply } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { failure, Gate, poolAt, serverOf, serviceOf, tidyUp } from './rig.js';

afterEach(tidyUp);

const SLOW_DOWN: Reply = { error: [429, 'slow down', 'rate_limit_exceeded'] };
/** Ten tokens, as the server counts them. */
const TEN = (index: number): string => `${index}`.padEnd(40, 'x');
const texts = (count: number): string[] => Array.from({ length: count }, (_none, index) => TEN(index));

describe('a limit that was configured', () => {
  it('on requests is kept to', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const rateLimit = { requestsPerMinute: 60, share: 1 };
    const service = serviceOf(poolAt(server.url), { batchSize: 1, rateLimit }, { clock });
    const vectors = service.embedMany(texts(4));
    for (const count of [1, 2, 3, 4]) {
      await eventually(() => server.requests.length === count && server.inFlight === 0, `${count} requests`);
      await clock.advance(999);
      expect(server.requests).toHaveLength(count);
      await clock.advance(1);
    }
    expect(await vectors).toHaveLength(4);
  });

  it('on requests makes them fuller: what has come is sent at once', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const rateLimit = { requestsPerMinute: 60, share: 1 };
    const service = serviceOf(poolAt(server.url), { rateLimit }, { clock });
    await service.embedMany(texts(64));
    expect(server.requests).toHaveLength(1);
  });

  it('on tokens is kept to, as the server counts them', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const rateLimit = { tokensPerMinute: 600, share: 1 };
    // Far too many, of which what was not used is given back.
    const options = { batchSize: 1, rateLimit, tokens: () => 10 };
    const service = serviceOf(poolAt(server.url), options, { clock });
    const vectors = service.embedMany(texts(4));
    for (const count of [1, 2, 3, 4]) {
      await eventually(() => server.requests.length === count && server.inFlight === 0, `${count} requests`);
      await clock.advance(990);
      expect(server.requests).toHaveLength(count);
      await clock.advance(10);
    }
    expect(await vectors).toHaveLength(4);
  });

  it('on tokens gives back what was reserved and not used', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const rateLimit = { tokensPerMinute: 600, share: 1 };
    const service = serviceOf(poolAt(server.url), { batchSize: 1, rateLimit, tokens: () => 1_000 }, { clock });
    await service.embed(TEN(1));
    const second = service.embed(TEN(2));
    await clock.advance(1_000);
    expect(await second).toHaveLength(8);
  });

  it('is shared by the processes that there are', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const rateLimit = { requestsPerMinute: 60, share: 1, instances: 2 };
    const service = serviceOf(poolAt(server.url), { batchSize: 1, rateLimit }, { clock });
    await service.embed('a');
    const second = service.embed('b');
    await clock.advance(1_999);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await second).toHaveLength(8);
  });
});

describe("an answer's headers", () => {
  const EMPTY = {
    'x-ratelimit-limit-requests': '60',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': '5s',
  };

  it('teach the limits, and hold back what would be too much', async () => {
    const clock = new ManualClock();
    const server = await serverOf((_request, right) => ({ json: right(), headers: EMPTY }));
    const service = serviceOf(poolAt(server.url), {}, { clock });
    await service.embed('a');
    const second = service.embed('b');
    await clock.advance(900);
    expect(server.requests).toHaveLength(1);
    expect(service.stats().endpoints[0]!.held).toBe(1);
    await clock.advance(5_000);
    expect(await second).toHaveLength(8);
  });

  it('teach nothing where that is not wanted', async () => {
    const server = await serverOf((_request, right) => ({ json: right(), headers: EMPTY }));
    const service = serviceOf(poolAt(server.url), { rateLimit: false }, { clock: new ManualClock() });
    for (const text of texts(5)) await service.embed(text);
    expect(server.requests).toHaveLength(5);
  });

  it('name no pause after a 429: a second is waited then', async () => {
    const clock = new ManualClock();
    const server = await serverOf(({ number }) => (number === 0 ? SLOW_DOWN : undefined));
    const service = serviceOf(poolAt(server.url), {}, { clock });
    const vector = service.embed('a');
    await eventually(() => service.stats().endpoints[0]!.requests === 1, 'it has been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'it waits');
    await clock.advance(999);
    expect(service.stats().endpoints[0]!.held).toBe(1);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await vector).toHaveLength(8);
  });
});

describe("a store of the user's", () => {
  class Store implements LimiterStore {
    readonly told: unknown[][] = [];
    waits: number[] = [];

    async reserve(...args: Parameters<LimiterStore['reserve']>) {
      this.told.push(['reserve', ...args.slice(0, 3)]);
      const waitMs = this.waits.shift();
      return waitMs === undefined ? ({ ok: true } as const) : ({ ok: false, waitMs } as const);
    }

    async settle(...args: Parameters<LimiterStore['settle']>): Promise<void> {
      this.told.push(['settle', ...args]);
    }

    async penalise(...args: Parameters<LimiterStore['penalise']>): Promise<void> {
      this.told.push(['penalise', ...args]);
    }
  }

  it('is asked before each request, waited for as it says, and told what was used', async () => {
    const clock = new ManualClock();
    const store = new Store();
    store.waits = [3_000];
    const server = await serverOf();
    const rateLimit = { requestsPerMinute: 100, tokensPerMinute: 1_000, share: 1, store, key: 'ours' };
    const service = serviceOf(poolAt(server.url), { rateLimit, tokens: () => 12 }, { clock });
    const vector = service.embed(TEN(1));
    await clock.advance(2_999);
    expect(server.requests).toHaveLength(0);
    await clock.advance(1);
    expect(await vector).toHaveLength(8);
    const limits = { requestsPerMinute: 100, tokensPerMinute: 1_000 };
    const ask = ['reserve', 'ours', { requests: 1, tokens: 12 }, limits];
    expect(store.told).toEqual([ask, ask, ['settle', 'ours', -2]]);
  });

  it('is told of a 429 at once, for all the others', async () => {
    const clock = new ManualClock();
    const store = new Store();
    const server = await serverOf(() => ({ ...SLOW_DOWN, headers: { 'retry-after-ms': '5000' } }));
    const service = serviceOf(poolAt(server.url), { rateLimit: { store }, tokens: () => 7, retry: false }, { clock });
    await failure(service.embed('a'));
    expect(store.told.map(([what]) => what)).toEqual(['reserve', 'penalise', 'settle']);
    const [, key, until, reason] = store.told[1]!;
    expect([key, reason]).toEqual(['embeddings', 'the server answered 429']);
    expect(Number(until) - Date.now()).toBeGreaterThan(4_000);
    expect(Number(until) - Date.now()).toBeLessThanOrEqual(5_001);
    expect(store.told[2]).toEqual(['settle', 'embeddings', -7]);
  });

  it('that fails holds nothing up', async () => {
    const store: LimiterStore = {
      reserve: () => Promise.reject(new Error('no store')),
      settle: () => Promise.reject(new Error('no store')),
      penalise: () => Promise.reject(new Error('no store')),
    };
    const server = await serverOf();
    const service = serviceOf(poolAt(server.url), { rateLimit: { store } }, { clock: new ManualClock() });
    expect(await service.embed('a')).toHaveLength(8);
  });
});

describe('the size of the pool', () => {
  it('halves with a 429, grows by one for each ten seconds that are well, and no further than it was', async () => {
    const clock = new ManualClock();
    const server = await serverOf(() => ({ ...SLOW_DOWN, headers: { 'retry-after-ms': '1' } }));
    const pool = poolAt(server.url, { maxConnections: 10 });
    const service = serviceOf(pool, { retry: false, cache: false }, { clock });
    await failure(service.embed('a'));
    expect(pool.stats().maxConnections).toBe(5);
    await clock.advance(2_000);
    await failure(service.embed('a'));
    expect(pool.stats().maxConnections).toBe(2);
    server.script = undefined;
    await clock.advance(9_000);
    await service.embed('a');
    expect(pool.stats().maxConnections).toBe(2);
    for (let expected = 3; expected <= 10; expected += 1) {
      await clock.advance(10_000);
      await service.embed('a');
      expect(pool.stats().maxConnections).toBe(expected);
    }
    await clock.advance(10_000);
    await service.embed('a');
    expect(pool.stats().maxConnections).toBe(10);
  });

  it('halves once for answers that come together', async () => {
    const gate = new Gate();
    const server = await serverOf(() => gate.reply);
    const pool = poolAt(server.url, { maxConnections: 8 });
    const service = serviceOf(pool, { retry: false, batchSize: 1 }, { clock: new ManualClock() });
    const calls = texts(8).map((text) => failure(service.embed(text)));
    await eventually(() => server.inFlight === 8, 'all are there');
    gate.refuse(429);
    await Promise.all(calls);
    expect(pool.stats().maxConnections).toBe(4);
  });

  it('is restored when the service closes', async () => {
    const server = await serverOf(() => SLOW_DOWN);
    const pool = poolAt(server.url, { maxConnections: 10, minConnections: 6 });
    const service = serviceOf(pool, { retry: false }, { clock: new ManualClock() });
    await failure(service.embed('a'));
    expect(pool.stats()).toMatchObject({ maxConnections: 5, minConnections: 5 });
    await service.close();
    expect(pool.stats()).toMatchObject({ maxConnections: 10, minConnections: 6 });
  });

  it('is left alone where that is wanted', async () => {
    const server = await serverOf(() => SLOW_DOWN);
    const pool = poolAt(server.url, { maxConnections: 10 });
    const options = { retry: false, adaptiveConcurrency: false } as const;
    await failure(serviceOf(pool, options, { clock: new ManualClock() }).embed('a'));
    expect(pool.stats().maxConnections).toBe(10);
  });
});
