import { jest } from '@jest/globals';
import type { Connection } from 'mysql2/promise';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { QueryTimeoutError, TransactionRolledBackError } from 'nestjs-pools/mysql';
import { describeWith, findMysql } from '../support/services.js';
import { addressOf, adminOf, closeAll, failure, poolOf, rowsOf, threadsThatRun, until, valueOf } from './rig.js';

const found = await findMysql();

jest.setTimeout(60_000);
afterEach(closeAll);

describeWith(found, 'query and execute of a MysqlPool', (server) => {
  const address = addressOf(server);

  it('resolve to rows and fields, as mysql2 does, and take its values and options', async () => {
    const pool = poolOf(address);
    for (const method of ['query', 'execute'] as const) {
      const [rows, fields] = await pool[method]('select ? as a, ? as b', [1, 'x']);
      expect(rows).toEqual([{ a: 1, b: 'x' }]);
      expect(fields.map(({ name }) => name)).toEqual(['a', 'b']);
    }
    const [arrays] = await pool.query({ sql: 'select ? as a', rowsAsArray: true }, [3]);
    expect(arrays).toEqual([[3]]);
    const named = poolOf({
      ...address,
      namedPlaceholders: true,
      typeCast: (field, next) => (field.name === 'b' ? 'cast' : next()),
    });
    expect((await named.query('select :x as a, 2 as b', { x: 5 }))[0]).toEqual([{ a: 5, b: 'cast' }]);
  });

  it('reject with the error of the server, and keep the connection', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const id = await valueOf(pool, 'select connection_id()');
    expect(await failure(pool.query('select * from np_no_such_table'))).toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
    expect(await failure(pool.execute('select ? from', [1]))).toMatchObject({ code: 'ER_PARSE_ERROR' });
    expect(await failure(pool.execute('select ?', [undefined as never]))).toBeInstanceOf(TypeError);
    expect(await valueOf(pool, 'select connection_id()')).toBe(id);
  });

  it.each(['query', 'execute'] as const)(
    'give an error of %s a stack that leads to whoever waits for it',
    async (method) => {
      const pool = poolOf({ ...address, maxConnections: 1 });
      async function asksForNothing(): Promise<void> {
        await pool[method]('select * from np_no_such_table', [], method === 'query' ? undefined : { timeoutMs: 9_000 });
      }
      async function asksTwiceAtOnce(): Promise<void> {
        await Promise.all([pool.query('select 1'), asksForNothing()]);
      }
      const first = failure(asksForNothing());
      const queued = failure(asksTwiceAtOnce());
      for (const { stack } of await Promise.all([first, queued])) {
        expect(stack).toMatch(/^Error: Table .*np_no_such_table/u);
        expect(stack).toMatch(/ at (async )?asksForNothing .*mysql-pool\.spec/u);
        expect(stack).not.toMatch(/onStreamRead/u);
      }
      const untraced = poolOf({ ...address, trace: false });
      expect((await failure(untraced[method]('select * from np_no_such_table'))).stack).toMatch(/onStreamRead/u);
    },
  );

  it('refuse a callback and wrong options', async () => {
    const pool = poolOf(address);
    expect(await failure(pool.query('select 1', (() => {}) as never))).toBeInstanceOf(TypeError);
    expect(await failure(pool.query('select 1', [], { timeoutMs: 0, nonsense: 1 } as never))).toMatchObject({
      problems: [
        'timeoutMs: expected a number of milliseconds above 0, or Infinity, got another number',
        'nonsense: no such option',
      ],
    });
  });

  it.each(['query', 'execute'] as const)(
    'end an aborted %s on the server, and lend its connection when it has ended',
    async (method) => {
      const admin = await adminOf(server);
      const pool = poolOf({ ...address, maxConnections: 1 });
      const id = await valueOf(pool, 'select connection_id()');
      const controller = new AbortController();
      const slow = failure(pool[method]("select sleep(30), 'np-aborted'", [], { signal: controller.signal }));
      await until(async () => (await threadsThatRun(admin, 'np-aborted')).length === 1, 'it runs');
      const reason = new Error('changed my mind');
      controller.abort(reason);
      expect(await slow).toBe(reason);
      const begun = performance.now();
      expect(await valueOf(pool, 'select connection_id()')).toBe(id);
      expect(performance.now() - begun).toBeLessThan(10_000);
      expect(await threadsThatRun(admin, 'np-aborted')).toEqual([]);
      expect(pool.stats()).toMatchObject({ created: 1, totalConnections: 1 });
    },
  );

  it('end one that takes longer than its timeoutMs', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    await pool.query('select 1', [], { timeoutMs: 5_000, signal: new AbortController().signal });
    const error = await failure(pool.query('select sleep(30)', [], { timeoutMs: 50 }));
    expect(error).toBeInstanceOf(QueryTimeoutError);
    expect(error).toMatchObject({ code: 'MYSQL_QUERY_TIMEOUT', timeoutMs: 50 });
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats().created).toBe(1);
  });

  it('send nothing when the signal has aborted before', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const signal = AbortSignal.abort();
    expect(await failure(pool.query('select 1', [], { signal }))).toMatchObject({ code: 'POOL_ACQUIRE_ABORTED' });
    expect(pool.stats().acquired).toMatchObject({ direct: 0, waited: 0 });
  });

  it('never hit the next borrower with the end of an aborted query, however close they come', async () => {
    const pool = poolOf({ ...address, maxConnections: 3 });
    await pool.query('select 1');
    const outcomes = { aborted: 0, ended: 0 };
    const users = Array.from({ length: 12 }, async (_, user) => {
      for (let round = 0; round < 12; round += 1) {
        if (user % 2 === 0) {
          const controller = new AbortController();
          const query = pool.query('select sleep(0.003)', [], { signal: controller.signal });
          setTimeout(() => controller.abort(), Math.random() * 12);
          await query.then(
            () => (outcomes.ended += 1),
            () => (outcomes.aborted += 1),
          );
        } else {
          // The innocent: any interruption of theirs would reject here, or end their sleep before its time.
          const [rows] = await pool.query<never[]>(`select sleep(0.004) as interrupted, ${user} as user`);
          expect(rows).toEqual([{ interrupted: 0, user }]);
        }
      }
    });
    await Promise.all(users);
    expect(outcomes.aborted).toBeGreaterThan(0);
    expect(outcomes.aborted + outcomes.ended).toBe(72);
  });

  it('end many queries at once over one connection beside the pool', async () => {
    const admin = await adminOf(server);
    await admin.query(
      "create or replace user np_mass@'%' identified by 'x' with max_user_connections 9; create or replace user np_mass@localhost identified by 'x' with max_user_connections 9",
    );
    // The server takes one connection more than the pool may have.
    const pool = poolOf({
      ...address,
      user: 'np_mass',
      password: 'x',
      database: undefined as never,
      maxConnections: 8,
    });
    const controller = new AbortController();
    const slow = Array.from({ length: 100 }, () =>
      failure(pool.query("select sleep(30), 'np-mass'", [], { signal: controller.signal, acquireTimeoutMs: 30_000 })),
    );
    await until(async () => (await threadsThatRun(admin, 'np-mass')).length === 8, 'eight run');
    controller.abort();
    await Promise.all(slow);
    await until(() => pool.stats().idleConnections === 8, 'all are back');
    expect(pool.stats()).toMatchObject({ created: 8, totalConnections: 8, waiting: 0 });
    await pool.close();
    await admin.query("drop user np_mass@'%', np_mass@localhost");
  });

  it('close the connection where the server cannot be told, or is not to be', async () => {
    const admin = await adminOf(server);
    const sockets = new Set<Socket>();
    const proxy = createServer((socket) => {
      // Only the first one gets through.
      if (sockets.size > 0) return void socket.destroy();
      const upstream = connect(server.port, server.host).on('error', () => {});
      sockets.add(socket.on('error', () => {}));
      socket.pipe(upstream).pipe(socket);
      socket.once('close', () => upstream.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const behind = { host: '127.0.0.1', port: (proxy.address() as { port: number }).port };
    for (const options of [
      { ...address, ...behind },
      { ...address, cancel: 'close' as const },
    ]) {
      const pool = poolOf({ ...options, maxConnections: 1 });
      const controller = new AbortController();
      const slow = failure(pool.query("select sleep(2), 'np-closed'", [], { signal: controller.signal }));
      await until(async () => (await threadsThatRun(admin, 'np-closed')).length === 1, 'it runs');
      controller.abort();
      await slow;
      await until(() => pool.stats().totalConnections === 0, 'it is closed');
      expect(pool.stats().destroyed.error).toBe(1);
      await admin.query(`kill ${(await threadsThatRun(admin, 'np-closed'))[0]}`).catch(() => {});
      // Or the next round takes this one's thread for its own, and gives up before its own is open.
      await until(async () => (await threadsThatRun(admin, 'np-closed')).length === 0, 'it has ended');
    }
    proxy.close();
    await once(proxy, 'close');
  });
});

describeWith(found, 'transaction of a MysqlPool', (server) => {
  const address = addressOf(server);
  const TABLE = 'np_transactions';
  let admin: Connection;

  beforeEach(async () => {
    admin = await adminOf(server);
    await admin.query(`create or replace table ${TABLE} (id int primary key, n int not null) engine=innodb`);
    await admin.query(`insert into ${TABLE} values (1, 0), (2, 0)`);
  });
  afterAll(async () => {
    await (await adminOf(server)).query(`drop table if exists ${TABLE}`);
    await closeAll();
  });

  const numbers = async (): Promise<unknown[]> =>
    (await rowsOf(admin, `select n from ${TABLE} order by id`)).map(({ n }) => n as number);
  const add = (connection: Connection, id: number, n = 1): Promise<unknown> =>
    connection.query(`update ${TABLE} set n = n + ${n} where id = ${id}`);

  it('commits when its work has ended well, and resolves to what the work does', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    expect(await pool.transaction((connection) => add(connection, 1).then(() => 'done'))).toBe('done');
    expect(await numbers()).toEqual([1, 0]);
  });

  it('rolls back when its work fails, and rejects with its error', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const error = new Error('no');
    const work = async (connection: Connection): Promise<never> => {
      await add(connection, 1);
      throw error;
    };
    expect(await failure(pool.transaction(work))).toBe(error);
    expect(await numbers()).toEqual([0, 0]);
    expect(pool.stats().created).toBe(1);
  });

  it('takes isolation, readOnly and consistentSnapshot', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const error = await failure(pool.transaction((connection) => add(connection, 1), { readOnly: true }));
    expect(error).toMatchObject({ errno: 1792 });
    await pool.transaction(
      async (connection) => {
        await admin.query(`update ${TABLE} set n = 5 where id = 1`);
        expect(await valueOf(connection, `select n from ${TABLE} where id = 1`)).toBe(0);
      },
      { isolation: 'repeatable read', consistentSnapshot: true, readOnly: true },
    );
    await pool.transaction(
      async (connection) => {
        await valueOf(connection, `select n from ${TABLE} where id = 1`);
        await admin.query(`update ${TABLE} set n = 6 where id = 1`);
        expect(await valueOf(connection, `select n from ${TABLE} where id = 1`)).toBe(6);
      },
      { isolation: 'read committed', readOnly: false },
    );
    expect(
      await failure(pool.transaction(() => {}, { isolation: 'chaos', retryDeadlocks: -1 } as never)),
    ).toMatchObject({
      problems: [
        "isolation: expected 'read uncommitted' or 'read committed' or 'repeatable read' or 'serializable', got a text",
        'retryDeadlocks: expected a whole number from 0, or true, got a negative number',
      ],
    });
  });

  /** Two transactions that want the same two rows in opposite orders. */
  async function collide(options: object): Promise<PromiseSettledResult<unknown>[]> {
    const pool = poolOf({ ...address, maxConnections: 2 });
    let arrived = 0;
    const both = async (): Promise<void> => {
      arrived += 1;
      await until(() => arrived >= 2, 'both have their first row');
    };
    const work = (first: number, second: number) =>
      pool.transaction(async (connection) => {
        await add(connection, first);
        await both();
        await add(connection, second);
      }, options);
    return Promise.allSettled([work(1, 2), work(2, 1)]);
  }

  it('rejects with a deadlock', async () => {
    const results = await collide({});
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { errno: 1213 } });
    expect(await numbers()).toEqual([1, 1]);
  });

  it.each([1, true])('begins again after a deadlock with retryDeadlocks: %s', async (retryDeadlocks) => {
    const results = await collide({ retryDeadlocks });
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await numbers()).toEqual([2, 2]);
  });

  it('begins again after a lock that did not come in time, as often as it may', async () => {
    const pool = poolOf({ ...address, maxConnections: 1, onConnect: 'set innodb_lock_wait_timeout = 1' });
    await admin.query('begin');
    await add(admin, 1, 10);
    let tries = 0;
    const work = async (connection: Connection): Promise<void> => {
      tries += 1;
      if (tries === 2) await admin.query('commit');
      await add(connection, 1);
    };
    await pool.transaction(work, { retryDeadlocks: 3 });
    expect(tries).toBe(2);
    expect(await numbers()).toEqual([11, 0]);
    let failures = 0;
    const always = (): never => {
      failures += 1;
      throw Object.assign(new Error('wrapped'), { cause: { errno: 1213 } });
    };
    await failure(pool.transaction(always, { retryDeadlocks: 2 }));
    expect(failures).toBe(3);
  });

  it('does not pretend to have committed what the server has rolled back with an error that the work ignored', async () => {
    const pool = poolOf({ ...address, maxConnections: 2 });
    let arrived = 0;
    const work = (first: number, second: number) =>
      pool.transaction(async (connection) => {
        await add(connection, first);
        arrived += 1;
        await until(() => arrived >= 2, 'both have their first row');
        await add(connection, second).catch(() => {});
      });
    const results = await Promise.allSettled([work(1, 2), work(2, 1)]);
    const reason = (results.find(({ status }) => status === 'rejected') as PromiseRejectedResult).reason as Error;
    expect(reason).toBeInstanceOf(TransactionRolledBackError);
    expect(reason.cause).toMatchObject({ errno: 1213 });
    expect(await numbers()).toEqual([1, 1]);
  });

  it('commits all the same after an error that undid one statement alone', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    await pool.transaction(async (connection) => {
      await add(connection, 1);
      await failure(connection.query(`insert into ${TABLE} values (1, 1)`));
    });
    expect(await numbers()).toEqual([1, 0]);
  });

  it('ends what runs, sends nothing more and rolls back when its signal aborts', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const seen: unknown[] = [];
    const work = async (connection: Connection): Promise<void> => {
      await add(connection, 1);
      const query = connection.query("select sleep(30), 'np-tx-aborted'");
      await until(async () => (await threadsThatRun(admin, 'np-tx-aborted')).length === 1, 'it runs');
      controller.abort(reason);
      await query.catch((error: { code: string }) => seen.push(error.code));
      await add(connection, 2).catch((error: unknown) => seen.push(error));
    };
    expect(await failure(pool.transaction(work, { signal: controller.signal }))).toBe(reason);
    await until(() => pool.stats().idleConnections === 1, 'all is rolled back behind it');
    expect(seen).toEqual(['ER_QUERY_INTERRUPTED', reason]);
    expect(await numbers()).toEqual([0, 0]);
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats().created).toBe(1);
  });

  it('commits nothing when its signal aborts while its work does something else', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const controller = new AbortController();
    const work = async (connection: Connection): Promise<void> => {
      await add(connection, 1);
      controller.abort();
    };
    expect(await failure(pool.transaction(work, { signal: controller.signal }))).toMatchObject({ name: 'AbortError' });
    expect(await numbers()).toEqual([0, 0]);
    expect(await valueOf(pool, 'select 1')).toBe(1);
  });

  it('keeps the error of its work where the rollback fails, and loses the connection and no slot', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    const error = new Error('no');
    const work = async (connection: Connection): Promise<never> => {
      await add(connection, 1);
      await admin.query(`kill ${connection.threadId}`);
      throw error;
    };
    expect(await failure(pool.transaction(work))).toBe(error);
    expect(await numbers()).toEqual([0, 0]);
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats()).toMatchObject({ totalConnections: 1, activeConnections: 0 });
  });
});
