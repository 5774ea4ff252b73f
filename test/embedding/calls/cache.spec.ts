import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisVectorCache, type VectorCache } from 'nestjs-pools/embedding';
import { ManualClock } from 'nestjs-pools/testing';
import { vectorOf } from '../../support/embedding-server.js';
import { describeWith, findRedis } from '../../support/services.js';
import { afterTest, answerWith, failure, numbered, right, serviceOver, startRig } from './rig.js';

describe('vectors in this process', () => {
  it('cost no request and no connection when they are asked for again', async () => {
    const { server, pool, service } = await startRig();
    await service.embedMany(numbered(5));
    const { acquired } = pool.stats();
    expect(await service.embedMany(numbered(5))).toEqual(right(numbered(5)));
    expect(await service.embed('text 3')).toEqual(vectorOf('text 3'));
    expect(server.requests).toHaveLength(1);
    expect(pool.stats().acquired).toEqual(acquired);
  });

  it('are found for some of a list, and the rest is asked for in its order', async () => {
    const { server, service } = await startRig();
    await service.embedMany(['b', 'd']);
    expect(await service.embedMany(['a', 'b', 'c', 'd', 'a'])).toEqual(right(['a', 'b', 'c', 'd', 'a']));
    expect(server.requests[1]!.texts).toEqual(['a', 'c']);
  });

  it.each([
    ['zeros', [0, 0, 0, 0, 0, 0, 0, 0]],
    ['null among the numbers', [1, 2, 3, null, 5, 6, 7, 8]],
    ['another length', [1, 2, 3]],
  ])('are never doubtful ones: %s', async (_what, doubtful) => {
    const { server, service } = await startRig({ dimensions: 8 });
    server.script = ({ texts }) => ({
      json: {
        data: texts.map((text, index) => ({
          index,
          embedding: text === 'doubtful' ? doubtful : Array.from(vectorOf(text)),
        })),
      },
    });
    const outcomes = await service.embedMany(['good', 'doubtful', 'fine'], { settle: true });
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(service.stats().cache).toMatchObject({ entries: 2 });
    server.script = undefined;
    expect(await service.embedMany(['good', 'doubtful', 'fine'])).toEqual(right(['good', 'doubtful', 'fine']));
    expect(server.requests[1]!.texts).toEqual(['doubtful']);
  });

  it('of a model that the server no longer answers by are not handed out', async () => {
    const { server, service } = await startRig();
    let model = 'model-1';
    server.script = (request) => answerWith(request, 1, model);
    await service.embedMany(['a', 'b']);
    model = 'model-2';
    await service.embed('c');
    await service.embedMany(['a', 'b', 'c']);
    expect(server.requests.map(({ texts }) => texts)).toEqual([['a', 'b'], ['c'], ['a', 'b']]);
    await service.embedMany(['a', 'b', 'c']);
    expect(server.requests).toHaveLength(3);
  });

  it('are forgotten after ttlMs', async () => {
    const clock = new ManualClock();
    const { server, service } = await startRig({ cache: { ttlMs: 1_000 }, parts: { clock } });
    await service.embed('a');
    await clock.advance(999);
    await service.embed('a');
    expect(server.requests).toHaveLength(1);
    await clock.advance(2);
    await service.embed('a');
    expect(server.requests).toHaveLength(2);
  });

  it('are not kept with cache: false', async () => {
    const { server, service } = await startRig({ cache: false });
    await service.embed('a');
    await service.embed('a');
    expect(server.requests).toHaveLength(2);
    expect(service.stats().cache).toBeUndefined();
  });

  it('are not those of a stream, which fills no memory', async () => {
    const { server, service } = await startRig();
    await service.embed('text 1');
    for await (const { item, vector } of service.embedStream(numbered(20))) expect(vector).toEqual(vectorOf(item));
    expect(service.stats().cache).toMatchObject({ entries: 1, hits: 0, misses: 1 });
    expect(server.texts).toHaveLength(21);
  });
});

/** A store in memory that does as a test says. */
class Store implements VectorCache {
  readonly values = new Map<string, Uint8Array>();
  readonly asked: number[] = [];
  getMany: VectorCache['getMany'] = async (keys) => {
    this.asked.push(keys.length);
    return keys.map((key) => this.values.get(key));
  };
  setMany: VectorCache['setMany'] = async (entries) => {
    for (const [key, value] of entries) this.values.set(key, value);
  };
}

