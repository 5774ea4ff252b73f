import { getEventListeners } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Client } from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { ConnectionPool } from 'nestjs-pools/core';
import { PostgresPool, postgresPool } from 'nestjs-pools/postgres';
import { describeWith, findPostgres } from '../support/services.js';
import { inChild } from '../faults/child.js';
import { failure, pidOf, Rig, until } from './rig.js';

const found = await findPostgres();

describeWith(found, 'a pool of PostgreSQL sessions', (server) => {
  const rig = new Rig(server, 'pool');

  it('lends clients of pg and is a PostgresPool', async () => {
    const pool = rig.pool();
    expect(pool).toBeInstanceOf(PostgresPool);
    expect(pool).toBeInstanceOf(ConnectionPool);
    await pool.use(async (client) => {
      expect(client).toBeInstanceOf(Client);
      expect((await client.query<{ sum: number }>('SELECT $1::int + 1 AS sum', [1])).rows).toEqual([{ sum: 2 }]);
    });
  });

  it('takes a connection string as well as its parts', async () => {
    const pool = rig.pool({ connectionString: server.url, application_name: rig.label });
    const { rows } = await pool.query<{ name: string }>('SELECT current_database() AS name');
    expect(rows).toEqual([{ name: server.database }]);
  });

  it('runs a query in one call, typed as pg does it, over as few connections as it can', async () => {
    const pool = rig.pool();
    for (let round = 0; round < 20; round += 1) {
      const { rows } = await pool.query<{ n: number }>('SELECT $1::int AS n', [round]);
      expect(rows[0]!.n).toBe(round);
    }
    const asArray = await pool.query<[number, string]>({ text: 'SELECT 1, $1', values: ['a'], rowMode: 'array' });
    expect(asArray.rows).toEqual([[1, 'a']]);
    expect(pool.stats().created).toBe(1);
  });

  it('rejects a failed query with the server’s error and keeps the connection', async () => {
    const pool = rig.pool();
    const error = await failure(pool.query('SELECT nothing_of_this_name'));
    expect(error).toMatchObject({ code: '42703' });
    expect(error.stack).toContain('postgres-pool.spec');
    await pool.query('SELECT 1');
    expect(pool.stats()).toMatchObject({ created: 1, totalConnections: 1 });
  });

  it('refuses in query() what needs its connection for longer, or would never settle', async () => {
    const pool = rig.pool();
    const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    for (const args of [
      [new Cursor('SELECT 1')],
      ['SELECT 1', () => {}],
      [{ text: 'SELECT 1', callback() {} }],
      [null],
    ]) {
      expect(await failure(query(...args))).toBeInstanceOf(TypeError);
    }
    expect(await failure(query('SELECT 1', [], { statementTimeoutMs: 0 }))).toMatchObject({ code: 'POOL_OPTIONS' });
    expect(await failure(query('SELECT 1', [], { colour: 'red' }))).toMatchObject({ code: 'POOL_OPTIONS' });
    expect(pool.stats().created).toBe(0);
  });

  it('works with cursors and streams inside of use()', async () => {
    const pool = rig.pool();
    const read = await pool.use(async (client) => {
      const cursor = client.query(new Cursor<{ n: number }>('SELECT generate_series(1, 100) AS n'));
      const first = await cursor.read(3);
      await cursor.close();
      let sum = 0;
      for await (const { n } of client.query(new QueryStream('SELECT generate_series(1, 1000) AS n')))
        sum += n as number;
      return { first: first.map(({ n }) => n), sum };
    });
    expect(read).toEqual({ first: [1, 2, 3], sum: 500_500 });
    await pool.query('SELECT 1');
    expect(pool.stats().created).toBe(1);
  });

  it('runs onConnect once for each connection, before anybody gets it', async () => {
    const sql = rig.pool({ onConnect: ['SET search_path TO np_nowhere', "SET timezone TO 'Asia/Tokyo'"] });
    const shown = await sql.query("SELECT current_setting('search_path') AS path, current_setting('timezone') AS zone");
    expect(shown.rows).toEqual([{ path: 'np_nowhere', zone: 'Asia/Tokyo' }]);
    const seen: number[] = [];
    const own = rig.pool({ onConnect: async (client) => seen.push(await pidOf(client)) });
    for (let round = 0; round < 3; round += 1)
      await own.use(async (client) => expect(seen).toEqual([await pidOf(client)]));
  });

  it('counts a failed onConnect as a failed create and leaves no session behind', async () => {
    const pool = rig.pool({ onConnect: 'SELECT nothing_of_this_name' });
    const error = await failure(pool.acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code: '42703' } });
    const thrown = rig.pool({ onConnect: () => Promise.reject(new Error('not today')) });
    expect(await failure(thrown.acquire())).toMatchObject({ cause: { message: 'not today' } });
    await until(async () => (await rig.sessions()).length === 0, 'the server has no session of ours');
  });

  it('gives the server a statement_timeout for every connection', async () => {
    const pool = rig.pool({ statementTimeoutMs: 50 });
    expect(await failure(pool.query('SELECT pg_sleep(5)'))).toMatchObject({ code: '57014' });
  });

  it('gives one lease another statement_timeout, and takes it back', async () => {
    const pool = rig.pool({ maxConnections: 1, onConnect: "SET statement_timeout = '9s'" });
    const timeoutOf = async (client: Client): Promise<unknown> =>
      (await client.query('SHOW statement_timeout')).rows[0];
    expect(await pool.use(timeoutOf, { statementTimeoutMs: 1_500.2 })).toEqual({ statement_timeout: '1501ms' });
    expect(await pool.use(timeoutOf)).toEqual({ statement_timeout: '9s' });
    const lease = await pool.acquire({ statementTimeoutMs: Infinity, priority: 3 });
    expect(await timeoutOf(lease.connection)).toEqual({ statement_timeout: '0' });
    lease.release();
    const error = await failure(pool.query('SELECT pg_sleep(5)', [], { statementTimeoutMs: 30 }));
    expect(error).toMatchObject({ code: '57014' });
    expect(await pool.use(timeoutOf)).toEqual({ statement_timeout: '9s' });
    expect(pool.stats().created).toBe(1);
  });

  it('takes it back too when the borrower failed in a transaction', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    await failure(
      pool.use(
        async (client) => {
          await client.query('BEGIN');
          await client.query('SELECT nothing_of_this_name');
        },
        { statementTimeoutMs: 1_000 },
      ),
    );
    const { rows } = await pool.query('SHOW statement_timeout');
    expect(rows).toEqual([{ statement_timeout: '0' }]);
    expect(pool.stats().created).toBe(1);
  });

  it('checks an idle connection before it is lent, by an empty query or by SQL of one’s own', async () => {
    const pool = rig.pool({ validateAfterIdleMs: 0 });
    const pids = [await pool.use(pidOf), await pool.use(pidOf)];
    expect(pids[0]).toBe(pids[1]);
    const choosy = rig.pool({ validateAfterIdleMs: 0, healthCheck: 'SELECT 1 / 0' });
    await choosy.use(pidOf);
    await choosy.use(pidOf);
    expect(choosy.stats()).toMatchObject({ created: 2, destroyed: { unhealthy: 1 } });
    expect('isHealthy' in postgresPool({ healthCheck: false }).factory).toBe(false);
  });

  it.each([
    ['a wrong role', { user: 'np_nobody' }, false],
    ['an unknown database', { database: 'np_nowhere' }, false],
    ['wrong SQL in onConnect', { onConnect: 'SELEKT' }, false],
    ['no server', { port: 1 }, true],
  ])('tells whether %s is worth another try', async (_what, options, retryable) => {
    const { factory } = postgresPool({ ...rig.place, ...options });
    const error = await failure(rig.pool(options).acquire());
    expect(factory.retryable!((error as Error).cause)).toBe(retryable);
  });

  it('knows too many connections and a server that starts up for passing troubles', () => {
    const { factory } = postgresPool({});
    for (const code of ['53300', '57P03', 'ECONNREFUSED']) expect(factory.retryable!({ code })).toBe(true);
    for (const code of ['28P01', '28000', '3D000']) expect(factory.retryable!({ code })).toBe(false);
    for (const odd of [undefined, null, 'text', new Error('no code')]) expect(factory.retryable!(odd)).toBe(true);
  });

  it('gives up a server that takes connections and says nothing, and leaves no socket', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket.on('error', () => {}).resume()));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const closed = (): boolean => [...sockets].every(({ destroyed }) => destroyed);
    try {
      for (const ssl of [false, { rejectUnauthorized: false }]) {
        const pool = rig.pool({ host: '127.0.0.1', port, ssl, createTimeoutMs: 100 });
        expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'HOOK_TIMEOUT' } });
        await until(() => closed() && pool.stats().overdue === 0, 'the socket is closed');
      }
      const pool = rig.pool({ host: '127.0.0.1', port });
      const waiting = failure(pool.acquire());
      await until(() => sockets.size === 3, 'it has connected');
      await pool.close({ timeoutMs: 0 });
      expect(await waiting).toMatchObject({ code: 'POOL_CLOSED' });
      await until(closed, 'the socket is closed');
    } finally {
      await new Promise((resolve) => silent.close(resolve));
    }
  });

  it('ends its sessions politely, and is done when they are closed', async () => {
    const pool = rig.pool({ minConnections: 3 });
    await pool.ready();
    expect(await rig.sessions()).toHaveLength(3);
    const report = await pool.close();
    expect(report).toMatchObject({ forced: [], overdue: 0 });
    await until(async () => (await rig.sessions()).length === 0, 'the server has no session of ours');
  });

  it('tears a session that is at work down, and tells its server to stop', async () => {
    const pool = rig.pool();
    const running = failure(pool.query('SELECT pg_sleep(60)'));
    await until(async () => (await rig.sessions()).some(({ state }) => state === 'active'), 'it runs');
    await pool.close({ timeoutMs: 0 });
    expect((await running).message).toMatch(/terminated|cancel/i);
    await until(async () => (await rig.sessions()).length === 0, 'the server has stopped');
  });

  it('lends no connection that its borrower has ended, and loses no place by it', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    for (let round = 0; round < 3; round += 1) await pool.use((client) => client.end());
    await pool.use((client) => void client.end());
    await pool.query('SELECT 1');
    expect(pool.stats()).toMatchObject({ created: 5, totalConnections: 1, idleConnections: 1 });
  });

  it('leaves a detached client to its borrower, who need not listen for its errors', async () => {
    const pool = rig.pool();
    const lease = await pool.acquire();
    const client = lease.detach();
    const pid = await pidOf(client);
    await pool.close();
    expect(await pidOf(client)).toBe(pid);
    await rig.kill(pid);
    expect(await failure(client.query('SELECT 1'))).toBeInstanceOf(Error);
    await client.end();
  });

  it('removes its listener from a signal that outlives the query', async () => {
    const pool = rig.pool();
    const { signal } = new AbortController();
    await pool.query('SELECT 1', [], { signal });
    await pool.transaction((client) => client.query('SELECT 1'), { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('lets the process end while nobody uses it, and not while a query runs', async () => {
    const { place } = rig;
    const { code, told, stderr } = await inChild(`
      import { postgresPool } from 'nestjs-pools/postgres';
      const definition = postgresPool({ ...${JSON.stringify(place)}, minConnections: 2, validateAfterIdleMs: 1 });
      const pool = definition.createPool({ name: 'db', factory: definition.factory, ...definition.limits });
      await pool.ready();
      await pool.use((client) => client.query('BEGIN'));
      await pool.query('SELECT pg_sleep(0.3)');
      tell('waited');
    `);
    expect({ code, told, stderr }).toEqual({ code: 0, told: ['waited'], stderr: '' });
  });
});
