import { Redis } from 'ioredis';
import { redisPool } from 'nestjs-pools/redis';
import { genericPoolOf, ours } from './contenders.mjs';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const KEY = 'nestjs-pools:bench';

/** @type {import('../upstreams.mjs').Kind} */
export const kind = {
  what: 'GET of a key',
  contenders(connections) {
    const call = (client) => client.get(KEY);
    return [
      () => ours('ours', redisPool({ url, maxConnections: connections }), (pool) => pool.use(call)),
      () => genericPoolOf({ create: connected, destroy: (client) => client.quit(), call }, connections),
    ];
  },
};

async function connected() {
  const client = new Redis(url, { lazyConnect: true });
  await client.connect();
  return client;
}
