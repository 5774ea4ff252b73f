import { ManualClock } from 'nestjs-pools/testing';
import { CountingServer } from '../../support/http-server.js';
import { afterTest, answerWith, failure, Gate, numbered, poolOf, right, serviceOver, startRig } from './rig.js';

describe('what a call tells while it runs', () => {
  it('is how many texts are done after each request, those included that needed none', async () => {
    const { service } = await startRig({ connections: 1, batchSize: 4, onBlank: 'skip' });
    await service.embedMany(numbered(2));
    const seen: string[] = [];
    const texts = ['', ...numbered(12), 'text 11'];
    await service.embedMany(texts, { onProgress: (done, total) => seen.push(`${done}/${total}`) });
    // Blank, two from the cache, then four, four, and two with a duplicate.
    expect(seen).toEqual(['7/14', '11/14', '14/14']);
  });

  it('ends with all of them, though the last ones failed, or the cache had them all', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 2 });
    server.script = ({ texts }) => (texts.includes('text 3') ? { error: [400, "'$.input' is invalid"] } : undefined);
    const seen: string[] = [];
    const onProgress = (done: number, total: number): unknown => seen.push(`${done}/${total}`);
    await service.embedMany(numbered(4), { onProgress, settle: true });
    expect(seen).toEqual(['2/4', '3/4', '4/4']);
    await service.embedMany(numbered(3), { onProgress });
    expect(seen.slice(3)).toEqual(['3/3']);
  });

  it('ends the call where the callback throws', async () => {
    const { service } = await startRig();
    const onProgress = (): never => {
      throw new Error('no more');
    };
    await expect(service.embedMany(['a', 'b'], { onProgress })).rejects.toThrow('no more');
    expect(await service.embedMany(['a', 'b'])).toEqual(right(['a', 'b']));
  });

  it('is what the server counted, once at the end: all of it without a cache, and nothing from the cache', async () => {
    const { server, service } = await startRig({ connections: 1, batchSize: 3 });
    server.script = (request) => answerWith(request, 10 * request.texts.length);
    const seen: number[] = [];
    const onUsage = ({ tokens }: { tokens: number }): unknown => seen.push(tokens);
    await service.embedMany(numbered(7), { onUsage });
    await service.embedMany(numbered(9), { onUsage });
    await service.embedMany(numbered(9), { onUsage });
    await service.embedMany(['new', 'new', 'new'], { onUsage });
    expect(seen).toEqual([70, 20, 0, 10]);
  });

  it('is no number of tokens where the server counted none', async () => {
    const { server, service } = await startRig();
    server.script = ({ texts }) => ({ json: { data: texts.map((_text, index) => ({ index, embedding: [1, 2] })) } });
    let calls = 0;
    await service.embedMany(['a', 'b'], { onUsage: () => (calls += 1) });
    expect(calls).toBe(0);
    expect(service.costs()).toMatchObject([{ tokens: service.stats().tokens, isEstimated: true }]);
  });

  it('is not the usage of others whose texts were in the same request', async () => {
    const { server, service } = await startRig({ connections: 1, tokens: (text) => text.length });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const used: Record<string, number> = {};
    const calls = ['aaaa', 'bb'].map((text) =>
      service.embedMany([text, `${text}${text}`], { onUsage: ({ tokens }) => (used[text] = tokens) }),
    );
    gate.release();
    server.script = (request) => answerWith(request, 36);
    await Promise.all([first, ...calls]);
    expect(used).toEqual({ aaaa: 24, bb: 12 });
  });
});

describe('a deadline', () => {
  it('is each call’s own, and says what the call was doing', async () => {
    const clock = new ManualClock();
    const { server, service } = await startRig({ connections: 1, parts: { clock } });
    const gate = new Gate(server);
    const outcomes: string[] = [];
    const note = (name: string, call: Promise<unknown>): Promise<unknown> =>
      call.then(
        () => outcomes.push(name),
        (error: Error) => outcomes.push(`${name}: ${error.message}`),
      );
    const calls = [note('patient', service.embed('a')), note('hasty', service.embed('a', { deadlineMs: 500 }))];
    await gate.held(1);
    calls.push(note('queued', service.embedMany(['b'], { deadlineMs: 700 })));
    await clock.advance(499);
    expect(outcomes).toEqual([]);
    await clock.advance(1);
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatch(/^hasty: the texts were not embedded within 500 ms \(waiting for an answer\)/);
    await clock.advance(200);
    expect(outcomes[1]).toMatch(/^queued: the texts were not embedded within 700 ms/);
    gate.release();
    await Promise.all(calls);
    expect(outcomes[2]).toBe('patient');
    // Nobody waited for it any more when its turn came.
    expect(server.texts).toEqual(['a']);
  });

  it('of the last who waits ends the request, and one of EMBEDDING_TIMEOUT is told', async () => {
    const clock = new ManualClock();
    const { server, service, pool } = await startRig({ connections: 1, parts: { clock }, deadlineMs: 300 });
    const gate = new Gate(server);
    const call = failure(service.embed('a'));
    await gate.held(1);
    await clock.advance(300);
    expect(await call).toMatchObject({ code: 'EMBEDDING_TIMEOUT', phase: 'deadline', limitMs: 300 });
    gate.release();
    expect(await service.embed('b')).toEqual(right(['b'])[0]);
    expect(pool.stats().activeConnections).toBe(0);
  });
});

