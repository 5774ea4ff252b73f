import type { Redis } from 'ioredis';
import { describeWith, findRedis, ownRedis } from '../support/services.js';
import { failure, RedisRig, seenByServer, until } from './rig.js';

const server = await findRedis();

/** What a borrower may find: nothing of anybody else's. */
async function expectUntouched(redis: Redis): Promise<void> {
  expect(await seenByServer(redis)).toMatchObject({ db: '0', flags: 'N', sub: '0', psub: '0', ssub: '0', multi: '-1' });
  expect(redis.listenerCount('message')).toBe(0);
}

/** What borrowers do and leave behind, some of them by failing in the middle of it. */
const DEEDS: ((redis: Redis, id: string) => unknown)[] = [
  (redis, id) => redis.set(id, 1, 'EX', 60),
  (redis, id) => redis.watch(id),
  (redis) => redis.select(1 + Math.floor(Math.random() * 5)),
  (redis, id) => redis.subscribe(id),
  (redis, id) => redis.psubscribe(`${id}*`).then(() => redis.on('message', () => undefined)),
  (redis) => redis.multi({ pipeline: false }),
  (redis, id) => redis.multi().set(id, 2, 'EX', 60).select(3).exec(),
  (redis, id) => redis.blpop(`${id}:none`, 0.005),
  (redis, id) => void redis.blpop(`${id}:none`, 0).catch(() => undefined),
  (redis, id) => void redis.watch(id).catch(() => undefined),
  (redis) => void redis.call('SELECT', 4).catch(() => undefined),
  (redis) => redis.quit(),
  (redis) => redis.disconnect(),
  (redis) => redis.client('SETNAME', 'somebody-else'),
  async (redis, id) => {
    await redis.watch(id);
    await redis.multi({ pipeline: false });
    throw new Error('in the middle of it');
  },
  (redis) => redis.call('NOSUCH'),
];

describeWith(server, 'a Redis pool under many borrowers', (server) => {
  const rig = new RedisRig(server, 'redis-many');

  afterEach(() => rig.close());

  it('hands no state from one to another, while some fail and some are killed', async () => {
    const pool = rig.pool({ maxConnections: 5, acquireTimeoutMs: 60_000, createRetry: { initialMs: 1 } });
    const crossed: unknown[] = [];
    let served = 0;
    const user = async (id: string, first: number) => {
      for (let round = 0; round < 6; round += 1) {
        const deed = DEEDS[(first + round * 3) % DEEDS.length]!;
        await pool
          .use(async (redis) => {
            try {
              await expectUntouched(redis);
            } catch (error) {
              // Killed in that moment, it has nothing of anybody's.
              if ((error as Error).message !== 'Connection is closed.') crossed.push(error);
            }
            served += 1;
            await deed(redis, id);
          })
          .catch(() => undefined);
      }
    };
    let isOver = false;
    let most = 0;
    const killer = (async () => {
      while (!isOver) {
        const clients = await rig.clients();
        most = Math.max(most, clients.length);
        const victim = clients[Math.floor(Math.random() * clients.length)];
        if (victim !== undefined) await rig.other.client('KILL', 'ID', victim.id).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await Promise.all(Array.from({ length: 200 }, (_, index) => user(`redis-many:${index}`, index)));
    isOver = true;
    await killer;
    expect(crossed).toEqual([]);
    expect(served).toBeGreaterThan(1_000);
    // One more for a moment: that the server has not yet seen close what we have closed.
    expect(most).toBeLessThanOrEqual(7);
    await until(() => pool.stats().activeConnections + pool.stats().checkingConnections === 0, 'all are back');
    expect(await Promise.all(Array.from({ length: 5 }, () => pool.use((redis) => redis.ping())))).toHaveLength(5);
    expect(pool.stats()).toMatchObject({ waiting: 0, overdue: 0 });
  }, 60_000);

  it.each<[string, string, (redis: Redis) => unknown]>([
    ['nothing', 'N', () => undefined],
    ['a transaction', 'x', (redis) => redis.multi({ pipeline: false })],
    ['a subscription', 'P', (redis) => redis.subscribe('redis-many:channel')],
    ['a blocked command', 'b', (redis) => void redis.blpop('redis-many:none', 0).catch(() => undefined)],
  ])('replaces a lent connection that is killed with %s on it', async (_name, flags, work) => {
    const pool = rig.pool({ maxConnections: 1 });
    const lease = await pool.acquire();
    await work(lease.connection);
    await until(async () => (await rig.clients())[0]?.flags === flags, 'the server sees it');
    await rig.kill();
    await until(() => lease.signal.aborted, 'the borrower is told');
    lease.release();
    await pool.use(expectUntouched);
    expect(pool.stats()).toMatchObject({ totalConnections: 1, destroyed: { broken: 1 } });
  });
});

const own = await ownRedis();

describeWith(own, 'a Redis pool whose server restarts', (server) => {
  const rig = new RedisRig(server, 'redis-restart');

  afterEach(() => rig.close());

  it('serves everybody again afterwards, with as many connections as before', async () => {
    const pool = rig.pool({ maxConnections: 5, createRetry: { initialMs: 5, maxMs: 20 }, onCreateError: 'wait' });
    let isOver = false;
    let served = 0;
    const users = Array.from({ length: 50 }, async () => {
      while (!isOver)
        await pool
          .use((redis) => redis.incr('n'))
          .then(
            () => (served += 1),
            () => undefined,
          );
    });
    for (let restarts = 0; restarts < 2; restarts += 1) {
      const before = served;
      await until(() => served > before + 100, 'they are served');
      await server.kill();
      await server.start();
    }
    const before = served;
    await until(() => served > before + 100, 'they are served again');
    isOver = true;
    await Promise.all(users);
    expect(await rig.clients()).toHaveLength(pool.stats().totalConnections);
    expect(pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0, overdue: 0 });
  }, 60_000);

  it('fails fast while it is away, and says so', async () => {
    const pool = rig.pool({ createRetry: { initialMs: 5, maxMs: 20 }, downAfter: 1 });
    await pool.use((redis) => redis.ping());
    await server.stop();
    try {
      await until(() => pool.stats().totalConnections === 0, 'the idle one is gone');
      expect(await failure(pool.acquire())).toMatchObject({
        code: 'POOL_CREATE_FAILED',
        cause: { code: 'ECONNREFUSED' },
      });
      expect(pool.stats().down).toBe(true);
    } finally {
      await server.start();
    }
    const ping = () =>
      pool
        .use((redis) => redis.ping())
        .then(
          () => true,
          () => false,
        );
    await until(ping, 'it is back');
    expect(pool.stats().down).toBe(false);
  }, 60_000);
});
