import { createServer } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { jest } from '@jest/globals';
import { type MysqlPool, mysqlPool, type MysqlPoolOptions } from 'nestjs-pools/mysql';
import { describeWith, findMysql } from '../support/services.js';
import { addressOf, adminOf, closeAll, failure, poolOf, rowsOf, threadsThatRun, until, valueOf } from './rig.js';

const found = await findMysql();

jest.setTimeout(60_000);
afterEach(closeAll);

/** The callback connection under the one that is lent. */
interface Inner {
  readonly connection: {
    query(sql: string): { stream(): NodeJS.ReadableStream };
    readonly config: { charsetNumber: number };
  };
}

describeWith(found, 'a session between two borrowers', (server) => {
  const address = { ...addressOf(server), maxConnections: 1 };

  /** Lends the one connection twice, and sees that it was the same. */
  async function oneAfterTheOther<R>(
    pool: MysqlPool,
    first: (connection: Connection) => unknown,
    second: (connection: Connection) => Promise<R>,
  ): Promise<R> {
    const id = await pool.use(async (connection) => {
      await first(connection);
      return connection.threadId;
    });
    return pool.use((connection) => {
      expect(connection.threadId).toBe(id);
      return second(connection);
    });
  }

  const LEFT_BEHIND: [what: string, sql: string[], look: string, clean: unknown][] = [
    ['a user variable', ['set @x = 17'], 'select @x', null],
    [
      'a session variable',
      ['set sort_buffer_size = 33000'],
      'select @@sort_buffer_size = @@global.sort_buffer_size',
      1,
    ],
    ['a time zone', ["set time_zone = '+05:00'"], 'select @@time_zone = @@global.time_zone', 1],
    [
      'an isolation level',
      ['set session transaction isolation level serializable'],
      'select @@tx_isolation',
      'REPEATABLE-READ',
    ],
    ['autocommit turned off', ['set autocommit = 0'], 'select @@autocommit', 1],
    ['a named lock', ["select get_lock('np-reset', 0)"], "select is_free_lock('np-reset')", 1],
    ['another charset', ['set names latin1'], 'select @@character_set_client', 'utf8mb4'],
    [
      'another collation',
      ['set collation_connection = utf8mb4_bin'],
      'select @@collation_connection',
      'utf8mb4_unicode_ci',
    ],
    ['another database', ['use information_schema'], 'select database()', server.database],
  ];

  it.each(LEFT_BEHIND)('has lost %s', async (_what, statements, look, clean) => {
    const pool = poolOf(address);
    const seen = await oneAfterTheOther(
      pool,
      async (connection) => {
        for (const sql of statements) await connection.query(sql);
      },
      (connection) => valueOf(connection, look),
    );
    expect(seen).toEqual(clean);
  });

  it('has lost temporary tables and table locks', async () => {
    const pool = poolOf(address);
    const admin = await adminOf(server);
    await admin.query('create table if not exists np_locked (id int)');
    const error = await oneAfterTheOther(
      pool,
      async (connection) => {
        await connection.query('create temporary table np_temporary (id int)');
        await connection.query('lock tables np_locked write');
      },
      (connection) => failure(connection.query('select * from np_temporary')),
    );
    expect(error).toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
    await admin.query('insert into np_locked values (1)');
    await admin.query('drop table np_locked');
  });

  it.each(['connection', 'transactions'] as const)('has lost an open transaction by reset: %s', async (reset) => {
    const pool = poolOf({ ...address, reset });
    const admin = await adminOf(server);
    await admin.query('create table if not exists np_open (id int primary key) engine=innodb; delete from np_open');
    for (const begin of [['begin'], ['set autocommit = 0'], ["xa start 'np-xa'"], ['begin', 'commit and chain']]) {
      const seen = await oneAfterTheOther(
        pool,
        async (connection) => {
          for (const sql of begin) await connection.query(sql);
          await connection.query('insert into np_open values (1)');
          if (reset === 'transactions' && begin[0]!.startsWith('xa')) {
            // ROLLBACK does not end it: the server refuses, and the connection is replaced.
            await connection.query("xa end 'np-xa'");
            await connection.query("xa rollback 'np-xa'");
          }
        },
        async (connection) => {
          await connection.query('insert into np_open values (2)');
          await connection.query('rollback');
          return rowsOf(admin, 'select id from np_open').then((rows) => rows.map(({ id }) => id as number));
        },
      );
      expect([begin, seen]).toEqual([begin, reset === 'connection' || begin[0] !== 'set autocommit = 0' ? [2] : []]);
      await admin.query('delete from np_open');
      await pool.use((connection) => connection.query('set autocommit = 1'));
    }
    await admin.query('drop table np_open');
  });

  it('has lost the view of the data that a read has opened without autocommit, which no answer tells', async () => {
    const admin = await adminOf(server);
    await admin.query('create or replace table np_view (id int primary key) engine=innodb');
    const pool = poolOf({ ...address, reset: 'transactions' });
    await pool.use(async (connection) => {
      await connection.query('set autocommit = 0');
      await connection.query('select * from np_view');
    });
    await admin.query('insert into np_view values (1)');
    expect(await pool.use((connection) => rowsOf(connection, 'select id from np_view'))).toEqual([{ id: 1 }]);
    await pool.close({ timeoutMs: 0 });
    await admin.query('drop table np_view');
  });

  it.each([
    ['an error', 'call np_begins_and_fails()'],
    ['a result before it', 'call np_begins()'],
  ])('has lost a transaction that a procedure has begun, told by no answer but %s', async (_what, call) => {
    const admin = await adminOf(server);
    await admin.query('create or replace table np_hidden (id int primary key) engine=innodb');
    await admin.query(
      "create or replace procedure np_begins_and_fails() begin start transaction; insert into np_hidden values (1); signal sqlstate '45000'; end",
    );
    await admin.query(
      'create or replace procedure np_begins() begin start transaction; insert into np_hidden values (1); select 1; end',
    );
    const pool = poolOf({ ...address, reset: 'transactions' });
    await pool.use((connection) => connection.query(call).catch(() => {}));
    await pool.query('insert into np_hidden values (2)');
    expect((await rowsOf(admin, 'select id from np_hidden')).map(({ id }) => id as number)).toEqual([2]);
    await admin.query('drop procedure np_begins; drop procedure np_begins_and_fails; drop table np_hidden');
  });

  it('speaks UTF-8 again after a borrower that chose another charset, on both sides', async () => {
    const pool = poolOf(address);
    const text = 'grüße 🦆';
    const seen = await oneAfterTheOther(
      pool,
      (connection) => connection.query('set names latin1'),
      async (connection) => [
        await valueOf(connection, `select '${text}'`),
        await valueOf(connection, `select hex('${text}')`),
      ],
    );
    expect(seen).toEqual([text, Buffer.from(text).toString('hex').toUpperCase()]);
  });

  it('keeps the charset and collation that the pool was given', async () => {
    const pool = poolOf({ ...address, charset: 'LATIN1_GERMAN1_CI' });
    const look = 'select @@character_set_client, @@collation_connection';
    const before = await pool.use((connection) => rowsOf(connection, look));
    const after = await oneAfterTheOther(
      pool,
      (connection) => connection.query('set names utf8mb4'),
      (connection) => rowsOf(connection, look),
    );
    expect(after).toEqual(before);
    expect(Object.values(after[0]!)).toEqual(['latin1', 'latin1_german1_ci']);
  });

  it('prepares statements anew, since the server has forgotten them', async () => {
    const pool = poolOf(address);
    for (let round = 1; round <= 5; round += 1) {
      const [rows] = await pool.execute('select ? + ? as sum', [round, 1]);
      expect(rows).toEqual([{ sum: round + 1 }]);
    }
    expect(pool.stats().created).toBe(1);
  });

  it('keeps prepared statements and variables by reset: transactions', async () => {
    const pool = poolOf({ ...address, reset: 'transactions' });
    const prepared = (): Promise<unknown> =>
      pool.use(
        async (connection) => (await rowsOf(connection, "show session status like 'Com_stmt_prepare'"))[0]!['Value'],
      );
    await pool.query('set @kept = 1');
    await pool.execute('select ? as a', [1]);
    const before = await prepared();
    expect((await pool.execute('select ? as a', [2]))[0]).toEqual([{ a: 2 }]);
    expect(await prepared()).toBe(before);
    expect(await valueOf(pool, 'select @kept')).toBe(1);
  });

  it('runs onConnect again after a reset, and only then', async () => {
    for (const [reset, times] of [
      ['connection', 3],
      ['transactions', 1],
    ] as const) {
      let runs = 0;
      const pool = poolOf({
        ...address,
        reset,
        onConnect: async (connection) => {
          runs += 1;
          connection.on('error', () => {});
          await connection.query("set time_zone = '+03:00', @mine = 1");
        },
      });
      for (let use = 0; use < 2; use += 1) {
        await pool.use(async (connection) => {
          expect(await rowsOf(connection, 'select @@time_zone as zone, @mine as mine')).toEqual([
            { zone: '+03:00', mine: 1 },
          ]);
          expect(connection.listenerCount('error')).toBe(1);
        });
      }
      await pool.use(() => {});
      expect([reset, runs]).toEqual([
        reset,
        times + (reset === 'connection' ? 1 : 0) - (reset === 'connection' ? 1 : 0),
      ]);
    }
  });

  it('is given up when onConnect fails after a reset', async () => {
    let fails = false;
    const pool = poolOf({ ...address, onConnect: () => (fails ? Promise.reject(new Error('no')) : undefined) });
    await pool.use(() => {
      fails = true;
    });
    await until(() => pool.stats().destroyed.reset === 1, 'it is destroyed');
    fails = false;
    expect(await valueOf(pool, 'select 1')).toBe(1);
  });

  it('runs SQL of the user by reset: { sql }, after the rollback', async () => {
    const pool = poolOf({ ...address, reset: { sql: ['set @a = null', 'set @b = 7'] } });
    await pool.use(async (connection) => {
      await connection.query('set @a = 1, @c = 3');
      await connection.query('begin');
    });
    expect(await pool.use((connection) => rowsOf(connection, 'select @a as a, @b as b, @c as c'))).toEqual([
      { a: null, b: 7, c: 3 },
    ]);
  });

  it('is left as it is by reset: none', async () => {
    const pool = poolOf({ ...address, reset: 'none' });
    const seen = await oneAfterTheOther(
      pool,
      (connection) => connection.query('set @x = 17'),
      (connection) => valueOf(connection, 'select @x'),
    );
    expect(seen).toBe(17);
  });

  it('is replaced where its borrower has chosen a database and the pool has none', async () => {
    const pool = poolOf({ ...address, database: undefined as never });
    const id = await pool.use(async (connection) => {
      await connection.query('use information_schema');
      return connection.threadId;
    });
    await pool.use(async (connection) => {
      expect(connection.threadId).not.toBe(id);
      expect(await valueOf(connection, 'select database()')).toBeNull();
    });
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it.each(['connection', 'transactions', 'none'] as const)(
    'waits for queries that its borrower has left running and queued, by reset: %s',
    async (reset) => {
      const pool = poolOf({ ...address, reset });
      const results: string[] = [];
      const id = await pool.use((connection) => {
        for (const name of ['one', 'two']) {
          void connection.query(`select sleep(0.1)`).then(
            () => results.push(name),
            () => results.push(`${name} failed`),
          );
        }
        return connection.threadId;
      });
      await pool.use((connection) => {
        expect(connection.threadId).toBe(id);
        expect(results).toEqual(['one', 'two']);
      });
    },
  );

  it('is given up, and its query ended on the server, when what was left running takes longer than resetTimeoutMs', async () => {
    const admin = await adminOf(server);
    const pool = poolOf({ ...address, resetTimeoutMs: 50 });
    const lost = await pool.use((connection) => ({
      query: failure(connection.query("select sleep(60), 'left-running'")),
    }));
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect((await lost.query).code).toMatch(/PROTOCOL_CONNECTION_LOST|ER_QUERY_INTERRUPTED/);
    expect(pool.stats().destroyed.reset).toBe(1);
    await until(async () => (await threadsThatRun(admin, 'left-running')).length === 0, 'the server has stopped');
  });

  it('is given up when it comes back with a stream that nobody reads any more', async () => {
    const pool = poolOf(address);
    await pool.use(async (connection) => {
      const { connection: inner } = connection as unknown as Inner;
      const stream = inner.query('select seq, repeat("x", 1000) from seq_1_to_20000').stream();
      await new Promise((resolve) => stream.once('readable', resolve));
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('is given up when it is used while it is being given back', async () => {
    const pool = poolOf(address);
    const id = await pool.use((connection) => {
      const late = connection.query('do sleep(0.05)').then(() => connection.query('select sleep(0.2)'));
      late.catch(() => {});
      return connection.threadId;
    });
    await pool.use((connection) => expect(connection.threadId).not.toBe(id));
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('is replaced after an error that says that its server takes no writes any more', async () => {
    const admin = await adminOf(server);
    await admin.query('create table if not exists np_read_only (id int)');
    const pool = poolOf(address);
    const id = await pool.use(async (connection) => {
      await connection.query('start transaction read only');
      expect(await failure(connection.query('insert into np_read_only values (1)'))).toMatchObject({ errno: 1792 });
      return connection.threadId;
    });
    await pool.use((connection) => expect(connection.threadId).not.toBe(id));
    await admin.query('drop table np_read_only');
  });

  it('costs no round trip by reset: transactions where there was no transaction', async () => {
    const pool = poolOf({ ...address, reset: 'transactions' });
    const lease = await pool.acquire();
    await lease.connection.query('select 1');
    await lease.connection.query('start transaction');
    await lease.connection.query('commit');
    lease.release();
    // At once, not when something has come back from the server.
    expect(pool.stats().idleConnections).toBe(1);
  });
});

describe('a session of MySQL, which forgets the charset of the login at a reset', () => {
  it('is told it again', async () => {
    const commands: string[] = [];
    let id = 0;
    const RESET = 0x1f;
    const fake = createServer((connection) => {
      connection.on('error', () => {});
      // Each command counts its packets anew.
      const answer = (): void => {
        connection.writeOk();
        connection.sequenceId = 0;
      };
      connection.serverHandshake({
        protocolVersion: 10,
        serverVersion: '8.4.0',
        connectionId: (id += 1),
        statusFlags: 2,
        characterSet: 8,
        // Without compression and TLS.
        capabilityFlags: 0xffffff ^ 0x800 ^ 0x20,
        authCallback: (_login: unknown, done: (error: null) => void) => {
          done(null);
          connection.sequenceId = 0;
        },
      });
      // It takes every SET for a PREPARE.
      for (const event of ['query', 'stmt_prepare']) {
        connection.on(event, (sql: string) => {
          commands.push(sql);
          answer();
        });
      }
      connection.on('packet', (_packet: unknown, isKnown: boolean, code: number) => {
        if (isKnown || code !== RESET) return;
        commands.push('COM_RESET_CONNECTION');
        answer();
      });
    }) as unknown as {
      listen(port: number, done: () => void): void;
      close(done: () => void): void;
      _server: { address(): { port: number } };
    };
    await new Promise<void>((resolve) => fake.listen(0, resolve));
    const options: MysqlPoolOptions = {
      host: '127.0.0.1',
      port: fake._server.address().port,
      user: 'x',
      maxConnections: 1,
      charset: 'utf8mb4_0900_ai_ci',
    };
    const definition = mysqlPool({ minConnections: 0, ...options });
    const pool = definition.createPool({ name: 'db', factory: definition.factory, ...definition.limits });
    await pool.query('do 1');
    await until(() => pool.stats().idleConnections === 1, 'it is idle');
    expect(commands).toEqual(['do 1', 'COM_RESET_CONNECTION', 'SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci']);
    await pool.close({ timeoutMs: 0 });
    await new Promise<void>((resolve) => fake.close(resolve));
  });
});
