import { inspect } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { redisPool, type RedisClusterPoolOptions, type RedisPool } from 'nestjs-pools/redis';
import { describeWith, ownRedis, type PrivateServer } from '../support/services.js';
import { freePort } from './own-sentinel.js';
import { failure, parseClient, until } from './rig.js';

const PASSWORD = 'cluster-password';

async function node(): Promise<PrivateServer | undefined> {
  const bus = await freePort();
  return ownRedis({
    password: PASSWORD,
    config: ['cluster-enabled yes', `cluster-port ${bus}`, 'cluster-node-timeout 1000', `masterauth ${PASSWORD}`],
  });
}

const first = await node();
const nodes = first && [first, (await node())!, (await node())!];

/** Three masters that share the slots. */
async function join(servers: readonly PrivateServer[], admins: readonly Redis[]): Promise<void> {
  const share = 16_384 / servers.length;
  for (const [index, admin] of admins.entries()) {
    const from = Math.ceil(index * share);
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(Math.ceil((index + 1) * share) - 1));
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    const bus = String(await admin.config('GET', 'cluster-port')).split(',')[1]!;
    await admins[0]!.call('CLUSTER', 'MEET', '127.0.0.1', String(servers[index]!.port), bus);
  }
  for (const admin of admins) {
    const isWhole = async () => /cluster_state:ok[^]*cluster_known_nodes:3/.test(String(await admin.cluster('INFO')));
    await until(isWhole, 'the cluster is whole');
  }
}

