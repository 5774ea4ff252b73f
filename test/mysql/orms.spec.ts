import { jest } from '@jest/globals';
import { eq, sql } from 'drizzle-orm';
import { int, mysqlTable, varchar } from 'drizzle-orm/mysql-core';
import { drizzle } from 'drizzle-orm/mysql2';
import { type Generated, Kysely, MysqlDialect } from 'kysely';
import { asMysqlDriver, asMysqlPool, type MysqlPool } from 'nestjs-pools/mysql';
import { DataSource, EntitySchema } from 'typeorm';
import { describeWith, findMysql } from '../support/services.js';
import { addressOf, adminOf, closeAll, failure, poolOf, until, valueOf } from './rig.js';

const found = await findMysql();

jest.setTimeout(60_000);
afterEach(closeAll);

/** What every one of them must be able to do on a pool of ours. */
interface Library {
  insert(id: number, name: string): Promise<unknown>;
  nameOf(id: number): Promise<string | undefined>;
  /** Inserts two in one transaction, and fails after that if told to. */
  insertBoth(ids: [number, number], error?: Error): Promise<unknown>;
  /** The server's error for a name that is not there. */
  fail(): Promise<unknown>;
  end(): Promise<unknown>;
}

interface Database {
  np_kysely: { id: Generated<number>; name: string };
}

function onKysely(pool: MysqlPool): Library {
  const db = new Kysely<Database>({ dialect: new MysqlDialect({ pool: asMysqlPool(pool) }) });
  return {
    insert: (id, name) => db.insertInto('np_kysely').values({ id, name }).execute(),
    nameOf: async (id) =>
      (await db.selectFrom('np_kysely').select('name').where('id', '=', id).executeTakeFirst())?.name,
    insertBoth: (ids, error) =>
      db.transaction().execute(async (transaction) => {
        for (const id of ids)
          await transaction
            .insertInto('np_kysely')
            .values({ id, name: `k${id}` })
            .execute();
        if (error) throw error;
      }),
    fail: () =>
      db
        .selectFrom('np_nothing' as 'np_kysely')
        .selectAll()
        .execute(),
    end: () => db.destroy(),
  };
}

const drizzled = mysqlTable('np_drizzle', {
  id: int('id').primaryKey(),
  name: varchar('name', { length: 40 }).notNull(),
});

function onDrizzle(pool: MysqlPool): Library {
  const facade = asMysqlPool(pool);
  const db = drizzle(facade);
  return {
    insert: (id, name) => db.insert(drizzled).values({ id, name }),
    nameOf: async (id) => (await db.select().from(drizzled).where(eq(drizzled.id, id)))[0]?.name,
    insertBoth: (ids, error) =>
      db.transaction(async (transaction) => {
        for (const id of ids) await transaction.insert(drizzled).values({ id, name: `d${id}` });
        if (error) throw error;
      }),
    fail: () => db.execute(sql`select * from np_nothing`).catch((error: Error) => Promise.reject(error.cause as Error)),
    end: () => facade.promise().end(),
  };
}

async function onTypeOrm(pool: MysqlPool): Promise<Library> {
  const entity = new EntitySchema<{ id: number; name: string }>({
    name: 'np_typeorm',
    columns: { id: { type: Number, primary: true }, name: { type: String } },
  });
  const source = await new DataSource({ type: 'mysql', driver: asMysqlDriver(pool), entities: [entity] }).initialize();
  const rows = source.getRepository(entity);
  return {
    insert: (id, name) => rows.insert({ id, name }),
    nameOf: async (id) => (await rows.findOneBy({ id }))?.name,
    insertBoth: (ids, error) =>
      source.transaction(async (manager) => {
        for (const id of ids) await manager.insert(entity, { id, name: `t${id}` });
        if (error) throw error;
      }),
    fail: () => source.query('select * from np_nothing'),
    end: () => source.destroy(),
  };
}