describe('a store', () => {
  it('is asked once for a list, and gives each place of the same text a copy of its own', async () => {
    const store = new Store();
    const first = await startRig({ cache: { store } });
    await first.service.embedMany(['a', 'b']);
    await first.service.close();
    const second = serviceOver(first.pool, { profile: 'openai', cache: { store } });
    store.asked.length = 0;
    const vectors = await second.embedMany(['a', 'b', 'a', 'a']);
    expect(vectors).toEqual(right(['a', 'b', 'a', 'a']));
    vectors[0]!.fill(9);
    expect(vectors[2]).toEqual(vectorOf('a'));
    vectors[2]!.fill(8);
    expect(vectors[3]).toEqual(vectorOf('a'));
    expect(await second.embed('a')).toEqual(vectorOf('a'));
    expect(store.asked).toHaveLength(1);
    expect(first.server.requests).toHaveLength(1);
  });

  it('that fails, lies or is slow costs a request to the server, and no call', async () => {
    const lies: VectorCache['getMany'][] = [
      () => Promise.reject(new Error('gone')),
      async (keys) => keys.map(() => Uint8Array.of(1, 2, 3)),
      async () => [],
      () => {
        throw new Error('at once');
      },
      async () => undefined as never,
      () => new Promise(() => {}),
    ];
    for (const getMany of lies) {
      const store = Object.assign(new Store(), { getMany });
      const { server, service } = await startRig({ cache: { store, storeTimeoutMs: 20 } });
      expect(await service.embedMany(['a', 'b'])).toEqual(right(['a', 'b']));
      expect(server.requests).toHaveLength(1);
    }
  });

  it('has what it was given when close() resolves', async () => {
    const store = new Store();
    let isWritten = false;
    store.setMany = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      isWritten = true;
    };
    const { service } = await startRig({ cache: { store } });
    await service.embed('a');
    expect(isWritten).toBe(false);
    await service.close();
    expect(isWritten).toBe(true);
  });

  it('ends no call that was aborted while it was asked, and nothing is sent for it', async () => {
    const store = new Store();
    let answer!: (values: undefined[]) => void;
    store.getMany = () => new Promise((resolve) => (answer = resolve));
    const { server, service } = await startRig({ cache: { store } });
    const controller = new AbortController();
    const aborted = failure(service.embed('a', { signal: controller.signal }));
    controller.abort();
    answer([undefined]);
    expect(await aborted).toMatchObject({ code: 'EMBEDDING_ABORTED' });
    await service.embed('b', { cache: false });
    expect(server.texts).toEqual(['b']);
  });

  it('ends the call by what the caller’s own counter of tokens throws, and leaves no rejection behind', async () => {
    const tokens = (): never => {
      throw new Error('cannot count');
    };
    for (const cache of [false, { store: new Store() }] as const) {
      const { service } = await startRig({ cache, tokens });
      await expect(service.embedMany(['a', 'b'])).rejects.toThrow('cannot count');
      expect(service.stats().pendingCalls).toBe(0);
    }
  });
});

describeWith(await findRedis(), 'a store in Redis', ({ url }) => {
  const namespace = `calls-${randomBytes(6).toString('hex')}`;
  const connect = (): Redis => {
    const client = new Redis(url);
    afterTest(async () => {
      const end = new Promise((resolve) => client.once('end', resolve));
      const keys = await client.keys(`${namespace}*`);
      if (keys.length > 0) await client.del(keys);
      client.disconnect();
      await end;
    });
    return client;
  };

  it('serves another process: a hit costs no request, and is kept in memory from then on', async () => {
    const redis = connect();
    const cache = { store: redisVectorCache(redis), namespace };
    const { server, pool, service } = await startRig({ cache });
    await service.embedMany(numbered(30));
    await service.close();
    const other = serviceOver(pool, { profile: 'openai', cache });
    expect(await other.embedMany([...numbered(30), 'new'])).toEqual(right([...numbered(30), 'new']));
    expect(server.requests.slice(2).map(({ texts }) => texts)).toEqual([['new']]);
    expect(other.stats().cache).toMatchObject({ storeHits: 30, entries: 31 });
    await other.embedMany(numbered(30));
    expect(other.stats().cache).toMatchObject({ storeHits: 30, hits: 30 });
  });

  it('keeps tenants, dimensions, input types and models apart', async () => {
    const redis = connect();
    const cache = { store: redisVectorCache(redis), namespace };
    const { server, pool, service } = await startRig({ dialect: 'voyage', cache });
    await service.embed('a', { tenant: 'one' });
    await service.close();
    const again = serviceOver(pool, { profile: 'voyage', cache });
    await again.embed('a', { tenant: 'one' });
    expect(server.requests).toHaveLength(1);
    const differently = [{ tenant: 'two' }, {}, { tenant: 'one', dimensions: 4 }];
    for (const own of [...differently, { tenant: 'one', inputType: 'query' as const }]) await again.embed('a', own);
    await again.close();
    await serviceOver(pool, { profile: 'voyage', model: 'other', cache }).embed('a', { tenant: 'one' });
    expect(server.requests).toHaveLength(6);
  });

  it('gives out nothing of a model that the server no longer answers by, and gets the new ones', async () => {
    const redis = connect();
    const cache = { store: redisVectorCache(redis), namespace };
    const { server, pool, service } = await startRig({ cache });
    server.script = (request) => answerWith(request, 1, 'model-1');
    await service.embedMany(['a', 'b']);
    await service.close();
    server.script = (request) => answerWith(request, 1, 'model-2');
    const other = serviceOver(pool, { profile: 'openai', cache });
    await other.embed('c');
    await other.embedMany(['a', 'b', 'c']);
    expect(server.requests.slice(1).map(({ texts }) => texts)).toEqual([['c'], ['a', 'b']]);
    await other.close();
    const third = serviceOver(pool, { profile: 'openai', cache });
    await third.embed('d');
    await third.embedMany(['a', 'b', 'c', 'd']);
    expect(server.requests).toHaveLength(4);
  });

  it('is used by streams, which keep the vectors for another run', async () => {
    const redis = connect();
    const cache = { store: redisVectorCache(redis), namespace };
    const { server, pool, service } = await startRig({ cache });
    for await (const _item of service.embedStream(numbered(20))) continue;
    await service.close();
    const before = server.requests.length;
    const other = serviceOver(pool, { profile: 'openai', cache });
    for await (const { item, vector } of other.embedStream(numbered(20))) expect(vector).toEqual(vectorOf(item));
    expect(server.requests).toHaveLength(before);
  });
});
