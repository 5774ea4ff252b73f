import { jest } from '@jest/globals';
import mysql, { type Pool, type PoolConnection } from 'mysql2';
import * as promises from 'mysql2/promise';
import { asMysqlDriver, asMysqlPool, type MysqlFacadeOptions, type MysqlPoolOptions } from 'nestjs-pools/mysql';
import { describeWith, findMysql } from '../support/services.js';
import { addressOf, adminOf, closeAll, failure, poolOf, threadsThatRun, until } from './rig.js';

const found = await findMysql();

jest.setTimeout(60_000);

const peers: Pool[] = [];
const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});

afterEach(async () => {
  await closeAll();
  await Promise.all(peers.splice(0).map((pool) => new Promise((resolve) => pool.end(resolve))));
  warn.mockClear();
});

function connectionFrom(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)));
  });
}

const EVENTS = ['connection', 'acquire', 'enqueue', 'release'];

describeWith(found, 'asMysqlPool', (server) => {
  const address = addressOf(server);

  function facadeOf(options: MysqlPoolOptions = {}, facade?: MysqlFacadeOptions): Pool {
    return asMysqlPool(poolOf({ ...address, ...options }), facade);
  }

  /** The same scenario on mysql2's own pool and on ours. */
  async function onBoth<R>(
    maxConnections: number,
    scenario: (pool: Pool, log: string[]) => Promise<R>,
    options: object = {},
  ): Promise<[R, R]> {
    const { host, port, user, password, database } = server;
    const peer = mysql.createPool({
      host,
      port,
      user,
      password,
      database,
      connectionLimit: maxConnections,
      ...options,
    });
    peers.push(peer);
    const run = (pool: Pool): Promise<R> => {
      const log: string[] = [];
      for (const event of EVENTS) pool.on(event, () => log.push(event));
      return scenario(pool, log);
    };
    return [await run(peer), await run(facadeOf({ maxConnections, ...options }))];
  }

  it('is a Pool of mysql2, and its promise() one of mysql2/promise', () => {
    const pool = facadeOf();
    expect(pool).toBeInstanceOf((mysql as unknown as { Pool: new () => Pool }).Pool);
    expect(pool.promise()).toBeInstanceOf((promises as unknown as { PromisePool: new () => object }).PromisePool);
  });

  it('tells of connections as mysql2 does', async () => {
    const [theirs, ours] = await onBoth(2, async (pool, log) => {
      const first = await connectionFrom(pool);
      log.push('lent');
      first.release();
      await until(() => log.at(-1) === 'release', 'it is back');
      const second = await connectionFrom(pool);
      log.push(second === first ? 'lent the same' : 'lent another one');
      const third = await connectionFrom(pool);
      log.push('lent');
      third.release();
      second.release();
      second.release();
      return log;
    });
    expect(ours).toEqual(theirs);
    expect(ours.join(', ')).toBe(
      'connection, acquire, lent, release, acquire, lent the same, connection, acquire, lent, release, release',
    );
  });

  it('differs on purpose where one waits: each lease is told as acquired and released', async () => {
    const [theirs, ours] = await onBoth(1, async (pool, log) => {
      const first = await connectionFrom(pool);
      const second = connectionFrom(pool);
      log.push('waits');
      first.release();
      (await second).release();
      return log;
    });
    expect(theirs).toEqual(['connection', 'acquire', 'enqueue', 'waits', 'release']);
    expect(ours).toEqual(['connection', 'acquire', 'enqueue', 'waits', 'release', 'acquire', 'release']);
  });

  it('answers by callback, by events and as a stream, as mysql2 does', async () => {
    const [theirs, ours] = await onBoth(2, async (pool) => {
      const byCallback = await new Promise<unknown>((resolve) =>
        pool.query('select ? as a', [1], (error, rows, fields) =>
          resolve([error, rows, fields.map(({ name }) => name)]),
        ),
      );
      const byObject = await new Promise<unknown>((resolve) =>
        pool.query({ sql: 'select ? as a', rowsAsArray: true }, [2], (error, rows) => resolve([error, rows])),
      );
      const prepared = await new Promise<unknown>((resolve) =>
        pool.execute('select ? as a', [3], (error, rows) => resolve([error, rows])),
      );
      const failed = await new Promise<unknown>((resolve) =>
        pool.query('select nonsense', (error: { code: string } | null) => resolve(error?.code)),
      );
      const failedPrepared = await new Promise<unknown>((resolve) =>
        pool.execute('select nonsense', (error: { code: string } | null) => resolve(error?.code)),
      );
      const byEvents = await new Promise<unknown>((resolve) => {
        const seen: unknown[] = [];
        pool
          .query('select 1 as a union select 2')
          .on('result', (row: unknown) => seen.push(row))
          .on('end', () => resolve(seen));
      });
      const failedByEvents = await new Promise<unknown>((resolve) =>
        pool.query('select nonsense').on('error', (error: { code: string }) => resolve(error.code)),
      );
      const streamed: unknown[] = [];
      const stream = (await connectionFrom(pool)).query('select 1 as a union select 2').stream();
      for await (const row of stream) streamed.push(row);
      return [byCallback, byObject, prepared, failed, failedPrepared, byEvents, failedByEvents, streamed];
    });
    expect(ours).toEqual(theirs);
    expect(ours.slice(3)).toEqual([
      'ER_BAD_FIELD_ERROR',
      'ER_BAD_FIELD_ERROR',
      [{ a: 1 }, { a: 2 }],
      'ER_BAD_FIELD_ERROR',
      [{ a: 1 }, { a: 2 }],
    ]);
  });

  it('answers by promises, formats and escapes as mysql2 does', async () => {
    const [theirs, ours] = await onBoth(
      2,
      async (pool) => {
        const promised = pool.promise();
        const connection = await promised.getConnection();
        const [rows] = await connection.query('select ? as a', [1]);
        await connection.beginTransaction();
        await connection.rollback();
        promised.releaseConnection(connection);
        connection.release();
        const [named] = await promised.query('select :a as a', { a: 2 });
        const [prepared] = await promised.execute('select :a as a', { a: 3 });
        const date = new Date(Date.UTC(2024, 1, 3, 4, 5, 6));
        return [
          rows,
          named,
          prepared,
          (await failure(promised.query('select nonsense'))).code,
          pool.format('?? ?', ['a', date]),
          promised.format('?', ["it's"]),
          pool.escape(date),
          promised.escapeId('a`b'),
        ];
      },
      { namedPlaceholders: true, timezone: '+02:00' },
    );
    expect(ours).toEqual(theirs);
    expect(ours).toContain("`a` '2024-02-03 06:05:06.000'");
  });

  it("tells the driver's own error where a connection cannot be opened", async () => {
    for (const options of [{ user: 'np_nobody', password: 'wrong' }, { port: 1 }]) {
      const [theirs, ours] = await onBoth(
        1,
        async (pool) => {
          const errors = [await failure(connectionFrom(pool)), await failure(pool.promise().query('select 1'))];
          return errors.map(({ code, errno, fatal }) => ({ code, errno, fatal }));
        },
        options,
      );
      expect(ours).toEqual(theirs);
    }
  });

  it('replaces a connection that its borrower destroys, and takes end() for a release, as mysql2 does', async () => {
    const [theirs, ours] = await onBoth(1, async (pool) => {
      const first = await connectionFrom(pool);
      const waiting = connectionFrom(pool);
      first.destroy();
      const second = await waiting;
      second.end();
      const third = await connectionFrom(pool);
      third.release();
      return [second.threadId !== first.threadId, third.threadId === second.threadId];
    });
    expect(ours).toEqual(theirs);
    expect(ours).toEqual([true, true]);
  });

  it.each([
    ['query', (pool: Pool) => failure(pool.promise().query("select sleep(30), 'np-facade-killed'"))],
    ['execute', (pool: Pool) => failure(pool.promise().execute("select sleep(30), 'np-facade-killed'"))],
    [
      'a connection',
      async (pool: Pool) =>
        failure((await pool.promise().getConnection()).query("select sleep(30), 'np-facade-killed'")),
    ],
  ])('loses no slot when the server kills what %s runs on, though nobody gives it back', async (_what, run) => {
    const admin = await adminOf(server);
    const pool = poolOf({ ...address, maxConnections: 1 });
    const facade = asMysqlPool(pool);
    const killed = run(facade);
    await until(async () => (await threadsThatRun(admin, 'np-facade-killed')).length === 1, 'it runs');
    await admin.query(`kill ${(await threadsThatRun(admin, 'np-facade-killed'))[0]}`);
    expect((await killed).code).toMatch(/ER_QUERY_INTERRUPTED|PROTOCOL_CONNECTION_LOST|ER_CONNECTION_KILLED/);
    expect((await facade.promise().query('select 1 as a'))[0]).toEqual([{ a: 1 }]);
    await until(() => pool.stats().activeConnections === 0, 'nothing is held');
  });

  it('resets a connection between two borrowers, and keeps what a connection listener listens to', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const facade = asMysqlPool(pool);
    const lost = jest.fn();
    facade.on('connection', (connection: PoolConnection) => connection.on('error', lost));
    const first = await connectionFrom(facade);
    first.on('error', () => {});
    await first.promise().query('set @x = 1');
    first.release();
    const second = await connectionFrom(facade);
    expect(second).toBe(first);
    expect((await second.promise().query('select @x as x'))[0]).toEqual([{ x: null }]);
    expect(second.listeners('error')).toEqual([lost]);
    second.release();
    expect(pool.stats()).toMatchObject({ created: 1 });
  });

  it("gives the pool's own errors where there is none of mysql2's", async () => {
    const pool = poolOf({ ...address, maxConnections: 1, acquireTimeoutMs: 1_000 });
    const facade = asMysqlPool(pool);
    const held = await connectionFrom(facade);
    expect(await failure(connectionFrom(facade))).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    held.release();
    await pool.close();
    expect(await failure(connectionFrom(facade))).toMatchObject({ code: 'POOL_CLOSED' });
  });

  it('lets an error of a callback reach the process, not a promise of ours, and keeps the slot', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const facade = asMysqlPool(pool);
    const thrown = new Error('from a listener');
    facade.once('acquire', () => {
      throw thrown;
    });
    (await pool.acquire()).release();
    await until(() => pool.stats().idleConnections === 1, 'it is idle');
    expect(() => facade.getConnection(() => {})).toThrow(thrown);
    expect((await facade.promise().query('select 1 as a'))[0]).toEqual([{ a: 1 }]);
    await until(() => pool.stats().activeConnections === 0, 'nothing is held');
  });

  it('end() lends no more, waits for its own borrowers and leaves the pool open', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const facade = asMysqlPool(pool);
    const held = await connectionFrom(facade);
    const waits = connectionFrom(facade);
    const ended = jest.fn();
    facade.end(ended);
    expect(await failure(connectionFrom(facade))).toMatchObject({ message: 'Pool is closed.' });
    held.release();
    const served = await waits;
    expect(ended).not.toHaveBeenCalled();
    served.release();
    await until(() => ended.mock.calls.length === 1, 'it has ended');
    await facade.promise().end();
    expect((await pool.query('select 1 as a'))[0]).toEqual([{ a: 1 }]);
  });

  it('end() waits no longer than endTimeoutMs, nor than the pool lives', async () => {
    const impatient = asMysqlPool(poolOf(address), { endTimeoutMs: 20 });
    const held = await connectionFrom(impatient);
    await impatient.promise().end();
    expect((await held.promise().query('select 1 as a'))[0]).toEqual([{ a: 1 }]);
    held.release();
    const pool = poolOf(address);
    const patient = asMysqlPool(pool, { endTimeoutMs: Infinity });
    await connectionFrom(patient);
    const ended = patient.promise().end();
    await pool.close({ timeoutMs: 0 });
    await ended;
  });

  it('end() closes the pool with endClosesPool', async () => {
    const pool = poolOf(address);
    const facade = asMysqlPool(pool, { endClosesPool: true });
    await facade.promise().query('select 1');
    await facade.promise().end();
    expect(pool.state).toBe('closed');
  });

  it('is what asMysqlDriver makes a pool of, and no cluster', async () => {
    const driver = asMysqlDriver(poolOf(address));
    const pool = driver.createPool({ host: 'nowhere.invalid' });
    expect((await pool.promise().query('select 1 as a'))[0]).toEqual([{ a: 1 }]);
    expect(() => driver.createPoolCluster()).toThrow('no cluster');
    expect(driver.escape("it's")).toBe("'it\\'s'");
  });
});
