import type { Redis } from 'ioredis';
import type { RedisPool } from 'nestjs-pools/redis';
import { describeWith, findRedis, ownRedis } from '../support/services.js';
import { failure, RedisRig, seenByServer, until } from './rig.js';

const server = await findRedis();

describeWith(server, 'a Redis connection that comes back', (server) => {
  const rig = new RedisRig(server, 'redis-return');
  let pool: RedisPool;

  beforeEach(() => (pool = rig.pool({ maxConnections: 1 })));
  afterEach(() => rig.close());

  /** What the server says of the connection after the next borrower has got it, and whether it is the same one. */
  async function after(work: (redis: Redis) => unknown): Promise<{ is: 'same' | 'other'; flags: string; db: string }> {
    const before = await pool.use(async (redis) => {
      const { id } = await seenByServer(redis);
      await work(redis);
      return id;
    });
    const { id, flags, db, sub, psub, ssub, multi } = await pool.use(seenByServer);
    expect({ sub, psub, ssub, multi }).toEqual({ sub: '0', psub: '0', ssub: '0', multi: '-1' });
    expect(pool.stats()).toMatchObject({ totalConnections: 1, idleConnections: 1 });
    return { is: id === before ? 'same' : 'other', flags, db };
  }

  const CLEAN = { is: 'same', flags: 'N', db: '0' };

  it('is the same one for the next borrower', async () => {
    expect(await after((redis) => redis.set('redis-return:a', 1))).toEqual(CLEAN);
  });

  it('is ready at once when nothing was left on it, also after a transaction', async () => {
    const lease = await pool.acquire();
    await lease.connection.watch('redis-return:a');
    await lease.connection.multi().incr('redis-return:a').exec();
    lease.release();
    expect(pool.stats()).toMatchObject({ idleConnections: 1, checkingConnections: 0 });
  });

  describe('in the middle of a transaction', () => {
    it.each<[string, (redis: Redis) => unknown]>([
      ['multi', (redis) => redis.multi({ pipeline: false })],
      ['a raw MULTI', (redis) => redis.call('MULTI')],
      ['a raw multi in an odd case', (redis) => redis.call('mUlTi')],
      ['MULTI in a pipeline', (redis) => redis.pipeline().call('multi').set('redis-return:m', 1).exec()],
      ['MULTI that nobody waited for', (redis) => void redis.call('MULTI').catch(() => undefined)],
    ])('has it discarded: %s', async (_name, work) => {
      expect(await after(work)).toEqual(CLEAN);
      expect(await rig.other.get('redis-return:m')).toBeNull();
    });

    it('does not keep one that was executed, or failed to be', async () => {
      const work = async (redis: Redis) => {
        await redis.multi({ pipeline: false });
        await failure(redis.call('NOSUCH'));
        await failure(redis.exec() as Promise<unknown>);
      };
      expect(await after(work)).toEqual(CLEAN);
    });
  });

  describe('with a watched key', () => {
    it.each<[string, (redis: Redis) => unknown]>([
      ['watch', (redis) => redis.watch('redis-return:w')],
      ['a raw WATCH', (redis) => redis.call('WATCH', 'redis-return:w')],
      ['WATCH in a pipeline', (redis) => redis.pipeline().watch('redis-return:w').exec()],
      ['WATCH that nobody waited for', (redis) => void redis.watch('redis-return:w')],
      [
        'WATCH behind another command that was waited for',
        async (redis) => {
          const first = redis.get('redis-return:w');
          void redis.watch('redis-return:w');
          await first;
        },
      ],
      [
        'WATCH and an EXEC without MULTI',
        async (redis) => {
          await redis.watch('redis-return:w');
          await failure(redis.call('EXEC'));
        },
      ],
    ])('watches nothing any more: %s', async (_name, work) => {
      await rig.other.set('redis-return:w', 0);
      expect(await after(work)).toEqual(CLEAN);
      await rig.other.incr('redis-return:w');
      // A key that is still watched would show as `d`, and fail the next transaction.
      expect(await pool.use(seenByServer)).toMatchObject({ flags: 'N' });
      const replies = await pool.use((redis) => redis.multi().ping().exec());
      expect(replies).toEqual([[null, 'PONG']]);
    });

    it('is clean after UNWATCH, DISCARD or EXEC without a round trip', async () => {
      for (const end of ['UNWATCH', 'DISCARD', 'EXEC']) {
        const lease = await pool.acquire();
        await lease.connection.watch('redis-return:w');
        if (end !== 'UNWATCH') await lease.connection.call('MULTI');
        await lease.connection.call(end);
        lease.release();
        expect(pool.stats().idleConnections).toBe(1);
      }
    });
  });

  describe('with another database selected', () => {
    it.each<[string, (redis: Redis) => unknown]>([
      ['select', (redis) => redis.select(2)],
      ['a raw SELECT', (redis) => redis.call('SELECT', '3')],
      ['SELECT in a pipeline', (redis) => redis.pipeline().select(4).exec()],
      ['SELECT in a transaction', (redis) => redis.multi().select(5).exec()],
      [
        'SELECT in a transaction that was left open',
        async (redis) => {
          await redis.multi({ pipeline: false });
          await redis.select(1);
        },
      ],
      ['SELECT that nobody waited for', (redis) => void redis.select(2)],
    ])('has its own again: %s', async (_name, work) => {
      expect(await after(work)).toEqual(CLEAN);
    });

    it('has the one that the pool was given, or that onConnect chose', async () => {
      pool = rig.pool({ url: undefined, host: server.host, port: server.port, password: server.password, db: 3 });
      expect(await after((redis) => redis.select(1))).toMatchObject({ is: 'same', db: '3' });
      pool = rig.pool({ onConnect: (redis) => redis.select(4) });
      expect(await after((redis) => redis.select(1))).toMatchObject({ is: 'same', db: '4' });
    });
  });

  describe('with subscriptions', () => {
    it.each<[string, (redis: Redis) => unknown]>([
      ['channels', (redis) => redis.subscribe('redis-return:1', 'redis-return:2')],
      ['patterns', (redis) => redis.psubscribe('redis-return:*')],
      ['shard channels', (redis) => redis.ssubscribe('redis-return:1')],
      ['a raw subscribe', (redis) => redis.call('subscribe', 'redis-return:1')],
      ['a channel of bytes', (redis) => redis.subscribe(Buffer.from([0xff, 0xfe]))],
      ['SUBSCRIBE that nobody waited for', (redis) => void redis.subscribe('redis-return:1')],
      [
        'all kinds at once',
        async (redis) => {
          await redis.subscribe('redis-return:1');
          await redis.psubscribe('redis-return:*');
          await redis.ssubscribe('redis-return:1');
        },
      ],
      [
        'one left of two',
        async (redis) => {
          await redis.subscribe('redis-return:1', 'redis-return:2');
          await redis.unsubscribe('redis-return:1');
        },
      ],
    ])('has none any more: %s', async (_name, work) => {
      expect(await after(work)).toEqual(CLEAN);
      pool = rig.pool({ maxConnections: 1, protocol: 2 });
      expect(await after(work)).toEqual(CLEAN);
    });

    it('has none any more that was made by a name in capitals, which ioredis takes under RESP3 only', async () => {
      pool = rig.pool({ maxConnections: 1, protocol: 3 });
      expect(await after((redis) => redis.call('SUBSCRIBE', 'redis-return:1'))).toEqual(CLEAN);
    });

    it('hears nothing of what the last borrower subscribed to', async () => {
      const heard: string[] = [];
      await pool.use(async (redis) => {
        await redis.subscribe('redis-return:1');
        redis.on('message', (_channel, message) => heard.push(message));
      });
      await pool.use(async (redis) => {
        expect(redis.listenerCount('message')).toBe(0);
        expect(await rig.other.publish('redis-return:1', 'late')).toBe(0);
        await redis.ping();
      });
      expect(heard).toEqual([]);
    });

    it('is clean after it has unsubscribed, without a round trip', async () => {
      const lease = await pool.acquire();
      await lease.connection.subscribe('redis-return:1');
      await lease.connection.unsubscribe('redis-return:1');
      lease.release();
      expect(pool.stats().idleConnections).toBe(1);
    });
  });

  describe('with settings of the client changed', () => {
    it('has its name again', async () => {
      expect(await after((redis) => redis.client('SETNAME', 'mine'))).toEqual(CLEAN);
      expect(await rig.clients()).toHaveLength(1);
    });

    it.each([
      ['TRACKING', 'on'],
      ['NO-EVICT', 'on'],
    ])('has CLIENT %s off again', async (word, state) => {
      expect(await after((redis) => redis.call('CLIENT', word, state))).toEqual(CLEAN);
    });
  });

  describe('in a state that cannot be undone', () => {
    it.each<[string, (redis: Redis) => unknown]>([
      ['CLIENT REPLY OFF', (redis) => void redis.call('CLIENT', 'REPLY', 'OFF').catch(() => undefined)],
      ['CLIENT CACHING', (redis) => failure(redis.call('CLIENT', 'CACHING', 'YES'))],
      ['a CLIENT command that nobody knows', (redis) => failure(redis.call('CLIENT', 'FUTURE', 'ON'))],
      ['MONITOR', (redis) => redis.call('MONITOR')],
      ['RESET', (redis) => redis.call('RESET')],
      ['HELLO 2', (redis) => redis.hello(2)],
      ['AUTH', (redis) => failure(redis.auth('somebody', 'else'))],
      ['SUBSCRIBE inside of MULTI', (redis) => void redis.pipeline().call('multi').subscribe('x').exec()],
      ['a blocking command under way', (redis) => void failure(redis.blpop('redis-return:none', 0))],
      ['a raw blocking command', (redis) => void failure(redis.call('BRPOP', 'redis-return:none', '0'))],
      ['a blocked XREAD', (redis) => void failure(redis.xread('BLOCK', 0, 'STREAMS', 'redis-return:s', '$'))],
      ['a blocked pipeline', (redis) => void redis.pipeline().blpop('redis-return:none', 0).exec()],
      ['WAIT', (redis) => void failure(redis.wait(3, 0))],
      [
        'a borrower that goes on with it',
        (redis) => {
          const goOn = async () => {
            await redis.watch('redis-return:w');
            await redis.set('redis-return:a', 1);
            await redis.call('MULTI');
          };
          goOn().catch(() => undefined);
        },
      ],
      ['quit()', (redis) => redis.quit()],
      ['QUIT that nobody waited for', (redis) => void redis.call('QUIT').catch(() => undefined)],
      ['disconnect()', (redis) => redis.disconnect()],
      ['disconnect(true)', (redis) => redis.disconnect(true)],
      ['a socket that was destroyed', (redis) => void redis.stream.destroy()],
      [
        'a client that connects again by itself',
        async (redis) => {
          redis.disconnect();
          await new Promise((resolve) => redis.once('end', resolve));
          await redis.connect();
        },
      ],
    ])('is closed, and another one takes its place: %s', async (_name, work) => {
      expect(await after(work)).toEqual({ is: 'other', flags: 'N', db: '0' });
      await until(async () => (await rig.clients()).length === 1, 'the server has let the old one go');
    });

    it('does not take an element that is meant for the next one', async () => {
      await pool.use((redis) => void failure(redis.blpop('redis-return:list', 0)));
      await until(async () => !(await rig.clients()).some(({ flags }) => flags.includes('b')), 'nobody is blocked');
      await rig.other.rpush('redis-return:list', 'mine');
      expect(await pool.use((redis) => redis.lpop('redis-return:list'))).toBe('mine');
    });

    it('says why', async () => {
      const errors: unknown[] = [];
      pool.on('hookError', ({ hook, error }) => errors.push([hook, (error as Error).message]));
      await after((redis) => redis.hello(2));
      expect(errors).toEqual([['reset', 'the connection cannot be lent again: HELLO cannot be undone']]);
      expect(pool.stats().destroyed.reset).toBe(1);
    });
  });

  it('keeps the process alive only while it is in use', async () => {
    const isAwake = (redis: Redis) => (redis.stream as unknown as { _handle: { hasRef(): boolean } })._handle.hasRef();
    const lease = await pool.acquire();
    const { connection } = lease;
    expect(isAwake(connection)).toBe(false);
    await connection.ping();
    expect(isAwake(connection)).toBe(true);
    lease.release();
    expect(isAwake(connection)).toBe(false);
    await pool.use((redis) => redis.select(3));
    await until(() => pool.stats().idleConnections === 1, 'it is back');
    expect(isAwake(connection)).toBe(false);
  });

  it('waits for commands that are still under way', async () => {
    const done: unknown[] = [];
    const work = (redis: Redis) => {
      for (let index = 0; index < 100; index += 1) void redis.incr('redis-return:n').then((count) => done.push(count));
    };
    expect(await after(work)).toEqual(CLEAN);
    expect(done).toHaveLength(100);
    await rig.other.del('redis-return:n');
  });

  it('waits for commands that ioredis has not sent yet', async () => {
    pool = rig.pool({ maxConnections: 1, enableAutoPipelining: true });
    const set: Promise<unknown>[] = [];
    expect(await after((redis) => void set.push(redis.set('redis-return:auto', 'sent')))).toEqual(CLEAN);
    expect(await Promise.all(set)).toEqual(['OK']);
  });

  it('has the listeners that it came with, and no others', async () => {
    await pool.use((redis) => {
      redis.removeAllListeners();
      redis.on('message', () => undefined).on('ready', () => undefined);
    });
    await pool.use((redis) => {
      expect(redis.eventNames()).toEqual(['error', 'newListener', 'removeListener']);
      redis.once('message', () => undefined).emit('message', 'channel', 'text');
    });
    await pool.use((redis) => expect(redis.listenerCount('error')).toBe(1));
  });
});

const slow = await ownRedis({ config: ['enable-debug-command yes'] });

describeWith(slow, 'a Redis connection that comes back from a server that is slow', (server) => {
  const rig = new RedisRig(server, 'redis-slow');

  afterEach(() => rig.close());

  it('is given up when the server does not answer in time', async () => {
    const pool = rig.pool({ maxConnections: 1, resetTimeoutMs: 50 });
    const sleeping = (redis: Redis) => void failure(redis.call('DEBUG', 'SLEEP', '0.2'));
    await pool.use(sleeping);
    await until(() => pool.stats().destroyed.reset === 1, 'it is closed');
    expect(await pool.use((redis) => redis.ping())).toBe('PONG');
  });

  it('has nothing of a command that its borrower gave up', async () => {
    const pool = rig.pool({ maxConnections: 1, commandTimeout: 30 });
    const work = async (redis: Redis) => {
      void failure(redis.call('DEBUG', 'SLEEP', '0.1'));
      await failure(redis.watch('redis-return:w'));
    };
    await pool.use(work);
    await until(() => pool.stats().destroyed.reset === 1, 'it is closed');
    await until(async () => (await rig.other.ping()) === 'PONG', 'the server is awake');
  });
});
