import type { EmbeddingTimeoutError } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import { eventually } from '../../support/http-server.js';
import { failure, Gate, poolAt, serverOf, serviceOf, SILENCE, tidyUp } from './rig.js';

afterEach(tidyUp);

const SLOW_DOWN = { error: [429, 'slow down', 'rate_limit_exceeded'] as [number, string, string] };

describe('a call that waits', () => {
  it('has no connection before its next attempt', async () => {
    const clock = new ManualClock();
    const server = await serverOf(({ number }) => (number === 1 ? undefined : { error: [503, 'overloaded'] }));
    const pool = poolAt(server.url);
    const service = serviceOf(pool, {}, { clock, random: () => 1 });
    const vector = service.embed('a');
    await eventually(() => service.stats().endpoints[0]!.requests === 1, 'it has been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'it waits');
    expect(pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0 });
    expect(service.stats().pendingCalls).toBe(1);
    await clock.advance(499);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await vector).toHaveLength(8);
  });

  it('has no connection while the rate limit holds it back', async () => {
    const clock = new ManualClock();
    const server = await serverOf();
    const pool = poolAt(server.url);
    const service = serviceOf(pool, { rateLimit: { requestsPerMinute: 60, share: 1 } }, { clock });
    await service.embed('a');
    const held = service.embed('b');
    await eventually(() => service.stats().endpoints[0]!.held === 1, 'it is held');
    expect(pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0 });
    await clock.advance(999);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await held).toHaveLength(8);
  });

  it('A9: sends nothing before the time that a 429 names, though it stood in the queue for a connection then', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const server = await serverOf(({ number }) => (number === 0 ? gate.reply : undefined));
    const pool = poolAt(server.url, { maxConnections: 2 });
    const service = serviceOf(pool, { adaptiveConcurrency: false, batchSize: 1 }, { clock });
    const other = await pool.acquire();
    const first = service.embed('first');
    await eventually(() => server.requests.length === 1, 'the first is there');
    const second = service.embed('second');
    await eventually(() => pool.stats().waiting === 1, 'the second waits for a connection');
    gate.refuse(429, { 'retry-after-ms': '5000' });
    await eventually(() => pool.stats().waiting === 0 && pool.stats().activeConnections === 1, 'both wait');
    await clock.advance(4_999);
    expect(server.requests).toHaveLength(1);
    expect(pool.stats()).toMatchObject({ activeConnections: 1, waiting: 0 });
    await clock.advance(1);
    other.release();
    expect(await Promise.all([first, second])).toHaveLength(2);
    expect(server.texts.toSorted()).toEqual(['first', 'first', 'second']);
  });

  it('A9: sends nothing before that time either when it comes anew', async () => {
    const clock = new ManualClock();
    const server = await serverOf(({ number }) =>
      number === 0 ? { ...SLOW_DOWN, headers: { 'retry-after-ms': '5000' } } : undefined,
    );
    const service = serviceOf(poolAt(server.url), {}, { clock });
    const first = service.embed('first');
    await eventually(() => service.stats().endpoints[0]!.requests === 1, 'it has been sent');
    await eventually(() => service.stats().endpoints[0]!.inFlight === 0, 'it waits');
    const second = service.embed('second');
    await clock.advance(4_999);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    expect(await Promise.all([first, second])).toHaveLength(2);
  });
});

describe('a limit on time', () => {
  it('is that of the first byte', async () => {
    const server = await serverOf(() => SILENCE);
    const service = serviceOf(poolAt(server.url), { retry: false, headerTimeoutMs: 20 });
    const error = await failure<EmbeddingTimeoutError>(service.embed('a'));
    expect(error).toMatchObject({ code: 'EMBEDDING_TIMEOUT', phase: 'header', limitMs: 20, retryable: true });
    await eventually(() => server.sockets.size === 0, 'the request has been ended');
  });

  it('is that of silence within an answer', async () => {
    const server = await serverOf(() => ({ take: (response) => void response.writeHead(200).write('{') }));
    const service = serviceOf(poolAt(server.url), { retry: false, bodyIdleTimeoutMs: 20 });
    const error = await failure<EmbeddingTimeoutError>(service.embed('a'));
    expect(error).toMatchObject({ code: 'EMBEDDING_TIMEOUT', phase: 'body', limitMs: 20 });
    await eventually(() => server.sockets.size === 0, 'the request has been ended');
  });

  it('is that of one request, though its answer drips in', async () => {
    const server = await serverOf(() => ({
      take: (response) => {
        const drip = setInterval(() => response.write(' '), 5);
        response.once('close', () => clearInterval(drip));
      },
    }));
    const service = serviceOf(poolAt(server.url), { retry: false, bodyIdleTimeoutMs: 1_000, attemptTimeoutMs: 40 });
    const error = await failure<EmbeddingTimeoutError>(service.embed('a'));
    expect(error).toMatchObject({ code: 'EMBEDDING_TIMEOUT', phase: 'attempt', limitMs: 40 });
    await eventually(() => server.sockets.size === 0, 'the request has been ended');
  });

  it('is longer for the first request to a server that has to load its model', async () => {
    const server = await serverOf(() => SILENCE, 'ollama');
    const service = serviceOf(poolAt(server.url), { profile: 'ollama', retry: false, headerTimeoutMs: 10 });
    expect(await failure(service.embed('a'))).toMatchObject({ phase: 'header', limitMs: 40 });
    server.script = undefined;
    await service.embed('b');
    server.script = () => SILENCE;
    expect(await failure(service.embed('c'))).toMatchObject({ phase: 'header', limitMs: 10 });
  });
});
