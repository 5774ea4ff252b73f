import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';
import Cursor from 'pg-cursor';
import { asPgPool } from 'nestjs-pools/postgres';
import { describeWith, findPostgres } from '../../support/services.js';
import { OrmRig } from './orm-rig.js';

interface Database {
  documents: { id: Generated<number>; title: string; pages: Generated<number> };
}

describeWith(await findPostgres(), 'Kysely on asPgPool', (server) => {
  let rig: OrmRig;
  let db: Kysely<Database>;

  beforeAll(async () => {
    rig = await OrmRig.start(server, 'kysely');
  });

  beforeEach(() => {
    db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: asPgPool(rig.pool), cursor: Cursor }) });
  });

  afterEach(async () => {
    await db.destroy();
    await rig.renew();
  });

  afterAll(() => rig.stop());

  async function add(title: string): Promise<number> {
    const { id } = await db.insertInto('documents').values({ title }).returning('id').executeTakeFirstOrThrow();
    return id;
  }

  it('creates, reads, updates and deletes', async () => {
    const id = await add('one');
    const read = db.selectFrom('documents').selectAll().where('id', '=', id);
    expect(await read.executeTakeFirst()).toEqual({ id, title: 'one', pages: 0 });
    const updated = await db.updateTable('documents').set({ pages: 7 }).where('id', '=', id).executeTakeFirst();
    expect(updated.numUpdatedRows).toBe(1n);
    expect(await read.executeTakeFirst()).toEqual({ id, title: 'one', pages: 7 });
    await db.deleteFrom('documents').where('id', '=', id).execute();
    expect(await read.execute()).toEqual([]);
  });

  it('commits a transaction, on one connection', async () => {
    const pids = await db.transaction().execute(async (trx) => {
      const pid = sql<{ pid: number }>`select pg_backend_pid() as pid`;
      await trx.insertInto('documents').values({ title: 'one' }).execute();
      expect(await rig.titles()).toEqual([]);
      return [(await pid.execute(trx)).rows[0]?.pid, (await pid.execute(trx)).rows[0]?.pid];
    });
    expect(pids[0]).toBe(pids[1]);
    expect(await rig.titles()).toEqual(['one']);
  });

  it('rolls a transaction back', async () => {
    const work = db.transaction().execute(async (trx) => {
      await trx.insertInto('documents').values({ title: 'one' }).execute();
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect(await rig.titles()).toEqual([]);
    expect(rig.pool.stats()).toMatchObject({ idleConnections: 1, totalConnections: 1 });
  });

  it('hands on the error of the server, and keeps the connection', async () => {
    await add('one');
    await expect(add('one')).rejects.toMatchObject({ code: '23505', constraint: 'documents_title' });
    await expect(
      db.transaction().execute(async (trx) => {
        await trx.insertInto('documents').values({ title: 'two' }).execute();
        await trx.insertInto('documents').values({ title: 'one' }).execute();
      }),
    ).rejects.toMatchObject({ code: '23505' });
    await add('three');
    expect(await rig.titles()).toEqual(['one', 'three']);
    expect(rig.pool.stats()).toMatchObject({ created: 1, idleConnections: 1 });
  });

  it('serves fifty at a time on five connections', async () => {
    const work = Array.from({ length: 50 }, async (_, index) => {
      await sql`select pg_sleep(0.02)`.execute(db);
      await db.transaction().execute((trx) =>
        trx
          .insertInto('documents')
          .values({ title: `title ${index}` })
          .execute(),
      );
    });
    expect(await rig.countWhile(Promise.all(work))).toBeLessThanOrEqual(rig.most);
    expect(await rig.titles()).toHaveLength(50);
    expect(rig.pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0 });
  });

  it('streams, to the end and not', async () => {
    await sql`insert into documents (title) select 'title ' || n from generate_series(1, 250) as n`.execute(db);
    let seen = 0;
    for await (const { title } of db.selectFrom('documents').select('title').stream(100))
      seen += title.length > 0 ? 1 : 0;
    expect(seen).toBe(250);
    for await (const _row of db.selectFrom('documents').selectAll().stream(10)) break;
    expect(rig.pool.stats()).toMatchObject({ idleConnections: 1, totalConnections: 1 });
    await add('after the stream');
  });

  it('is destroyed without harm to the pool', async () => {
    await add('one');
    await db.destroy();
    await expect(add('two')).rejects.toThrow();
    expect(await rig.pool.query('select title from documents')).toMatchObject({ rows: [{ title: 'one' }] });
  });
});