describe('stats() and costs()', () => {
  it('agree with what the server saw', async () => {
    const { server, service } = await startRig({ connections: 2, batchSize: 5, retry: { initialMs: 1 } });
    let failures = 2;
    server.script = (request) =>
      (failures -= 1) >= 0 ? { error: [503, 'busy'] } : answerWith(request, request.texts.length * 7);
    await service.embedMany(numbered(12));
    await Promise.all([service.embed('text 0'), service.embed('single'), service.embed('single')]);
    await service.embedMany(['text 1', 'fresh', 'fresh']);
    const answered = server.requests.length - 2;
    const { endpoints, cache, ...stats } = service.stats();
    expect(stats).toEqual({
      model: service.model,
      calls: 5,
      texts: 18,
      cached: 2,
      deduped: 2,
      embedded: 14,
      requests: answered,
      retries: 2,
      hedged: 0,
      tokens: 14 * 7,
      pendingCalls: 0,
    });
    expect(server.requests.slice(2).flatMap(({ texts }) => texts)).toHaveLength(stats.embedded);
    expect(endpoints).toMatchObject([
      { pool: 'embeddings', profile: 'openai', state: 'closed', requests: server.requests.length, inFlight: 0 },
    ]);
    expect(cache).toMatchObject({ entries: 14, hits: 2 });
    expect(service.costs()).toEqual([
      expect.objectContaining({
        model: service.model,
        requests: answered,
        inputs: 16,
        cachedInputs: 2,
        tokens: 98,
        uncountedRequests: 0,
        isEstimated: false,
        price: 0.02,
        cost: (98 * 0.02) / 1e6,
      }),
    ]);
  });

  it('show what is under way', async () => {
    const { server, service } = await startRig({ connections: 2 });
    const gate = new Gate(server);
    const calls = [service.embed('a')];
    await gate.held(1);
    calls.push(service.embed('b'));
    await gate.held(2);
    calls.push(service.embed('c'));
    expect(service.stats()).toMatchObject({ pendingCalls: 3, requests: 0, endpoints: [{ inFlight: 2, requests: 2 }] });
    gate.release();
    await Promise.all(calls);
    expect(service.stats()).toMatchObject({ pendingCalls: 0, requests: 3, endpoints: [{ inFlight: 0, requests: 3 }] });
  });

  it('take the price that they are given', async () => {
    const { server, service } = await startRig({ pricePerMillionTokens: 5, model: 'own-model' });
    server.script = (request) => answerWith(request, 1_000);
    await service.embed('a');
    expect(service.costs()).toMatchObject([{ model: 'own-model', price: 5, cost: 0.005 }]);
  });

  it('know no cost where no price is known', async () => {
    const { service } = await startRig({ model: 'own-model' });
    await service.embed('a');
    expect(service.costs()).toMatchObject([{ price: undefined, cost: undefined, tokens: 1 }]);
  });
});

describe('check()', () => {
  const statuses: [number, string][] = [
    [200, 'up'],
    [404, 'up'],
    [405, 'up'],
    [501, 'up'],
    [401, 'misconfigured'],
    [403, 'misconfigured'],
    [429, 'throttled'],
    [500, 'degraded'],
    [503, 'degraded'],
  ];
  it.each(statuses)('reads an answer of status %i as %s, and asks for no vectors', async (statusCode, status) => {
    const server = await CountingServer.start((_request, response) => response.writeHead(statusCode).end('{}'));
    afterTest(() => server.stop());
    const service = serviceOver(poolOf(`${server.url}/v1`), { profile: 'openai' });
    expect(await service.check()).toEqual({ status, statusCode });
    expect(server.requests).toEqual(['GET /v1/models']);
  });

  it.each([
    ['tei', 'GET /health'],
    ['vllm', 'GET /health'],
    ['ollama', 'GET /api/version'],
    ['unknown', 'HEAD /v1/'],
  ])('asks %s by its own sign of life, %s', async (profile, expected) => {
    const server = await CountingServer.start((_request, response) => response.writeHead(200).end());
    afterTest(() => server.stop());
    expect(await serviceOver(poolOf(`${server.url}/v1`), { profile }).check()).toEqual({
      status: 'up',
      statusCode: 200,
    });
    expect(server.requests.map((line) => line.replace(/\/$/, ''))).toEqual([expected.replace(/\/$/, '')]);
  });

  it('says down where nobody listens, where no answer comes in time, and where the caller stops asking', async () => {
    const server = await CountingServer.start(() => {});
    const service = serviceOver(poolOf(`${server.url}/v1`), { profile: 'openai' });
    const down = { status: 'down', statusCode: undefined };
    expect(await service.check({ timeoutMs: 20 })).toEqual(down);
    expect(await service.check({ signal: AbortSignal.abort() })).toEqual(down);
    await server.stop();
    expect(await service.check()).toEqual(down);
  });
});
