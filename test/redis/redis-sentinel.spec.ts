import { describeWith, ownRedis } from '../support/services.js';
import { freePort, OwnSentinel } from './own-sentinel.js';
import { failure, RedisRig, until } from './rig.js';

const master = await ownRedis({ config: ['masterauth redis-password', 'repl-diskless-sync-delay 0'] });
const replica =
  master && (await ownRedis({ config: [`replicaof 127.0.0.1 ${master.port}`, 'masterauth redis-password'] }));

describeWith(replica, 'a pool of connections to the Redis server that Sentinels name', (replica) => {
  const rig = new RedisRig(master!, 'redis-sentinel');
  let sentinel: OwnSentinel;

  beforeAll(async () => {
    sentinel = await OwnSentinel.start(master!);
    await sentinel.knowsReplica();
  }, 15_000);
  afterAll(() => sentinel.stop());
  afterEach(() => rig.close());

  const options = () => ({
    url: undefined,
    sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
    name: 'main',
    password: master!.password,
    createRetry: { initialMs: 10, maxMs: 100 },
  });
  const portOf = (info: string) => Number(/tcp_port:(\d+)/.exec(info)?.[1]);
  const here = (pool: ReturnType<typeof rig.pool>) => pool.use(async (redis) => portOf(await redis.info('server')));

  it('connects to the master, or to a replica', async () => {
    expect(await here(rig.pool(options()))).toBe(master!.port);
    expect(await here(rig.pool({ ...options(), role: 'slave' }))).toBe(replica.port);
  });

  it('asks the next Sentinel where one does not answer', async () => {
    const dead = { host: '127.0.0.1', port: await freePort() };
    expect(await here(rig.pool({ ...options(), sentinels: [dead, ...options().sentinels] }))).toBe(master!.port);
  });

  it('fails at once where none answers, or none knows the name', async () => {
    const dead = { host: '127.0.0.1', port: await freePort() };
    const error = await failure(rig.pool({ ...options(), sentinels: [dead] }).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code: 'SENTINELS_UNREACHABLE' } });
    const other = await failure(rig.pool({ ...options(), name: 'other' }).acquire());
    expect(other).toMatchObject({ cause: { code: 'SENTINELS_UNREACHABLE' } });
  });

  it('does not take a server for a master that is none', async () => {
    await rig.other.replicaof('127.0.0.1', await freePort());
    try {
      const error = await failure(rig.pool({ ...options(), downAfter: Infinity }).acquire());
      expect(error).toMatchObject({ retryable: true, cause: { code: 'WRONG_ROLE' } });
    } finally {
      await rig.other.replicaof('NO', 'ONE');
    }
  });

  it('follows a failover to the new master', async () => {
    const pool = rig.pool({ ...options(), minConnections: 2 });
    await until(async () => (await here(pool)) === master!.port, 'it is at the old master');
    await master!.kill();
    const isMoved = () =>
      here(pool).then(
        (port) => port === replica.port,
        () => false,
      );
    const end = performance.now() + 15_000;
    while (!(await isMoved()) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await here(pool)).toBe(replica.port);
    expect(await pool.use((redis) => redis.set('redis-sentinel:a', 1))).toBe('OK');
    await until(() => pool.stats().idleConnections === 2, 'the minimum is open again');
  }, 30_000);
});
