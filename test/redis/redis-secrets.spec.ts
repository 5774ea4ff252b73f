import { inspect } from 'node:util';
import type { Redis } from 'ioredis';
import { describeWith, ownRedis } from '../support/services.js';
import { makeCertificate } from '../support/certificate.js';
import { failure, RedisRig, until } from './rig.js';

const SECRET = 'planted-password-4711';
const OTHER = 'planted-password-4712';
const KEY = 'PRIVATE KEY';

const { ca, key, cert } = makeCertificate();
const server = await ownRedis({ password: SECRET, tls: { ca, key, cert } });

/** Whatever a logger would make of it. */
function texts(value: unknown): string {
  const inspected = [
    inspect(value, { depth: Infinity }),
    inspect(value, { depth: 4, showHidden: true, getters: true }),
  ];
  const error =
    value instanceof Error ? [value.message, value.stack, String(value.cause), texts(value.cause ?? '')] : [];
  return [...inspected, ...error, stringify(value)].join('\n');
}

function stringify(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return ''; // circular, so that no logger gets it out this way either
  }
}

describeWith(server, 'the secrets of a Redis pool', (server) => {
  const rig = new RedisRig(server, 'redis-secrets');
  const tls = { ca, key, cert };
  const FROM_URL = { tls };
  const login = { tls, password: SECRET };
  const at = { url: undefined, host: server.host, port: server.port };

  afterEach(() => rig.close());

  const expectNone = (...values: unknown[]) => {
    for (const value of values) {
      const text = texts(value);
      for (const secret of [SECRET, OTHER, KEY]) expect(text).not.toContain(secret);
    }
  };

  it.each<[string, object]>([
    ['from the url', FROM_URL],
    ['apart', { ...at, ...login }],
    ['by a function', { ...at, tls, password: () => SECRET }],
    ['under RESP2', { ...at, ...login, protocol: 2 }],
  ])(
    'are not in a pool, a lease, a connection or what hangs on it: %s',
    async (_name, options) => {
      const pool = rig.pool(options);
      const lease = await pool.acquire();
      const { connection } = lease;
      const { options: own, condition, commandQueue } = connection;
      expectNone(connection, own, condition, commandQueue, pool.stats());
      // The lease knows the pool, and both all that the pool has: once is enough to wait for.
      if (options === FROM_URL) expectNone(lease);
      expect(inspect(connection)).toBe(`Redis rediss://127.0.0.1:${server.port}/0 (ready)`);
      expect(JSON.parse(JSON.stringify(connection))).toEqual({ url: `rediss://127.0.0.1:${server.port}/0` });
      lease.release();
    },
    30_000,
  );

  it('are still there for a duplicate', async () => {
    const pool = rig.pool({ ...at, ...login });
    const twin = await pool.use(async (redis) => redis.duplicate());
    await twin.connect();
    expect(await twin.ping()).toBe('PONG');
    const ended = new Promise((resolve) => twin.once('end', resolve));
    twin.disconnect();
    await ended;
  });

  it.each<[string, object]>([
    ['a wrong password', { password: OTHER }],
    ['a wrong password under RESP2', { password: OTHER, protocol: 2 }],
    ['a wrong user', { username: 'nobody', password: SECRET }],
    ['a wrong authority', { password: SECRET, tls: {} }],
    ['a database that is not there', { password: SECRET, db: 9_999 }],
    ['a password function that gives something else', { password: () => ({ SECRET }) as never }],
  ])('are not in what fails for %s, nor in any event', async (_name, options) => {
    const pool = rig.pool({ ...at, tls, ...options });
    const told: unknown[] = [];
    pool.on('createError', (event) => told.push(event));
    pool.on('down', (event) => told.push(event));
    const errors = [await failure(pool.acquire()), await failure(pool.acquire()), await failure(pool.acquire())];
    expect(told.length).toBeGreaterThan(1);
    expectNone(...errors, ...told, pool.stats());
  });

  it("are not in a borrower's own failed login, nor in what the pool makes of it", async () => {
    const pool = rig.pool({ ...at, ...login });
    const told: unknown[] = [];
    pool.on('hookError', (event) => told.push(event));
    pool.on('destroy', (event) => told.push(event));
    const work = async (redis: Redis) => [
      await failure(redis.auth('nobody', OTHER)),
      await failure(redis.call('AUTH', 'nobody', OTHER)),
      await failure(redis.acl('SETUSER', 'x', `>${OTHER}`, 'no-such-rule')),
      await failure(redis.hello(3, 'AUTH', 'nobody', OTHER)),
    ];
    const errors = await pool.use(work);
    await until(() => told.length === 2, 'the connection is closed');
    expectNone(...errors, ...told);
  });

  it('are not in what a borrower hears when its connection is lost', async () => {
    const pool = rig.pool({ ...at, ...login });
    const lease = await pool.acquire();
    const blocked = failure(lease.connection.blpop('redis-secrets:none', 0));
    lease.connection.stream.destroy(new Error('cut'));
    await until(() => lease.signal.aborted, 'it is told');
    expectNone(await blocked, lease.signal.reason);
    lease.release();
  });

  it('are not printed', async () => {
    const printed: unknown[] = [];
    const methods = ['log', 'warn', 'error', 'info', 'debug'] as const;
    const originals = methods.map((method) => console[method]);
    for (const method of methods) console[method] = (...args: unknown[]) => void printed.push(args);
    try {
      const pool = rig.pool({ ...at, tls, password: OTHER });
      await failure(pool.acquire());
      const good = rig.pool({ ...at, ...login });
      await good.use((redis) => redis.stream.destroy(new Error('cut')));
      await until(() => good.stats().totalConnections === 0, 'it is gone');
    } finally {
      methods.forEach((method, index) => (console[method] = originals[index]!));
    }
    expect(printed).toEqual([]);
  });
});
