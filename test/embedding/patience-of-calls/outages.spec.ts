import { EmbeddingUnavailableError } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import type { Reply } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { all, failure, Gate, HANG_UP, poolAt, serverOf, serviceOf, tidyUp } from './rig.js';

afterEach(tidyUp);

const DOWN: Reply = { error: [503, 'overloaded'] };
const texts = (count: number): string[] => Array.from({ length: count }, (_none, index) => `text ${index}`);

/** A pool whose server is not there; it opens connections again as soon as it may. */
async function absent() {
  const server = await serverOf();
  const { port, url } = server;
  await server.stop();
  const pool = poolAt(url, { createRetry: { initialMs: 1, maxMs: 1 } });
  return { pool, comeBack: () => serverOf(undefined, 'openai', port) };
}

describe('a server that cannot be reached', () => {
  it('is the same story to the pool and to the service, and so is its coming back', async () => {
    const { pool, comeBack } = await absent();
    const service = serviceOf(pool);
    await failure(service.embed('a'));
    expect(pool.stats().down).toBe(true);
    const [endpoint] = service.stats().endpoints;
    expect(endpoint).toMatchObject({ state: 'open', reason: 'no connection to it can be opened' });
    const server = await comeBack();
    await eventually(() => service.stats().endpoints[0]!.retryInMs === 0, 'it may be asked again');
    expect(await service.embed('a')).toHaveLength(8);
    expect(service.stats().endpoints[0]!.state).toBe('closed');
    expect(pool.stats().down).toBe(false);
    expect(server.requests).toHaveLength(1);
  });

  it('is told of at once, with the time at which the pool tries again', async () => {
    const server = await serverOf();
    const { url } = server;
    await server.stop();
    const pool = poolAt(url, { createRetry: { initialMs: 50_000, maxMs: 50_000 }, downAfter: 1 });
    const service = serviceOf(pool, {}, { clock: new ManualClock() });
    const down = await failure<Error & { retryAt: Date }>(pool.acquire().then(() => pool.acquire()));
    expect(pool.stats().down).toBe(true);
    const first = await failure<EmbeddingUnavailableError>(service.embed('a'));
    const second = await failure<EmbeddingUnavailableError>(service.embed('b'));
    expect(first).toMatchObject({ code: 'POOL_DOWN' });
    expect(second).toBeInstanceOf(EmbeddingUnavailableError);
    expect(second.cause).toMatchObject({ code: 'POOL_DOWN' });
    const { retryAt } = second.cause as typeof down;
    expect(Math.abs(second.retryAt.getTime() - retryAt.getTime())).toBeLessThan(100);
    expect(pool.stats().createFailed).toBe(1);
  });

  it('is found out about by one probe, whatever comes meanwhile', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const server = await serverOf(() => DOWN);
    const service = serviceOf(poolAt(server.url), { batchSize: 1, retry: false }, { clock });
    await Promise.all(texts(20).map((text) => failure(service.embed(text))));
    expect(service.stats().endpoints[0]).toMatchObject({ state: 'open', retryInMs: 5_000 });
    const before = server.requests.length;
    server.script = () => gate.reply;
    await clock.advance(5_000);
    const calls = texts(10).map((text) => service.embed(text).catch((error: unknown) => error));
    await eventually(() => server.inFlight === 1, 'the probe is there');
    expect(service.stats().endpoints[0]!.state).toBe('half-open');
    const [probe, ...others] = calls;
    for (const other of await Promise.all(others)) expect(other).toBeInstanceOf(EmbeddingUnavailableError);
    expect(server.requests).toHaveLength(before + 1);
    gate.open();
    expect(await probe).toHaveLength(8);
    expect(service.stats().endpoints[0]!.state).toBe('closed');
    server.script = undefined;
    expect(await service.embedMany(texts(30))).toHaveLength(30);
  });
});

