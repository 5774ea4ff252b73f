import { jest } from '@jest/globals';
import { describeWith, findMysql } from '../support/services.js';
import { seeded } from '../support/seeded.js';
import { addressOf, adminOf, closeAll, poolOf, rowsOf, until, valueOf } from './rig.js';

const found = await findMysql();

jest.setTimeout(120_000);
afterEach(closeAll);

describeWith(found, 'two hundred users of five MySQL connections', (server) => {
  it('never see what another one has done to a session, nor write into his transaction', async () => {
    const admin = await adminOf(server);
    await admin.query('create or replace table np_many (user int, step int) engine=innodb');
    const pool = poolOf({ ...addressOf(server), maxConnections: 5, acquireTimeoutMs: 60_000 });
    const random = seeded(4711);
    const clean = { x: null, zone: 1, autocommit: 1, db: server.database, charset: 'utf8mb4', lock: 1 };
    let done = 0;
    let failed = 0;

    const visit = async (user: number, kind: number): Promise<void> => {
      await pool.use(async (connection) => {
        const [seen] = await rowsOf(
          connection,
          "select @x as x, @@time_zone = @@global.time_zone as zone, @@autocommit as autocommit, database() as db, @@character_set_client as charset, ifnull(is_used_lock('np-many') <> connection_id(), 1) as 'lock'",
        );
        expect(seen).toEqual(clean);
        expect(await rowsOf(connection, "show tables like 'np_own'")).toEqual([]);
        const [statement] = await connection.execute('select ? as user', [user]);
        expect(statement).toEqual([{ user }]);
        // Each leaves another mess behind.
        await connection.query(`set @x = ${user}, time_zone = '+0${user % 9}:00'`);
        await connection.query('create temporary table np_own (id int)');
        if (kind === 0) await connection.query('set autocommit = 0');
        if (kind === 1) await connection.query('use information_schema');
        if (kind === 2) await connection.query('set names latin1');
        if (kind === 3) await connection.query("select get_lock('np-many', 0)");
        if (kind === 4) void connection.query('do sleep(0.002)');
        if (kind === 5) await connection.query('select * from np_no_such_table').catch(() => (failed += 1));
        await connection.query('begin');
        await connection.query(`insert into ${server.database}.np_many values (${user}, ${kind})`);
        if (kind === 6) throw new Error('left in the middle of a transaction');
      });
    };

    await Promise.all(
      Array.from({ length: 200 }, async (_, user) => {
        for (let step = 0; step < 5; step += 1) {
          const kind = random.below(8);
          if (kind === 7) {
            await pool.transaction((connection) => connection.query(`insert into np_many values (${user}, 100)`));
          } else {
            await visit(user, kind).catch((error: Error) => {
              if (!error.message.startsWith('left in')) throw error;
              failed += 1;
            });
          }
          done += 1;
        }
      }),
    );
    expect(done).toBe(1_000);
    expect(failed).toBeGreaterThan(50);
    await until(() => pool.stats().idleConnections === pool.stats().totalConnections, 'all are back');
    // Only what was committed is there.
    expect(await valueOf(admin, 'select count(*) from np_many where step <> 100')).toBe(0);
    expect(Number(await valueOf(admin, 'select count(*) from np_many where step = 100'))).toBeGreaterThan(50);
    expect(pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0, overdue: 0 });
    expect(pool.stats().created).toBe(5);
    await admin.query('drop table np_many');
  });
});
