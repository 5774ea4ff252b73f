import type { EmbeddingProfile } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import type { Reply } from '../../support/embedding-server.js';
import { eventually } from '../../support/http-server.js';
import { failure, Gate, HANG_UP, poolAt, serverOf, serviceOf, SILENCE, tidyUp } from './rig.js';

afterEach(tidyUp);

const texts = (count: number): string[] => Array.from({ length: count }, (_none, index) => `text ${index}`);

async function pair(options: Parameters<typeof serviceOf>[1] = {}, parts: Parameters<typeof serviceOf>[2] = {}) {
  const [first, second] = [await serverOf(), await serverOf()];
  const [primary, secondary] = [poolAt(first.url, {}, 'first'), poolAt(second.url, {}, 'second')];
  const service = serviceOf(primary, options, { failover: [{ pool: secondary }], ...parts });
  return { first, second, primary, secondary, service };
}

describe('failover', () => {
  it('is not needed while the first is well', async () => {
    const { second, service, secondary } = await pair();
    await service.embedMany(texts(100));
    expect(second.requests).toHaveLength(0);
    expect(secondary.stats().totalConnections).toBe(0);
  });

  it.each<[string, Reply]>([
    ['has trouble', { error: [503, 'overloaded'] }],
    ['closes the connection', HANG_UP],
    ['has nothing left to spend', { error: [429, 'You exceeded your current quota', 'insufficient_quota'] }],
    ['wants less', { error: [429, 'slow down', 'rate_limit_exceeded'] }],
    ['does not answer', SILENCE],
    ['makes no sense', { raw: 'nonsense' }],
  ])('asks the second at once when the first %s', async (_what, reply) => {
    const limits = reply === SILENCE ? { headerTimeoutMs: 200 } : {};
    const { first, second, service } = await pair(limits, { clock: new ManualClock() });
    first.script = () => reply;
    expect(await service.embed('a')).toHaveLength(8);
    expect([first.requests.length, second.requests.length]).toEqual([1, 1]);
  });

  it('asks the second when the first cannot be reached', async () => {
    const { first, second, service } = await pair();
    await first.stop();
    expect(await service.embedMany(texts(10))).toHaveLength(10);
    expect(second.requests.length).toBeGreaterThan(0);
  });

  it('keeps what is cached, though the other server has another name for the same model', async () => {
    const { first, second, service } = await pair({ cache: {} });
    second.script = (_request, right) => ({ json: { ...right(), model: 'a deployment' } });
    const vector = await service.embed('kept');
    first.script = () => HANG_UP;
    await service.embed('from the second');
    const asked = first.requests.length + second.requests.length;
    expect(await service.embed('kept')).toEqual(vector);
    expect(await service.embed('from the second')).toHaveLength(8);
    expect(first.requests.length + second.requests.length).toBe(asked);
  });

  it.each<[string, Reply]>([
    ['a wrong request', { error: [400, 'no, thank you'] }],
    ['a text that is too long', { error: [400, 'maximum context length is 8192 tokens'] }],
    ['a wrong input', { error: [400, "'$.input' is invalid"] }],
    ['a wrong key', { error: [401, 'Incorrect API key'] }],
    ['a model that is not there', { error: [404, 'no such model', 'model_not_found'] }],
  ])('is not for %s, which would be as wrong elsewhere', async (_what, reply) => {
    const { first, second, service } = await pair();
    first.script = () => reply;
    await failure(service.embed('a'));
    expect([first.requests.length, second.requests.length]).toEqual([1, 0]);
  });

  it('speaks to the second as it is to be spoken to', async () => {
    const [first, second] = [await serverOf(() => ({ error: [503, 'overloaded'] })), await serverOf()];
    const profile: EmbeddingProfile = {
      name: 'other',
      encoding: 'never',
      path: () => 'other/embeddings',
      body: ({ model, texts: input }) => ({ model, input, ours: true }),
    };
    const failover = [{ pool: poolAt(second.url, {}, 'second'), model: 'its own', profile }];
    const service = serviceOf(poolAt(first.url), { model: 'ours' }, { failover });
    expect(await service.embed('a')).toHaveLength(8);
    expect(first.requests[0]).toMatchObject({ path: '/v1/embeddings', wantsBase64: true, body: { model: 'ours' } });
    expect(second.requests[0]).toMatchObject({
      path: '/v1/other/embeddings',
      wantsBase64: false,
      body: { model: 'its own', ours: true },
    });
    expect(service.costs().map(({ model }) => model)).toEqual(['its own']);
    expect(service.stats().endpoints.map(({ pool, model }) => [pool, model])).toEqual([
      ['embeddings', 'ours'],
      ['second', 'its own'],
    ]);
  });

  it('spares the first while it is known to be down, and goes back when it is well again', async () => {
    const clock = new ManualClock();
    const { first, second, service } = await pair({ batchSize: 1, retry: { attempts: 2 } }, { clock });
    first.script = () => ({ error: [503, 'overloaded'] });
    await service.embedMany(texts(30));
    expect(service.stats().endpoints.map(({ state }) => state)).toEqual(['open', 'closed']);
    const seen = first.requests.length;
    await service.embedMany(texts(60).slice(30));
    expect(first.requests).toHaveLength(seen);
    first.script = undefined;
    await clock.advance(5_000);
    const before = second.requests.length;
    await service.embed('the probe');
    expect(first.requests).toHaveLength(seen + 1);
    await service.embedMany(texts(90).slice(60));
    expect(second.requests).toHaveLength(before);
    expect(service.stats().endpoints.map(({ state }) => state)).toEqual(['closed', 'closed']);
  });

  it('probes the first by a call that the second then serves', async () => {
    const clock = new ManualClock();
    const { first, second, service } = await pair({ batchSize: 1 }, { clock });
    first.script = () => ({ error: [429, 'spent', 'insufficient_quota'] });
    await service.embed('a');
    await clock.advance(300_000);
    expect(await service.embed('b')).toHaveLength(8);
    expect([first.requests.length, second.requests.length]).toEqual([2, 2]);
    expect(service.stats().endpoints[0]).toMatchObject({ state: 'open', retryInMs: 300_000 });
  });

  it('says so when all are down, with the time of the one that may be asked first', async () => {
    const clock = new ManualClock();
    const { first, second, service } = await pair({}, { clock });
    first.script = second.script = () => ({ error: [429, 'spent', 'insufficient_quota'] });
    expect(await failure(service.embed('a'))).toMatchObject({ kind: 'quota' });
    await clock.advance(100_000);
    const error = await failure<Error & { retryAt: Date }>(service.embed('b'));
    expect(error).toMatchObject({ code: 'EMBEDDING_UNAVAILABLE' });
    expect(error.retryAt.getTime() - Date.now()).toBeLessThanOrEqual(200_000);
    expect([first.requests.length, second.requests.length]).toEqual([1, 1]);
  });
});