describeWith(nodes, 'a pool of Cluster clients', (servers) => {
  const admins: Redis[] = [];
  let pool: RedisPool<Cluster>;

  beforeAll(async () => {
    for (const { port } of servers) admins.push(new Redis({ host: '127.0.0.1', port, password: PASSWORD }));
    await join(servers, admins);
  }, 20_000);
  afterAll(async () => {
    await Promise.all(
      admins.map((admin) => {
        const ended = new Promise((resolve) => admin.once('end', resolve));
        admin.disconnect();
        return ended;
      }),
    );
  });
  afterEach(() => pool?.close({ timeoutMs: 0 }));

  function poolOf(options: Partial<RedisClusterPoolOptions> = {}): RedisPool<Cluster> {
    // Of ioredis' own second there may be little left on a machine that is busy with other tests.
    const patience = { slotsRefreshTimeout: 4_000 };
    const cluster = { nodes: [{ host: '127.0.0.1', port: servers[0]!.port }], options: patience };
    const definition = redisPool({ cluster, password: PASSWORD, minConnections: 0, ...options });
    pool = definition.createPool({ name: 'redis-cluster', factory: definition.factory, ...definition.limits });
    return pool;
  }

  async function clients() {
    const lists = await Promise.all(admins.map(async (admin) => String(await admin.client('LIST'))));
    return lists
      .flatMap((list) => list.trim().split('\n').map(parseClient))
      .filter(({ name }) => name === 'redis-cluster');
  }

  it('lends clients of the whole cluster, each with a socket to every master', async () => {
    poolOf({ maxConnections: 2 });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    expect(leases[0]!.connection).toBeInstanceOf(Cluster);
    expect(await clients()).toHaveLength(6);
    for (const lease of leases) lease.release();
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => pool.use((cluster) => cluster.set(`redis-cluster:${n}`, n))),
    );
    expect(await clients()).toHaveLength(6);
    expect(pool.stats().created).toBe(2);
    await pool.close();
    await until(async () => (await clients()).length === 0, 'all sockets are closed');
  });

  it('undoes at every node what a borrower left there', async () => {
    poolOf({ maxConnections: 1 });
    await pool.use(async (cluster) => {
      for (const key of ['a', 'b', 'c', 'd', 'e']) await cluster.watch(key);
      await cluster.nodes('master')[0]!.call('MULTI');
    });
    await Promise.all(admins.map((admin, index) => admin.set(keyAt(index), 1)));
    await pool.use((cluster) => cluster.ping());
    expect((await clients()).map(({ flags, multi }) => ({ flags, multi }))).toEqual(
      Array.from({ length: 3 }, () => ({ flags: 'N', multi: '-1' })),
    );
    expect(pool.stats()).toMatchObject({ created: 1, idleConnections: 1 });
  });

  it('is ready at once for the next borrower when nothing was left', async () => {
    poolOf({ maxConnections: 1 });
    const lease = await pool.acquire();
    await lease.connection.set('a', 1);
    lease.release();
    expect(pool.stats()).toMatchObject({ idleConnections: 1, checkingConnections: 0 });
  });

  it('waits for commands under way, and closes a client that is blocked or has subscribed', async () => {
    poolOf({ maxConnections: 1 });
    const done: unknown[] = [];
    await pool.use((cluster) => void cluster.incr('n').then((n) => done.push(n)));
    await pool.use((cluster) => cluster.ping());
    expect(done).toEqual([1]);
    expect(pool.stats().created).toBe(1);
    await pool.use((cluster) => void failure(cluster.blpop('none', 0)));
    await pool.use((cluster) => cluster.ping());
    await pool.use((cluster) => cluster.subscribe('news'));
    await pool.use((cluster) => cluster.ping());
    expect(pool.stats()).toMatchObject({ created: 3, destroyed: { reset: 2 } });
    await until(async () => (await clients()).length === 3, 'the others are closed');
  });

  it('executes transactions', async () => {
    poolOf({ maxConnections: 4 });
    await pool.use((cluster) => cluster.del('sum'));
    const add = () =>
      pool.transaction('sum', async (cluster, multi) => void multi.set('sum', Number(await cluster.get('sum')) + 1), {
        retries: Infinity,
      });
    await Promise.all(Array.from({ length: 20 }, add));
    expect(await pool.use((cluster) => cluster.get('sum'))).toBe('20');
  });

  it('ends a transaction whose node is lost, rather than execute it unwatched', async () => {
    poolOf({ maxConnections: 1 });
    const error = await failure(
      pool.transaction('sum', async (cluster, multi) => {
        await cluster.get('sum');
        // Only at the node that watches: a client that has lost all of them would end by itself.
        const slot = Number(await admins[0]!.cluster('KEYSLOT', 'sum'));
        const admin = admins[Math.floor(slot / (16_384 / 3))]!;
        const list = String(await admin.client('LIST'))
          .trim()
          .split('\n')
          .map(parseClient);
        const [watching] = list.filter(({ name }) => name === 'redis-cluster');
        await admin.client('KILL', 'ID', watching!.id);
        multi.set('sum', 'unwatched');
      }),
    );
    expect(error).toBeInstanceOf(Error);
    expect(await pool.use((cluster) => cluster.get('sum'))).not.toBe('unwatched');
  });

  it('subscribes', async () => {
    poolOf({ maxConnections: 1 });
    const subscription = await pool.subscribe('news');
    await admins[1]!.publish('news', 'hello');
    expect((await subscription.next()).value).toEqual({ channel: 'news', message: 'hello', pattern: undefined });
    await subscription.close();
    await until(() => pool.stats().totalConnections === 0, 'the client is closed');
  });

  it('goes on when one node drops its connections', async () => {
    poolOf({ maxConnections: 1, minConnections: 1 });
    await pool.ready();
    const [victim] = await clients();
    for (const admin of admins) await admin.client('KILL', 'ID', victim!.id).catch(() => 0);
    for (const key of ['a', 'b', 'c']) expect(await pool.use((cluster) => cluster.set(key, 1))).toBe('OK');
  });

  it('checks the nodes in the background', async () => {
    poolOf({ minConnections: 1, healthCheckIntervalMs: 10 });
    await pool.ready();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(pool.stats()).toMatchObject({ created: 1, destroyed: { unhealthy: 0 } });
  });

  it('shows no password, not even of one that is wrong', async () => {
    poolOf({});
    await pool.use((cluster) => {
      const values = [cluster, cluster.options, cluster.nodes(), cluster.nodes()[0]!.options];
      for (const value of values) {
        expect(inspect(value, { depth: 8, showHidden: true })).not.toContain(PASSWORD);
        expect(JSON.stringify(value)).not.toContain(PASSWORD);
      }
    });
    await pool.close();
    const error = await failure(poolOf({ password: 'planted-wrong' }).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: false, cause: { code: 'WRONGPASS' } });
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('planted-wrong');
  });

  it('gives up a cluster that does not answer', async () => {
    const cluster = { nodes: [{ host: '127.0.0.1', port: await freePort() }] };
    expect(await failure(poolOf({ cluster }).acquire())).toMatchObject({ cause: { code: 'CLUSTER_UNREACHABLE' } });
  });
});

/** A key in the slots of each third. */
function keyAt(third: number): string {
  return ['b', 'c', 'a'][third]!;
}