describe('a storm of failures', () => {
  it('opens the breaker, for twice as long after each probe that fails', async () => {
    const clock = new ManualClock();
    const server = await serverOf(() => DOWN);
    const service = serviceOf(poolAt(server.url), { batchSize: 1, retry: false }, { clock });
    await Promise.all(texts(20).map((text) => failure(service.embed(text))));
    for (const openMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      const { state, retryInMs } = service.stats().endpoints[0]!;
      expect([state, retryInMs]).toEqual(['open', openMs]);
      const seen = server.requests.length;
      expect(await failure(service.embed('too early'))).toMatchObject({ code: 'EMBEDDING_UNAVAILABLE' });
      await clock.advance(openMs);
      expect(server.requests).toHaveLength(seen);
      expect(await failure(service.embed('the probe'))).toMatchObject({ status: 503 });
      expect(server.requests).toHaveLength(seen + 1);
    }
  });

  it('of connections that are closed opens it too', async () => {
    const server = await serverOf(() => HANG_UP);
    const service = serviceOf(poolAt(server.url), { batchSize: 1, retry: false }, { clock: new ManualClock() });
    for (const text of texts(20)) await failure(service.embed(text));
    expect(service.stats().endpoints[0]!.state).toBe('open');
  });

  it.each<[string, Reply]>([
    ['wrong requests', { error: [400, 'no, thank you'] }],
    ['wrong keys', { error: [401, 'Incorrect API key'] }],
    ['too many requests', { error: [429, 'slow down'], headers: { 'retry-after-ms': '0' } }],
    ['texts that are too long', { error: [400, 'maximum context length is 8192 tokens'] }],
  ])('of %s leaves it closed: the server is well', async (_what, reply) => {
    const clock = new ManualClock();
    const server = await serverOf(() => reply);
    const service = serviceOf(poolAt(server.url), { batchSize: 1, retry: false, rateLimit: false }, { clock });
    for (const text of texts(25)) {
      const failed = failure(service.embed(text));
      await clock.advance(1_000);
      await failed;
    }
    expect(server.requests).toHaveLength(25);
    expect(service.stats().endpoints[0]!.state).toBe('closed');
  });

  it('is endured without a breaker', async () => {
    const server = await serverOf(() => DOWN);
    const service = serviceOf(poolAt(server.url), { batchSize: 1, retry: false, breaker: false });
    for (const text of texts(25)) expect(await failure(service.embed(text))).toMatchObject({ status: 503 });
    expect(server.requests).toHaveLength(25);
  });
});

describe('a stream', () => {
  it('waits out that the server cannot be reached', async () => {
    const { pool, comeBack } = await absent();
    const service = serviceOf(pool);
    const stream = all(service.embedStream(texts(5)));
    // It has asked more often than any call would ask a server that can be reached.
    await eventually(() => pool.stats().createFailed >= 12, 'it has asked again and again');
    await comeBack();
    expect(await stream).toHaveLength(5);
    expect(service.stats().endpoints[0]!.state).toBe('closed');
  });

  it('that begins in the middle of an outage waits for its end', async () => {
    const clock = new ManualClock();
    const server = await serverOf(() => DOWN);
    const service = serviceOf(poolAt(server.url), { batchSize: 1, retry: false }, { clock });
    await Promise.all(texts(20).map((text) => failure(service.embed(text))));
    const seen = server.requests.length;
    server.script = undefined;
    const stream = all(service.embedStream(texts(5)));
    await clock.advance(4_999);
    expect(server.requests).toHaveLength(seen);
    for (let step = 0; step < 200 && server.requests.length < seen + 5; step += 1) await clock.advance(10);
    expect(await stream).toHaveLength(5);
  });

  it('waits out a storm of failures in its midst', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const service = serviceOf(poolAt(server.url, { maxConnections: 4 }), { batchSize: 4 }, { clock });
    const stream = all(service.embedStream(texts(400)));
    await eventually(() => server.requests.length >= 10, 'it has begun');
    server.script = () => DOWN;
    for (let step = 0; step < 100; step += 1) await clock.advance(100);
    expect(service.stats().endpoints[0]!.state).not.toBe('closed');
    server.script = undefined;
    let isOver = false;
    void stream.finally(() => (isOver = true)).catch(() => undefined);
    for (let step = 0; step < 500 && !isOver; step += 1) await clock.advance(100);
    expect(await stream).toHaveLength(400);
  });

  it('fails when its deadline is over before the outage is', async () => {
    const { pool } = await absent();
    const service = serviceOf(pool);
    const error = await failure(all(service.embedStream(texts(5), { deadlineMs: 40 })));
    expect(error.code).toMatch(/EMBEDDING_TIMEOUT|EMBEDDING_UNAVAILABLE|POOL_/);
  });
});