describe('a second request beside one that takes long', () => {
  /** Twenty quick ones first: before that nobody knows what takes long. */
  async function warm(hedge: boolean | { maxShare: number }) {
    const clock = new ManualClock();
    const made = await pair({ hedge, cache: false }, { clock });
    for (const text of texts(20)) await made.service.embed(text);
    const gate = new Gate();
    made.first.script = () => gate.reply;
    return { ...made, clock, gate };
  }

  it('goes to the other server, its answer is taken, and the first request is ended', async () => {
    const { first, second, primary, service, clock } = await warm(true);
    const vector = service.embed('slow');
    await eventually(() => first.inFlight === 1, 'the first is there');
    await clock.advance(199);
    expect(second.requests).toHaveLength(0);
    await clock.advance(1);
    expect(await vector).toHaveLength(8);
    expect(second.texts).toEqual(['slow']);
    await eventually(() => first.inFlight === 0, 'the first sees it end');
    await eventually(() => primary.stats().activeConnections === 0, 'the connection is back');
    expect(service.stats()).toMatchObject({ hedged: 1, retries: 0 });
    expect(service.stats().endpoints.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it('is ended when the first is answered after all', async () => {
    const { first, second, secondary, service, clock, gate } = await warm(true);
    second.script = () => SILENCE;
    const vector = service.embed('slow');
    await eventually(() => first.inFlight === 1, 'the first is there');
    await clock.advance(200);
    await eventually(() => second.inFlight === 1, 'the second is there');
    gate.open();
    expect(await vector).toHaveLength(8);
    await eventually(() => second.inFlight === 0, 'the second sees it end');
    await eventually(() => secondary.stats().activeConnections === 0, 'the connection is back');
  });

  it('is waited for when the first fails meanwhile', async () => {
    const { first, second, service, clock, gate } = await warm(true);
    const other = new Gate();
    second.script = () => other.reply;
    const vector = service.embed('slow');
    await eventually(() => first.inFlight === 1, 'the first is there');
    await clock.advance(200);
    await eventually(() => second.inFlight === 1, 'the second is there');
    gate.refuse(503);
    await eventually(() => first.inFlight === 0, 'the first has failed');
    other.open();
    expect(await vector).toHaveLength(8);
    expect([first.requests.length, second.requests.length]).toEqual([21, 1]);
  });

  it('ends with its caller, as the first does', async () => {
    const { first, second, service, clock } = await warm(true);
    second.script = () => SILENCE;
    const controller = new AbortController();
    const gone = failure(service.embed('slow', { signal: controller.signal }));
    await eventually(() => first.inFlight === 1, 'the first is there');
    await clock.advance(200);
    await eventually(() => second.inFlight === 1, 'the second is there');
    controller.abort();
    expect(await gone).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    await eventually(() => first.inFlight + second.inFlight === 0, 'both see it end');
    expect(service.stats().endpoints[0]!.state).toBe('closed');
  });

  it('is made for a twentieth of the calls at most', async () => {
    const { first, second, service, clock, gate } = await warm(true);
    for (const text of texts(40)) {
      const vector = service.embed(text);
      await eventually(() => first.inFlight === 1, 'the first is there');
      await clock.advance(1_000);
      gate.open();
      await vector;
      await eventually(() => first.inFlight === 0, 'it is over');
    }
    expect(service.stats().hedged).toBeGreaterThan(0);
    expect(service.stats().hedged).toBeLessThanOrEqual(60 / 20);
    expect(second.requests).toHaveLength(service.stats().hedged);
  });

  it('is not made where nobody has asked for it, nor for many texts', async () => {
    for (const hedge of [false, true]) {
      const { first, second, service, clock, gate } = await warm(hedge);
      const vectors = hedge ? service.embedMany(['a', 'b']) : service.embed('a');
      await eventually(() => first.inFlight === 1, 'the first is there');
      await clock.advance(10_000);
      expect(second.requests).toHaveLength(0);
      gate.open();
      await vectors;
      expect(service.stats().hedged).toBe(0);
    }
  });
});
