import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { PostgresPool } from 'nestjs-pools/postgres';
import { FaultProxy } from '../support/fault-proxy.mjs';
import { describeWith, findPostgres, ownPostgres } from '../support/services.js';
import { failure, pidOf, Rig, until } from './rig.js';

const shared = await findPostgres();
const own = await ownPostgres({ config: ['max_connections = 12', 'superuser_reserved_connections = 3'] });

describeWith(shared, 'a pool whose sessions die', (server) => {
  const rig = new Rig(server, 'faults');

  it('replaces an idle one at once that the server has terminated, and tells nobody else', async () => {
    const pool = rig.pool({ minConnections: 1 });
    const pid = await pool.use(pidOf);
    await rig.kill(pid);
    await until(() => pool.stats().destroyed.broken === 1, 'it is retired');
    await until(() => pool.stats().idleConnections === 1, 'it is replaced');
    expect(await pool.use(pidOf)).not.toBe(pid);
  });

  it.each([
    ['between two queries', (_client: Client) => {}],
    ['in the middle of one', (client: Client) => void failure(client.query('SELECT pg_sleep(60)'))],
    ['in a transaction', (client: Client) => void client.query('BEGIN').catch(() => {})],
  ])('tells the borrower of one that was terminated %s, and closes it on return', async (_when, begin) => {
    const pool = rig.pool({ maxConnections: 1 });
    const lease = await pool.acquire();
    const client = lease.connection;
    const pid = await pidOf(client);
    begin(client);
    await rig.kill(pid);
    await until(() => lease.signal.aborted, 'the borrower is told');
    expect(lease.signal.reason).toMatchObject({ code: 'POOL_CONNECTION_LOST' });
    expect(await failure(client.query('SELECT 1'))).toBeInstanceOf(Error);
    lease.release();
    expect(await pool.use(pidOf)).not.toBe(pid);
    expect(pool.stats()).toMatchObject({ created: 2, totalConnections: 1, destroyed: { broken: 1 } });
  });

  it('ends the query of a connection that was reset, and goes on', async () => {
    const proxy = await FaultProxy.start(server);
    try {
      const pool = rig.pool({ host: proxy.host, port: proxy.port, maxConnections: 2 });
      const running = failure(pool.query('SELECT pg_sleep(60)'));
      await until(async () => (await rig.sessions()).some(({ state }) => state === 'active'), 'it runs');
      proxy.mode = 'reset';
      proxy.mode = 'ok';
      expect(await running).toMatchObject({ code: 'ECONNRESET' });
      await until(async () => (await rig.sessions()).length === 0, 'the server does not work for nobody');
      await pool.query('SELECT 1');
      await pool.close();
    } finally {
      await proxy.stop();
    }
  });

  it('does not lend a connection that the network has forgotten', async () => {
    const proxy = await FaultProxy.start(server);
    try {
      const pool = rig.pool({
        host: proxy.host,
        port: proxy.port,
        validateAfterIdleMs: 0,
        healthCheckTimeoutMs: 100,
        destroyTimeoutMs: 100,
      });
      const pid = await pool.use(pidOf);
      proxy.mode = 'half-open';
      proxy.mode = 'ok';
      expect(await pool.use(pidOf)).not.toBe(pid);
      expect(pool.stats().destroyed.unhealthy).toBe(1);
      await pool.close({ timeoutMs: 0 });
    } finally {
      await proxy.stop();
    }
  });

  it('tells of an aborted transaction at once, though the network has forgotten its connection', async () => {
    const proxy = await FaultProxy.start(server);
    try {
      const pool = rig.pool({ host: proxy.host, port: proxy.port, maxConnections: 1, resetTimeoutMs: 300 });
      await pool.use(pidOf);
      proxy.mode = 'half-open';
      proxy.mode = 'ok';
      const began = performance.now();
      const signal = AbortSignal.timeout(100);
      const error = await failure(pool.transaction((client) => client.query('SELECT 1'), { signal }));
      expect(error).toBe(signal.reason);
      // Long before what is done behind it is given up: the query that was cancelled is waited for, five seconds.
      expect(performance.now() - began).toBeLessThan(2_000);
      expect(await pool.use(pidOf)).toBeGreaterThan(0);
    } finally {
      await proxy.stop();
    }
  }, 20_000);

  it('serves 200 users on 5 connections, many of whom fail, and none finds what another left', async () => {
    const pool = rig.pool({ maxConnections: 5, maxWaiting: Infinity, acquireTimeoutMs: 60_000 });
    const pids = new Set<number>();
    let most = 0;
    const user = async (number: number): Promise<void> => {
      for (let round = 0; round < 8; round += 1) {
        await pool
          .use(
            async (client) => {
              expect(client.getTransactionStatus()).toBe('I');
              expect(client.eventNames()).toEqual([]);
              const { rows } = await client.query<{
                pid: number;
                xid: string | null;
                timeout: string;
                mark: string | null;
              }>(
                `SELECT pg_backend_pid() AS pid, pg_current_xact_id_if_assigned()::text AS xid,
                current_setting('statement_timeout') AS timeout, current_setting('np.mark', true) AS mark`,
              );
              expect(rows[0]).toMatchObject({ xid: null, timeout: '0' });
              expect(rows[0]!.mark ?? '').toBe('');
              pids.add(rows[0]!.pid);
              most = Math.max(most, pool.stats().activeConnections);
              await misbehave(client, (number + round) % 6);
            },
            number % 3 === 0 ? { statementTimeoutMs: Infinity } : undefined,
          )
          .catch((error: Error) => expect(error.message).toMatch(/division by zero|on purpose/));
      }
    };
    await Promise.all(Array.from({ length: 200 }, (_, number) => user(number)));
    await until(() => pool.stats().idleConnections === pool.stats().totalConnections, 'all is given back');
    expect(most).toBe(5);
    expect(pids.size).toBe(5);
    expect(pool.stats()).toMatchObject({ created: 5, waiting: 0, activeConnections: 0 });
    expect(await rig.sessions()).toHaveLength(5);
  }, 60_000);

  /** What borrowers leave behind; the settings are those of their transaction, which is rolled back. */
  async function misbehave(client: Client, how: number): Promise<void> {
    if (how === 0) return void client.on('notice', () => {});
    await client.query("BEGIN; SET LOCAL np.mark = 'left'; SELECT pg_current_xact_id()");
    if (how === 1) await client.query('SELECT 1 / 0');
    if (how === 2) throw new Error('on purpose');
    if (how === 3) void client.query('SELECT pg_sleep(0.002)');
    if (how === 4) await client.query('COMMIT');
  }
});