const LIBRARIES: [name: string, table: string, on: (pool: MysqlPool) => Library | Promise<Library>][] = [
  ['Kysely', 'np_kysely', onKysely],
  ['Drizzle', 'np_drizzle', onDrizzle],
  ['TypeORM', 'np_typeorm', onTypeOrm],
];

describe.each(LIBRARIES)('%s', (_name, table, on) => {
  describeWith(found, 'on a pool of MySQL connections', (server) => {
    let pool: MysqlPool;
    let library: Library;

    beforeEach(async () => {
      const admin = await adminOf(server);
      await admin.query(
        `create or replace table ${table} (id int primary key, name varchar(40) not null) engine=innodb`,
      );
      pool = poolOf({
        ...addressOf(server),
        maxConnections: 4,
        supportBigNumbers: true,
        bigNumberStrings: true,
        stringifyObjects: true,
      });
      library = await on(pool);
    });

    afterEach(async () => {
      await library.end();
      // It was not the library's to close.
      expect(pool.state).toBe('open');
      expect(await valueOf(pool, 'select 1')).toBeTruthy();
      await until(() => pool.stats().activeConnections === 0, 'nothing is held');
      await pool.query(`drop table ${table}`);
    });

    it('creates and reads', async () => {
      await library.insert(1, 'grüße 🦆');
      expect(await library.nameOf(1)).toBe('grüße 🦆');
      expect(await library.nameOf(2)).toBeUndefined();
    });

    it('commits a transaction and rolls one back', async () => {
      await library.insertBoth([1, 2]);
      const error = new Error('no');
      expect(await failure(library.insertBoth([3, 4], error))).toBe(error);
      expect(await failure(library.insertBoth([5, 1]))).toBeInstanceOf(Error);
      expect(Number(await valueOf(pool, `select sum(id) from ${table}`))).toBe(3);
    });

    it("passes the server's error on", async () => {
      expect(await failure(library.fail())).toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
      expect(await library.nameOf(1)).toBeUndefined();
    });

    it('shares few connections among many that use it at the same time', async () => {
      await Promise.all(
        Array.from({ length: 60 }, async (_, user) => {
          const id = user * 10;
          await library.insert(id, `user ${user}`);
          await library.insertBoth([id + 1, id + 2]);
          if (user % 3 === 0) await failure(library.insertBoth([id + 3, id + 1]));
          expect(await library.nameOf(id)).toBe(`user ${user}`);
        }),
      );
      expect(Number(await valueOf(pool, `select count(*) from ${table}`))).toBe(180);
      expect(pool.stats().created).toBeLessThanOrEqual(4);
    });
  });
});

describeWith(found, 'a stream of Kysely on a pool of MySQL connections', (server) => {
  it('gives its connection back at its end, and when it is left early', async () => {
    const pool = poolOf({ ...addressOf(server), maxConnections: 1 });
    const db = new Kysely<Record<string, { seq: number }>>({ dialect: new MysqlDialect({ pool: asMysqlPool(pool) }) });
    let rows = 0;
    for await (const _row of db.selectFrom('seq_1_to_3000').selectAll().stream()) rows += 1;
    for await (const _row of db.selectFrom('seq_1_to_3000').selectAll().stream()) {
      rows += 1;
      if (rows === 3010) break;
    }
    expect(rows).toBe(3010);
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats().created).toBe(1);
    await db.destroy();
  });
});

describeWith(found, 'an iterator of Drizzle on a pool of MySQL connections', (server) => {
  it('gives its connection back at its end, and when it is left early', async () => {
    const pool = poolOf({ ...addressOf(server), maxConnections: 1 });
    const table = mysqlTable('seq_1_to_3000', { seq: int('seq').notNull() });
    const db = drizzle(asMysqlPool(pool));
    let rows = 0;
    for await (const _row of db.select().from(table).prepare().iterator()) rows += 1;
    for await (const _row of db.select().from(table).prepare().iterator()) {
      rows += 1;
      if (rows === 3010) break;
    }
    expect(rows).toBe(3010);
    expect(await valueOf(pool, 'select 1')).toBe(1);
  });
});
