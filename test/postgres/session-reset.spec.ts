import type { Client } from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { describeWith, findPostgres } from '../support/services.js';
import { failure, pidOf, Rig, until } from './rig.js';

const found = await findPostgres();

/** What the next borrower finds. */
async function sessionOf(client: Client): Promise<{ pid: number; xid: string | null; status: string | null }> {
  const status = client.getTransactionStatus();
  const { rows } = await client.query<{ pid: number; xid: string | null }>(
    'SELECT pg_backend_pid() AS pid, pg_current_xact_id_if_assigned()::text AS xid',
  );
  return { ...rows[0]!, status };
}

describeWith(found, 'a session between two borrowers', (server) => {
  const rig = new Rig(server, 'reset');

  it('goes straight to the next one, without a round trip, when it is clean', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const lease = await pool.acquire();
    const client = lease.connection;
    await client.query('SELECT 1');
    const bytes = client.connection.stream as unknown as { bytesWritten: number };
    const before = bytes.bytesWritten;
    lease.release();
    expect(pool.stats()).toMatchObject({ idleConnections: 1, checkingConnections: 0 });
    expect(pool.tryAcquire()?.[Symbol.dispose]()).toBeUndefined();
    expect(bytes.bytesWritten).toBe(before);
  });

  it.each([
    ['open', async (client: Client) => void (await client.query('BEGIN; SELECT pg_current_xact_id()'))],
    [
      'failed',
      async (client: Client) => {
        await client.query('BEGIN; SELECT pg_current_xact_id()');
        await failure(client.query('SELECT 1 / 0'));
      },
    ],
    ['begun and not awaited', async (client: Client) => void client.query('BEGIN; SELECT pg_current_xact_id()')],
    [
      'failing while it comes back',
      async (client: Client) => {
        void client.query('BEGIN');
        void failure(client.query('SELECT 1 / 0'));
      },
    ],
  ])('is rolled back when a transaction was left %s', async (_how, leave) => {
    const pool = rig.pool({ maxConnections: 1 });
    const pid = await pool.use(async (client) => {
      const { pid } = await sessionOf(client);
      await leave(client);
      return pid;
    });
    expect(await pool.use(sessionOf)).toEqual({ pid, xid: null, status: 'I' });
    expect(pool.stats().created).toBe(1);
  });

  it('is waited for while a query that nobody awaited still runs, and is then lent again', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const left: Promise<unknown>[] = [];
    const pid = await pool.use(async (client) => {
      const pid = await pidOf(client);
      left.push(client.query('SELECT pg_sleep(0.1)'), client.query("SELECT 'second'"));
      return pid;
    });
    expect(pool.stats()).toMatchObject({ checkingConnections: 1, idleConnections: 0 });
    expect(await pool.use(pidOf)).toBe(pid);
    await Promise.all(left);
  });

  it('is waited for also when it comes back from inside of a callback, with another query behind', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const lease = await pool.acquire();
    const client = lease.connection;
    let second: Promise<unknown> = Promise.resolve();
    const stats = await new Promise<object>((resolve) => {
      client.query('SELECT 1', () => {
        lease.release();
        resolve(pool.stats());
      });
      second = client.query('BEGIN; SELECT pg_current_xact_id()');
    });
    expect(stats).toMatchObject({ checkingConnections: 1, idleConnections: 0 });
    expect(await pool.use(sessionOf)).toMatchObject({ xid: null, status: 'I' });
    await second;
  });

  it('is closed when such a query takes longer than resetTimeoutMs, and its server stops working on it', async () => {
    const pool = rig.pool({ maxConnections: 1, resetTimeoutMs: 50 });
    let left: Promise<unknown> = Promise.resolve();
    await pool.use((client) => {
      left = failure(client.query('SELECT pg_sleep(60)'));
    });
    await pool.query('SELECT 1');
    expect(await left).toBeInstanceOf(Error);
    expect(pool.stats()).toMatchObject({ created: 2, destroyed: { reset: 1 } });
    await until(async () => (await rig.sessions()).length === 1, 'one session is left');
  });

  it.each([
    ['a cursor', (client: Client) => client.query(new Cursor('SELECT generate_series(1, 100000)')).read(1)],
    [
      'a stream',
      (client: Client) =>
        new Promise((resolve) => {
          const stream = client.query(new QueryStream('SELECT generate_series(1, 100000)'));
          stream.once('readable', () => resolve(stream.read()));
        }),
    ],
  ])('takes %s away that was left half read, at once', async (_what, leave) => {
    const pool = rig.pool({ maxConnections: 1 });
    const pid = await pool.use(async (client) => {
      const pid = await pidOf(client);
      await leave(client);
      return pid;
    });
    expect(await pool.use(pidOf)).toBe(pid);
  });

  it('is closed when it cannot be made fit', async () => {
    const pool = rig.pool({ maxConnections: 1, resetQuery: 'SELECT nothing_of_this_name' });
    const pid = await pool.use(pidOf);
    expect(await pool.use(pidOf)).not.toBe(pid);
    expect(pool.stats().destroyed.reset).toBeGreaterThanOrEqual(1);
  });

  it('loses the listeners of its borrower, and keeps those that onConnect gave it', async () => {
    const heard: string[] = [];
    const pool = rig.pool({
      maxConnections: 1,
      onConnect: (client) => client.on('notice', ({ message }) => heard.push(`kept ${message}`)),
    });
    await pool.use(async (client) => {
      client.on('notice', ({ message }) => heard.push(`borrower ${message}`));
      client.once('notification', () => heard.push('never'));
      client.on('error', () => {});
      await client.query("DO $$ BEGIN RAISE NOTICE 'first'; END $$");
    });
    await pool.use(async (client) => {
      expect(client.eventNames()).toEqual(['notice']);
      await client.query("DO $$ BEGIN RAISE NOTICE 'second'; END $$");
    });
    expect(heard).toEqual(['kept first', 'borrower first', 'kept second']);
  });

  it('never ends the process by an error, though its borrower has removed all listeners', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const pid = await pool.use((client) => {
      client.removeAllListeners();
      return pidOf(client);
    });
    await rig.kill(pid);
    await until(() => pool.stats().totalConnections === 0, 'it is gone');
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('keeps what a borrower has set, unless it is told to forget it', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    await pool.query("SET application_name = 'np-left'");
    expect((await pool.query('SHOW application_name')).rows).toEqual([{ application_name: 'np-left' }]);
  });

  it('forgets settings, temporary tables, locks and channels by DISCARD ALL', async () => {
    const pool = rig.pool({ maxConnections: 1, resetQuery: 'discard-all' });
    const pid = await pool.use(async (client) => {
      await client.query("SET application_name = 'np-left'; LISTEN np_left; CREATE TEMP TABLE np_left ()");
      await client.query('SELECT pg_advisory_lock(4711004)');
      return pidOf(client);
    });
    await pool.use(async (client) => {
      const { rows } = await client.query(`SELECT
        current_setting('application_name') AS name, to_regclass('pg_temp.np_left') AS "table",
        (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711004) AS locks`);
      expect(rows).toEqual([{ name: rig.label, table: null, channels: 0, locks: 0 }]);
      expect(await pidOf(client)).toBe(pid);
    });
  });

  it('prepares a named statement again after DISCARD ALL, and after a DEALLOCATE ALL of one’s own', async () => {
    for (const resetQuery of ['discard-all', 'RESET ALL; deallocate all']) {
      const pool = rig.pool({ maxConnections: 1, resetQuery });
      for (let round = 0; round < 3; round += 1) {
        const { rows } = await pool.query<{ n: number }>({
          name: 'np_add',
          text: 'SELECT $1::int + 1 AS n',
          values: [round],
        });
        expect(rows).toEqual([{ n: round + 1 }]);
      }
      expect(pool.stats().created).toBe(1);
    }
  });

  it('keeps named statements where it is not told to forget them', async () => {
    const pool = rig.pool({ maxConnections: 1, resetQuery: 'UNLISTEN *' });
    for (let round = 0; round < 2; round += 1) {
      await pool.query({ name: 'np_keep', text: 'SELECT 1' });
    }
    expect(await pool.query('SELECT name FROM pg_prepared_statements')).toMatchObject({ rows: [{ name: 'np_keep' }] });
  });

  it('has what onConnect set again after DISCARD ALL, and the timeout of the pool', async () => {
    const pool = rig.pool({
      maxConnections: 1,
      resetQuery: 'discard-all',
      onConnect: 'SET search_path TO np_somewhere',
      statementTimeoutMs: 7_000,
    });
    for (let round = 0; round < 2; round += 1) {
      const sql = "SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout";
      expect((await pool.query(sql)).rows).toEqual([{ path: 'np_somewhere', timeout: '7s' }]);
      await pool.query('SET search_path TO np_elsewhere', [], { statementTimeoutMs: 1_000 });
    }
    expect(pool.stats().created).toBe(1);
  });
});