describeWith(own, 'a pool whose server restarts', (server) => {
  const rig = new Rig(server, 'restart');

  const recovers = async (pool: PostgresPool): Promise<void> => {
    await until(() => pool.query('SELECT 1').then(() => true, () => false), 'it serves again'); // prettier-ignore
  };

  it('recovers by itself, with all its places, after a stop and after a kill', async () => {
    const pool = rig.pool({ minConnections: 2, maxConnections: 4, createRetry: { maxMs: 200 } });
    await pool.ready();
    const noise = { on: true, failed: 0, served: 0 };
    const workers = Array.from({ length: 20 }, async () => {
      while (noise.on) {
        await pool.query('SELECT pg_sleep(0.001)', [], { acquireTimeoutMs: 500 }).then(
          () => (noise.served += 1),
          () => sleep(5).then(() => (noise.failed += 1)),
        );
      }
    });
    await server.restart();
    await recovers(pool);
    await server.kill();
    await server.start();
    await recovers(pool);
    const { served } = noise;
    await until(() => noise.served > served + 40, 'everybody is served');
    noise.on = false;
    await Promise.all(workers);
    await until(() => pool.stats().idleConnections === pool.stats().totalConnections, 'all is given back');
    expect(pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0, overdue: 0, down: false });
    expect(noise.failed).toBeGreaterThan(0);
    const full = await Promise.all(Array.from({ length: 4 }, () => pool.acquire()));
    for (const lease of full) lease.release();
  }, 60_000);

  it('tries again when the server has no room for another session', async () => {
    const crowd = await Promise.all(Array.from({ length: 12 }, () => connect(server.url)));
    const pool = rig.pool({ maxConnections: 1, onCreateError: 'wait', createRetry: { initialMs: 10, maxMs: 20 } });
    const waiting = pool.query('SELECT 1');
    await until(() => pool.stats().createFailed > 0, 'it is turned away');
    expect(pool.stats().lastCreateError).toMatchObject({ code: '53300' });
    await Promise.all(crowd.map((client) => client.end()));
    await waiting;
  });
});

async function connect(connectionString: string): Promise<Client> {
  const { Client } = await import('pg');
  const client = new Client({ connectionString });
  client.on('error', () => {});
  await client.connect();
  return client;
}
