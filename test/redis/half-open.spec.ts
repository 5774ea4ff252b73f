import { FaultProxy } from '../support/fault-proxy.mjs';
import { describeWith, findRedis } from '../support/services.js';
import { RedisRig } from './rig.js';

describeWith(await findRedis(), 'a Redis connection that the network has forgotten', (server) => {
  const rig = new RedisRig(server, 'redis-half-open');
  afterEach(() => rig.close());

  it('keeps nobody waiting whose transaction was aborted, and is replaced', async () => {
    const proxy = await FaultProxy.start(server);
    try {
      const url = `redis://${proxy.host}:${proxy.port}`;
      const pool = rig.pool({ url, maxConnections: 1, destroyTimeoutMs: 300 });
      await pool.use((redis) => redis.ping());
      proxy.mode = 'half-open';
      proxy.mode = 'ok';
      const signal = AbortSignal.timeout(100);
      const transaction = pool.transaction(['redis-half-open:key'], (redis) => redis.get('redis-half-open:key'), {
        signal,
      });
      expect(await transaction.catch((error: unknown) => error)).toBe(signal.reason);
      expect(await pool.use((redis) => redis.ping())).toBe('PONG');
      expect(pool.stats()).toMatchObject({ created: 2, totalConnections: 1 });
      await rig.close();
    } finally {
      await proxy.stop();
    }
  }, 20_000);
});
