import { randomBytes } from 'node:crypto';
import KeyvRedis from '@keyv/redis';
import { createCache } from 'cache-manager';
import { Cluster, Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { PoolOptionsError } from 'nestjs-pools/core';
import { cacheManagerVectorCache } from '../../../lib/embedding/cache/cache-manager-vector-cache.js';
import { EmbeddingCache } from '../../../lib/embedding/cache/cache-tiers.js';
import { keyvVectorCache } from '../../../lib/embedding/cache/keyv-vector-cache.js';
import { redisVectorCache } from '../../../lib/embedding/cache/redis-vector-cache.js';
import { encodeVector } from '../../../lib/embedding/cache/vector-bytes.js';
import type { VectorCache } from '../../../lib/embedding/cache/vector-cache.js';
import { freePort } from '../../redis/own-sentinel.js';
import { describeWith, findRedis, ownRedis } from '../../support/services.js';

/** Every byte there is, so that none can be lost on the way through a text. */
const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const VECTOR = Float32Array.from({ length: 1_536 }, (_, index) => Math.sin(index));

function ended(client: Redis | Cluster): Promise<unknown> {
  const end = new Promise((resolve) => client.once('end', resolve));
  client.disconnect();
  return end;
}

/** What every store must do. Values are plain arrays and slices of larger ones, for that is what may come. */
function keepsVectors(make: () => VectorCache): void {
  it('gives back the bytes that it was given, in the order of the keys', async () => {
    const store = make();
    const slice = new Uint8Array([0xee, ...ALL_BYTES, 0xee]).subarray(1, 257);
    await store.setMany([
      ['a', ALL_BYTES],
      ['b', slice],
      ['c', Uint8Array.of(7)],
    ]);
    const values = await store.getMany(['c', 'missing', 'b', 'a']);
    const all = [...ALL_BYTES];
    expect(values.map((value) => (value ? [...value] : undefined))).toEqual([[7], undefined, all, all]);
  });

  it('serves as the second tier', async () => {
    const store = make();
    const writer = new EmbeddingCache({ store });
    writer.setMany([['vector', VECTOR]], 'model');
    await writer.flush();
    expect(writer.stats()).toMatchObject({ storeFailures: 0 });
    expect(await new EmbeddingCache({ store }).getMany(['other', 'vector'])).toEqual([undefined, VECTOR]);
  });

  it('has nothing to say to nothing', async () => {
    const store = make();
    await store.setMany([]);
    expect(await store.getMany([])).toEqual([]);
  });
}

describeWith(await findRedis(), 'A store in Redis', (server) => {
  const prefix = `test-${randomBytes(6).toString('hex')}:`;
  let redis: Redis;

  beforeAll(() => {
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    const keys = await redis.keys(`*${prefix}*`);
    if (keys.length > 0) await redis.del(keys);
    await ended(redis);
  });

  describe('by ioredis', () => {
    keepsVectors(() => redisVectorCache(redis, { prefix }));

    it('keeps a vector for as long as is said, else for its own time, else for good', async () => {
      const entries = (key: string) => [[key, ALL_BYTES]] as const;
      await redisVectorCache(redis, { prefix, ttlMs: 50_000 }).setMany(entries('said'), 90_000.5);
      await redisVectorCache(redis, { prefix, ttlMs: 50_000 }).setMany(entries('own'));
      await redisVectorCache(redis, { prefix }).setMany(entries('good'));
      const [said, own, good] = await Promise.all(['said', 'own', 'good'].map((key) => redis.pttl(prefix + key)));
      expect(said).toBeGreaterThan(50_000);
      expect(said).toBeLessThanOrEqual(90_001);
      expect(own).toBeGreaterThan(0);
      expect(own).toBeLessThanOrEqual(50_000);
      expect(good).toBe(-1);
    });

    it('writes the bytes as they are', async () => {
      await redisVectorCache(redis, { prefix }).setMany([['raw', encodeVector(VECTOR, 'm')]]);
      expect(await redis.strlen(`${prefix}raw`)).toBe(8 + 1 + 6_144);
    });

    it('fails when one of many is not kept, and tells nothing of it', async () => {
      const store = redisVectorCache(redis, { prefix });
      // Redis refuses a time to live that is none; the port forbids none.
      const failure = await store.setMany([['refused', ALL_BYTES]], -1).catch((error: unknown) => error);
      expect(failure).toEqual(new Error('Redis did not keep every vector: ReplyError'));
    });
  });

  describe('by Keyv', () => {
    let keyv: Keyv;
    beforeAll(() => {
      keyv = new Keyv(new KeyvRedis(server.url), { namespace: prefix });
    });
    afterAll(() => keyv.disconnect());
    keepsVectors(() => keyvVectorCache(keyv));

    it('keeps a vector for as long as is said', async () => {
      await keyvVectorCache(keyv).setMany([['said', ALL_BYTES]], 90_000);
      const [key] = await redis.keys(`*${prefix}*said`);
      const lifetimeMs = await redis.pttl(key!);
      expect(lifetimeMs).toBeGreaterThan(0);
      expect(lifetimeMs).toBeLessThanOrEqual(90_000);
    });
  });

  describe('by cache-manager', () => {
    let keyv: Keyv;
    beforeAll(() => {
      keyv = new Keyv(new KeyvRedis(server.url), { namespace: `${prefix}manager` });
    });
    afterAll(() => keyv.disconnect());
    keepsVectors(() => cacheManagerVectorCache(createCache({ stores: [keyv] })));
  });
});

const bus = await freePort();
const clusterNode = await ownRedis({
  password: '',
  config: ['cluster-enabled yes', 'cluster-announce-ip 127.0.0.1', `cluster-port ${bus}`],
});

describeWith(clusterNode, 'A store in a Redis Cluster', ({ host, port }) => {
  let cluster: Cluster;

  beforeAll(async () => {
    const admin = new Redis({ host, port });
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    while (!String(await admin.cluster('INFO')).includes('cluster_state:ok')) await new Promise(setImmediate);
    await ended(admin);
    cluster = new Cluster([{ host, port }], { slotsRefreshTimeout: 4_000 });
  }, 20_000);
  afterAll(() => ended(cluster));

  it('could not be read by one command: the keys are in several slots', async () => {
    await expect(cluster.mgetBuffer('a', 'b')).rejects.toThrow('CROSSSLOT');
  });

  keepsVectors(() => redisVectorCache(cluster));

  it('keeps a vector for as long as is said', async () => {
    await redisVectorCache(cluster).setMany([['said', ALL_BYTES]], 90_000);
    expect(await cluster.pttl('said')).toBeGreaterThan(0);
  });
});

describe('A store of Keyv in memory', () => {
  keepsVectors(() => keyvVectorCache(new Keyv()));

  it('loses no byte to a serialiser that knows only JSON', async () => {
    const keyv = new Keyv({ serialize: JSON.stringify, deserialize: JSON.parse });
    await keyvVectorCache(keyv).setMany([['a', ALL_BYTES]]);
    expect(await keyvVectorCache(keyv).getMany(['a'])).toEqual([Buffer.from(ALL_BYTES)]);
  });

  it('has a value of somebody else for none', async () => {
    const keyv = new Keyv();
    const cache = new EmbeddingCache({ store: keyvVectorCache(keyv) });
    await keyv.set('embeddings:a', [1, 2, 3]);
    await keyv.set('embeddings:b', 'no base64!');
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
    expect(cache.stats()).toMatchObject({ storeFailures: 0 });
  });

  it('fails when Keyv, which throws nothing by default, has kept nothing', async () => {
    const broken = new Map<string, string>();
    broken.set = () => {
      throw new Error('full');
    };
    await expect(keyvVectorCache(new Keyv({ store: broken })).setMany([['a', ALL_BYTES]])).rejects.toThrow(
      'Keyv kept none of the vectors',
    );
  });
});

describe('A store of cache-manager in memory', () => {
  keepsVectors(() => cacheManagerVectorCache(createCache()));

  it('hands its time to live to cache-manager', async () => {
    const cache = createCache({ ttl: 5 });
    await cacheManagerVectorCache(cache).setMany([['a', ALL_BYTES]], 1e9);
    expect(await cache.ttl('a')).toBeGreaterThan(Date.now() + 1e8);
  });
});

describe('Options of a store in Redis', () => {
  it('are refused when they are wrong, all at once', () => {
    const make = () => redisVectorCache({} as Redis, { prefix: 1, ttlMs: 0 } as unknown as { prefix: string });
    expect(make).toThrow(PoolOptionsError);
    expect(make).toThrow(/prefix: expected a text[^]*ttlMs: expected a number of milliseconds above 0/);
  });
});
