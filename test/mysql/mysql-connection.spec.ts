import { once } from 'node:events';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { jest } from '@jest/globals';
import type { Connection } from 'mysql2/promise';
import { describeWith, findMysql } from '../support/services.js';
import {
  addressOf,
  adminOf,
  closeAll,
  failure,
  poolOf,
  rowsOf,
  runScript,
  threadsThatRun,
  until,
  valueOf,
} from './rig.js';

const SECRET = 'planted-secret-4711';

const found = await findMysql();

jest.setTimeout(30_000);
afterEach(closeAll);

/** A TCP server that does with its clients what the test says. */
async function listen(onSocket: (socket: Socket) => void): Promise<NetServer & { port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as { port: number }).port, sockets });
}

async function stop(server: NetServer & { sockets: Set<Socket> }): Promise<void> {
  for (const socket of server.sockets) socket.destroy();
  server.close();
  await once(server, 'close');
}

describeWith(found, 'a pooled MySQL connection', (server) => {
  const address = addressOf(server);

  it('is a session of its own, of at most maxConnections at the server', async () => {
    const pool = poolOf({ ...address, maxConnections: 3 });
    const ids = await Promise.all(Array.from({ length: 30 }, () => valueOf(pool, 'select connection_id()')));
    expect(new Set(ids).size).toBeLessThanOrEqual(3);
    expect(pool.stats().created).toBe(new Set(ids).size);
  });

  it('is retired at once when the server kills it while it is idle, and no error reaches the process', async () => {
    const admin = await adminOf(server);
    const pool = poolOf({ ...address, maxConnections: 1 });
    const id = await valueOf(pool, 'select connection_id()');
    await until(() => pool.stats().idleConnections === 1, 'it is idle');
    await admin.query(`kill ${Number(id)}`);
    await until(() => pool.stats().totalConnections === 0, 'the connection is retired');
    expect(pool.stats().destroyed.broken).toBe(1);
    expect(await valueOf(pool, 'select connection_id()')).not.toBe(id);
  });

  it('fails its query and tells the lease when the server kills it in the middle', async () => {
    const admin = await adminOf(server);
    const pool = poolOf({ ...address, maxConnections: 1 });
    const lease = await pool.acquire();
    const query = failure(lease.connection.query("select sleep(30), 'killed-active'"));
    await until(async () => (await threadsThatRun(admin, 'killed-active')).length === 1, 'it runs');
    await admin.query(`kill ${lease.connection.threadId}`);
    expect((await query).code).toMatch(/ER_QUERY_INTERRUPTED|PROTOCOL_CONNECTION_LOST|ER_CONNECTION_KILLED/);
    await until(() => lease.signal.aborted, 'the lease is told');
    lease.release();
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('takes no other one down when it is killed in a transaction', async () => {
    const admin = await adminOf(server);
    await admin.query('create table if not exists np_killed (id int primary key) engine=innodb; delete from np_killed');
    const pool = poolOf({ ...address, maxConnections: 1 });
    const error = await failure(
      pool.transaction(async (connection) => {
        await connection.query('insert into np_killed values (1)');
        await admin.query(`kill ${connection.threadId}`);
        await connection.query('insert into np_killed values (2)');
      }),
    );
    // Which of them depends on when it is noticed; once it has been, mysql2 takes no command and gives no code.
    expect(error.code ?? error.message).toMatch(
      /PROTOCOL_CONNECTION_LOST|ECONNRESET|EPIPE|ER_CONNECTION_KILLED|closed state/,
    );
    expect(await valueOf(pool, 'select count(*) from np_killed')).toBe(0);
    expect(pool.stats()).toMatchObject({ activeConnections: 0, totalConnections: 1 });
    await admin.query('drop table np_killed');
  });

  it.each([
    ['end()', (connection: Connection) => connection.end()],
    ['end() that it does not wait for', (connection: Connection) => void connection.end()],
    ['destroy()', (connection: Connection) => connection.destroy()],
    [
      'changeUser()',
      (connection: Connection) => connection.changeUser({ user: server.user, password: server.password }),
    ],
  ])('is replaced when its borrower has called %s', async (_what, misuse) => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const id = await pool.use(async (connection) => {
      await Promise.resolve(misuse(connection));
      return connection.threadId;
    });
    await pool.use((connection) => expect(connection.threadId).not.toBe(id));
    expect(pool.stats()).toMatchObject({ totalConnections: 1, activeConnections: 0 });
    expect(pool.stats().destroyed).toMatchObject({ broken: 1, reset: 0 });
  });

  it('tells a borrower that takes it for one of mysql2 to give back the lease', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    await pool.use((connection) => {
      expect(() => (connection as Connection & { release(): void }).release()).toThrow('lease.release()');
    });
    expect(await valueOf(pool, 'select 1')).toBe(1);
  });

  it.each(['connection', 'none'] as const)(
    'comes without the listeners of its last borrower, by reset: %s',
    async (reset) => {
      const pool = poolOf({ ...address, maxConnections: 1, reset });
      const heard: unknown[] = [];
      const lease = await pool.acquire();
      const { connection } = lease;
      const usual = connection.eventNames();
      for (let i = 0; i < 5; i += 1) connection.on('error', (error: Error) => heard.push(error));
      connection.removeAllListeners('newListener');
      lease.release();
      await pool.use((next) => {
        expect(next).toBe(connection);
        expect(next.eventNames()).toEqual(usual);
        expect(next.listenerCount('error')).toBe(0);
      });
    },
  );

  it('is gone from the server when destroyed, also with a query on it', async () => {
    const admin = await adminOf(server);
    const pool = poolOf({ ...address, maxConnections: 2 });
    const [busy, idle] = await Promise.all([pool.acquire(), pool.acquire()]);
    const ids = [busy, idle].map((lease) => lease!.connection.threadId);
    // Not a sleep, in which MariaDB would notice by itself that nobody listens any more.
    const work = "select count(*) from seq_1_to_1000000 a, seq_1_to_1000000 b where a.seq + b.seq <> 'destroyed-busy'";
    const query = failure(busy!.connection.query(work));
    await until(async () => (await threadsThatRun(admin, 'destroyed-busy')).length === 1, 'it runs');
    idle!.release();
    await pool.close({ timeoutMs: 0 });
    expect((await query).code).toBe('PROTOCOL_CONNECTION_LOST');
    await until(
      async () =>
        (await rowsOf(admin, `select 1 from information_schema.processlist where id in (${ids.join()})`)).length === 0,
      'the server has forgotten both',
    );
  });

  it('is closed when it cannot be opened in time, because the server says nothing', async () => {
    const silent = await listen(() => {});
    const pool = poolOf({ host: '127.0.0.1', port: silent.port, user: 'x', createTimeoutMs: 50 });
    const error = await failure(pool.acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code: 'HOOK_TIMEOUT' } });
    await until(() => silent.sockets.size === 0, 'the socket is closed');
    expect(pool.stats()).toMatchObject({ totalConnections: 0, overdue: 0 });
    await stop(silent);
  });

  it('is closed when it cannot be opened in time, because the server falls silent while they shake hands', async () => {
    const halfway = await listen((socket) => {
      const upstream = connect(server.port, server.host).on('error', () => {});
      upstream.on('data', (bytes) => socket.write(bytes));
      socket.resume().once('close', () => upstream.destroy());
    });
    const pool = poolOf({ ...address, host: '127.0.0.1', port: halfway.port, createTimeoutMs: 100 });
    expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'HOOK_TIMEOUT' } });
    await until(() => halfway.sockets.size === 0, 'the socket is closed');
    await stop(halfway);
  });

  it('tells a server that hangs up in the middle of the login from one that refuses', async () => {
    const rude = await listen((socket) => socket.destroy());
    const pool = poolOf({ host: '127.0.0.1', port: rude.port, user: 'x' });
    expect(['PROTOCOL_CONNECTION_LOST', 'ECONNRESET']).toContain(
      ((await failure(pool.acquire())).cause as { code: string }).code,
    );
    await stop(rude);
    expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  it('is found dead by the check when the network has swallowed it', async () => {
    const sockets: Socket[] = [];
    let isStalled = false;
    const proxy = await listen((socket) => {
      const upstream = connect(server.port, server.host).on('error', () => {});
      sockets.push(upstream);
      upstream.on('data', (bytes) => void (isStalled || socket.write(bytes)));
      socket.on('data', (bytes) => void (isStalled || upstream.write(bytes)));
      socket.once('close', () => upstream.destroy());
    });
    const pool = poolOf({
      ...address,
      host: '127.0.0.1',
      port: proxy.port,
      maxConnections: 1,
      validateAfterIdleMs: 0,
      healthCheckTimeoutMs: 100,
      createTimeoutMs: 500,
      createRetry: { initialMs: 1, maxMs: 10 },
    });
    await pool.query('select 1');
    await until(() => pool.stats().idleConnections === 1, 'it is idle');
    isStalled = true;
    await failure(pool.acquire({ acquireTimeoutMs: 300 }));
    isStalled = false;
    await until(
      () =>
        pool.query('select 1').then(
          () => true,
          () => false,
        ),
      'it recovers',
    );
    expect(pool.stats().destroyed.unhealthy).toBe(1);
    await pool.close({ timeoutMs: 0 });
    await stop(proxy);
  });

  it('is not opened again by itself after a wrong password, which might lock the account', async () => {
    const admin = await adminOf(server);
    await admin.query(
      `create or replace user np_locked@'%' identified by 'right'; create or replace user np_locked@localhost identified by 'right'`,
    );
    const pool = poolOf({
      ...address,
      user: 'np_locked',
      password: SECRET,
      database: undefined as never,
      minConnections: 1,
      createRetry: { initialMs: 1 },
    });
    await pool.start();
    const tries = pool.stats().createFailed;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(pool.stats().createFailed).toBe(tries);
    const error = await failure(pool.acquire());
    expect(error).toMatchObject({ cause: { errno: 1045, code: 'ER_ACCESS_DENIED_ERROR' } });
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(SECRET);
    await admin.query(`drop user np_locked@'%', np_locked@localhost`);
  });

  it.each([
    ['an unknown database', { database: 'np_no_such_database' }, 1049],
    ['SQL in onConnect that is wrong', { onConnect: `set @x = '${SECRET}' no sql` }, 1064],
  ])('cannot be opened with %s', async (_what, options, errno) => {
    const error = await failure(poolOf({ ...address, ...options }).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { errno } });
    expect((error.cause as { sql?: string }).sql).toBeUndefined();
  });

  it('asks for the password of each new connection, and only then', async () => {
    const admin = await adminOf(server);
    await admin.query(`create or replace user np_rotating@'%'; create or replace user np_rotating@localhost`);
    const rotate = (password: string) =>
      admin.query(
        `alter user np_rotating@'%' identified by '${password}'; alter user np_rotating@localhost identified by '${password}'`,
      );
    let current = '';
    const asked: string[] = [];
    const pool = poolOf({
      ...address,
      user: 'np_rotating',
      database: undefined as never,
      maxConnections: 1,
      password: async ({ signal }) => {
        expect(signal.aborted).toBe(false);
        asked.push(current);
        return Promise.resolve(current);
      },
    });
    for (const password of [`${SECRET}-1`, `${SECRET}-2`]) {
      await rotate((current = password));
      await pool.query('select 1');
      await pool.query('select 1');
      await pool.use((connection) => {
        for (const thing of [
          connection,
          connection.config,
          (connection as unknown as { connection: object }).connection,
        ]) {
          expect(inspect(thing, { depth: 20, showHidden: true })).not.toContain(SECRET);
          expect(JSON.stringify(thing)).not.toContain(SECRET);
        }
      });
      pool.retireAll();
    }
    expect(asked).toEqual([`${SECRET}-1`, `${SECRET}-2`]);
    await admin.query(`drop user np_rotating@'%', np_rotating@localhost`);
  });

  it('is not waited for longer than its time when the password never comes', async () => {
    const pool = poolOf({ ...address, password: () => new Promise<string>(() => {}), createTimeoutMs: 30 });
    expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'HOOK_TIMEOUT' } });
    await until(() => pool.stats().overdue === 0, 'nothing is left of it');
    expect(pool.stats().totalConnections).toBe(0);
  });

  it('begins with what onConnect does, whether SQL or a function', async () => {
    const one = poolOf({ ...address, onConnect: ['set @a = 1', 'set @b = 2'] });
    expect(await valueOf(one, 'select @a + @b')).toBe(3);
    const other = poolOf({ ...address, onConnect: (connection) => connection.query('set @a = 5') });
    expect(await valueOf(other, 'select @a')).toBe(5);
  });

  it('speaks over a Unix socket, compressed, and through a stream of the user', async () => {
    const path = String(await valueOf(await adminOf(server), 'select @@socket'));
    const streams: Socket[] = [];
    const stream = (): Socket => {
      const socket = connect(server.port, server.host);
      streams.push(socket);
      return socket;
    };
    expect(await valueOf(poolOf({ ...address, compress: true }), `select repeat('x', 100000)`)).toHaveLength(100_000);
    expect(await valueOf(poolOf({ ...address, stream }), 'select 1')).toBe(1);
    expect(streams).toHaveLength(1);
    const isLocal = ['127.0.0.1', 'localhost'].includes(server.host);
    if (isLocal)
      expect(
        await valueOf(
          poolOf({ ...address, host: undefined as never, port: undefined as never, socketPath: path }),
          'select 1',
        ),
      ).toBe(1);
  });

  it('does not keep the process alive while it is idle, and does while it is asked', () => {
    const { pathname } = new URL('../../dist/mysql/index.js', import.meta.url);
    const result = runScript(`
      import { mysqlPool } from ${JSON.stringify(pathname)};
      const { factory, limits, createPool } = mysqlPool(${JSON.stringify({ ...address, minConnections: 2 })});
      const pool = createPool({ name: 'db', factory, ...limits });
      await pool.ready();
      const [rows] = await pool.query('select sleep(0.3) as slept');
      await pool.query('select 1');
      console.log('slept', rows[0].slept);
    `);
    expect(result).toMatchObject({ status: 0, signal: null, stdout: 'slept 0\n', stderr: '' });
  });
});
