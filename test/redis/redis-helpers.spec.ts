import { RedisConflictError, type RedisMessage, type RedisPool } from 'nestjs-pools/redis';
import { describeWith, findRedis } from '../support/services.js';
import { failure, RedisRig, until } from './rig.js';

const server = await findRedis();

describeWith(server, 'a Redis pool', (server) => {
  const rig = new RedisRig(server, 'redis-helpers');
  let pool: RedisPool;

  beforeEach(() => (pool = rig.pool({ maxConnections: 2 })));
  afterEach(async () => {
    await rig.other.del('redis-helpers:a', 'redis-helpers:b', 'redis-helpers:list');
    await rig.close();
  });

  const isBlocked = async () => (await rig.clients()).some(({ flags }) => flags === 'b');

  describe('lets a blocking command', () => {
    it('wait for what comes', async () => {
      const popped = pool.blocking((redis) => redis.blpop('redis-helpers:list', 0), {
        signal: new AbortController().signal,
      });
      await until(isBlocked, 'it waits');
      await rig.other.rpush('redis-helpers:list', 'job');
      expect(await popped).toEqual(['redis-helpers:list', 'job']);
      expect(pool.stats().idleConnections).toBe(1);
    });

    it('be stopped by a signal, and takes nothing afterwards', async () => {
      const controller = new AbortController();
      const popped = failure(pool.blocking((redis) => redis.blpop('redis-helpers:list', 0), controller));
      await until(isBlocked, 'it waits');
      const reason = new Error('enough');
      controller.abort(reason);
      expect(await popped).toBe(reason);
      await until(async () => (await rig.clients()).length === 0, 'the server has let it go');
      await rig.other.rpush('redis-helpers:list', 'job');
      expect(await rig.other.llen('redis-helpers:list')).toBe(1);
      expect(pool.stats()).toMatchObject({ totalConnections: 0, activeConnections: 0 });
    });

    it('not begin when the signal was aborted before', async () => {
      let calls = 0;
      const error = await failure(pool.blocking(() => (calls += 1), { signal: AbortSignal.abort(new Error('early')) }));
      expect(error).toMatchObject({ code: 'POOL_ACQUIRE_ABORTED', cause: { message: 'early' } });
      expect(calls).toBe(0);
    });

    it('fail by itself, and leaves no listener on the signal', async () => {
      const { signal } = new AbortController();
      const error = await failure(pool.blocking((redis) => redis.call('BLPOP') as Promise<unknown>, { signal }));
      expect(error.message).toContain('wrong number of arguments');
      expect(await pool.blocking((redis) => redis.ping())).toBe('PONG');
    });

    it('keep what it got, though it was stopped in the same moment', async () => {
      const controller = new AbortController();
      const popped = await pool.blocking(async (redis) => {
        await redis.rpush('redis-helpers:list', 'job');
        const job = await redis.blpop('redis-helpers:list', 1);
        controller.abort();
        return job;
      }, controller);
      expect(popped).toEqual(['redis-helpers:list', 'job']);
    });
  });

  describe('executes a transaction', () => {
    it('and gives what the work returned, and the answers', async () => {
      const result = await pool.transaction(['redis-helpers:a'], async (redis, multi) => {
        const before = await redis.get('redis-helpers:a');
        multi.set('redis-helpers:a', 5).incr('redis-helpers:a');
        return before;
      });
      expect(result).toEqual({ value: null, replies: ['OK', 6] });
    });

    it('again, when somebody else wrote a key meanwhile', async () => {
      let attempts = 0;
      const { value } = await pool.transaction('redis-helpers:a', async (redis, multi) => {
        const seen = Number(await redis.get('redis-helpers:a'));
        attempts += 1;
        if (attempts < 3) await rig.other.incr('redis-helpers:a');
        multi.set('redis-helpers:a', seen + 10);
        return seen;
      });
      expect({ attempts, value }).toEqual({ attempts: 3, value: 2 });
      expect(await rig.other.get('redis-helpers:a')).toBe('12');
    });

    it('so that no write of many at once is lost', async () => {
      pool = rig.pool({ maxConnections: 8 });
      const add = () =>
        pool.transaction(
          'redis-helpers:a',
          async (redis, multi) => void multi.set('redis-helpers:a', Number(await redis.get('redis-helpers:a')) + 1),
          { retries: Infinity },
        );
      await Promise.all(Array.from({ length: 50 }, add));
      expect(await rig.other.get('redis-helpers:a')).toBe('50');
    });

    it('until it has been tried often enough', async () => {
      const work = () => rig.other.incr('redis-helpers:a');
      const error = await failure(
        pool.transaction('redis-helpers:a', async (_redis, multi) => void (await work(), multi.ping()), { retries: 2 }),
      );
      expect(error).toBeInstanceOf(RedisConflictError);
      expect(error).toMatchObject({ attempts: 3, retryable: true, code: 'REDIS_CONFLICT' });
    });

    it('of nothing without asking the server, and watches nothing afterwards', async () => {
      expect(await pool.transaction('redis-helpers:a', () => 'nothing')).toEqual({ value: 'nothing', replies: [] });
      await rig.other.incr('redis-helpers:a');
      expect((await rig.clients())[0]!.flags).toBe('N');
    });

    it('not at all when the work fails', async () => {
      const error = await failure(
        pool.transaction('redis-helpers:a', (_redis, multi) => {
          multi.set('redis-helpers:a', 1);
          throw new Error('changed my mind');
        }),
      );
      expect(error.message).toBe('changed my mind');
      expect(await rig.other.exists('redis-helpers:a')).toBe(0);
    });

    it('and rejects with the first error among the answers', async () => {
      const error = await failure(
        pool.transaction([], (_redis, multi) => void multi.set('redis-helpers:a', 'text').incr('redis-helpers:a')),
      );
      expect(error.message).toContain('not an integer');
      expect(pool.stats().idleConnections).toBe(1);
    });

    it('by itself, not twice', async () => {
      const { replies } = await pool.transaction('redis-helpers:a', async (_redis, multi) => {
        multi.incr('redis-helpers:a');
        expect((await failure(multi.exec() as Promise<unknown>)).message).toContain('transaction() executes it');
      });
      expect(replies).toEqual([1]);
    });

    it('until its signal is aborted', async () => {
      const controller = new AbortController();
      const error = await failure(
        pool.transaction(
          'redis-helpers:a',
          async (_redis, multi) => {
            multi.incr('redis-helpers:a');
            controller.abort(new Error('enough'));
          },
          { signal: controller.signal },
        ),
      );
      expect(error.message).toBe('enough');
      expect(await rig.other.exists('redis-helpers:a')).toBe(0);
    });

    it('only when it is told properly', async () => {
      const options = { retries: -1 };
      expect(await failure(pool.transaction('a', () => 1, options))).toMatchObject({ code: 'POOL_OPTIONS' });
      expect(await failure(pool.transaction('a', () => 1, { retry: 1 } as never))).toMatchObject({
        code: 'POOL_OPTIONS',
      });
    });
  });

  describe('subscribes', () => {
    const publish = (channel: string, message: string) => rig.other.publish(`redis-helpers:${channel}`, message);

    it('and gives messages in their order, then the connection back', async () => {
      const subscription = await pool.subscribe('redis-helpers:news', { patterns: 'redis-helpers:s*' });
      await publish('news', 'one');
      await publish('sport', 'two');
      await publish('weather', 'nobody listens');
      await publish('news', 'three');
      const messages: RedisMessage[] = [];
      for await (const message of subscription) if (messages.push(message) === 3) break;
      expect(messages).toEqual([
        { channel: 'redis-helpers:news', message: 'one', pattern: undefined },
        { channel: 'redis-helpers:sport', message: 'two', pattern: 'redis-helpers:s*' },
        { channel: 'redis-helpers:news', message: 'three', pattern: undefined },
      ]);
      await until(() => pool.stats().idleConnections === 1, 'the connection is back');
      expect(await rig.clients()).toMatchObject([{ sub: '0', psub: '0', flags: 'N' }]);
    });

    it('and ends for those who wait when it is closed, or the pool is', async () => {
      const subscription = await pool.subscribe(['redis-helpers:news']);
      const waiting = [subscription.next(), subscription.next()];
      await subscription.close();
      expect(await Promise.all(waiting)).toEqual([{ done: true }, { done: true }]);
      const other = await pool.subscribe(['redis-helpers:news']);
      const last = other.next();
      const { timedOut } = (await pool.close()) as unknown as { timedOut: unknown };
      expect(await last).toEqual({ done: true, value: undefined });
      expect(timedOut ?? false).toBeFalsy();
    });

    it('until its signal is aborted', async () => {
      const controller = new AbortController();
      const subscription = await pool.subscribe('redis-helpers:news', { signal: controller.signal });
      await publish('news', 'unread');
      const reason = new Error('enough');
      const reading = failure(subscription.next().then(() => subscription.next()));
      await until(async () => (await rig.clients())[0]?.sub === '1', 'it is subscribed');
      controller.abort(reason);
      expect(await reading).toBe(reason);
      expect(await subscription.next()).toEqual({ done: true, value: undefined });
      await until(() => pool.stats().idleConnections === 1, 'the connection is back');
    });

    it('and tells when the connection is lost', async () => {
      const subscription = await pool.subscribe('redis-helpers:news');
      const reading = failure(subscription.next());
      await rig.kill();
      expect(await reading).toMatchObject({ code: 'POOL_CONNECTION_LOST' });
      await until(() => pool.stats().totalConnections === 0, 'it is closed');
    });

    it('and holds the server back while nobody reads', async () => {
      const subscription = await pool.subscribe('redis-helpers:news');
      const pipeline = rig.other.pipeline();
      for (let index = 0; index < 3_000; index += 1) pipeline.publish('redis-helpers:news', `${index}`);
      await pipeline.exec();
      const read: string[] = [];
      for await (const { message } of subscription) if (read.push(message) === 3_000) break;
      expect(read).toEqual(Array.from({ length: 3_000 }, (_, index) => `${index}`));
      await until(() => pool.stats().idleConnections === 1, 'the connection is back');
    });

    it('or gives the connection back at once when it is closed unread', async () => {
      {
        await using subscription = await pool.subscribe('redis-helpers:news');
        expect(subscription).toBeDefined();
        const pipeline = rig.other.pipeline();
        for (let index = 0; index < 2_000; index += 1) pipeline.publish('redis-helpers:news', 'x'.repeat(100));
        await pipeline.exec();
      }
      await until(() => pool.stats().idleConnections === 1, 'the connection is back');
      expect(await pool.use((redis) => redis.ping())).toBe('PONG');
    });

    it('to nothing never', async () => {
      expect(await failure(pool.subscribe([]))).toMatchObject({ code: 'POOL_OPTIONS' });
      expect(await failure(pool.subscribe('a', { patern: 'x' } as never))).toMatchObject({ code: 'POOL_OPTIONS' });
    });
  });
});
