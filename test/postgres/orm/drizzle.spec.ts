import { eq, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core';
import { asPgPool } from 'nestjs-pools/postgres';
import { describeWith, findPostgres } from '../../support/services.js';
import { OrmRig } from './orm-rig.js';

const documents = pgTable('documents', {
  id: serial().primaryKey(),
  title: text().notNull(),
  pages: integer().notNull().default(0),
});

describeWith(await findPostgres(), 'Drizzle on asPgPool', (server) => {
  let rig: OrmRig;
  let db: NodePgDatabase & { $client: { end(): Promise<void> } };

  beforeAll(async () => {
    rig = await OrmRig.start(server, 'drizzle');
  });

  beforeEach(() => {
    db = drizzle(asPgPool(rig.pool));
  });

  afterEach(() => rig.renew());

  afterAll(() => rig.stop());

  const pidOf = async (on: Pick<NodePgDatabase, 'execute'>): Promise<unknown> =>
    (await on.execute(sql`select pg_backend_pid() as pid`)).rows[0]?.pid;

  it('creates, reads, updates and deletes', async () => {
    const [created] = await db.insert(documents).values({ title: 'one' }).returning();
    expect(created).toEqual({ id: 1, title: 'one', pages: 0 });
    await db.update(documents).set({ pages: 7 }).where(eq(documents.id, 1));
    expect(await db.select().from(documents)).toEqual([{ id: 1, title: 'one', pages: 7 }]);
    await db.delete(documents);
    expect(await rig.titles()).toEqual([]);
  });

  it('commits a transaction, on one connection, and a nested one by a savepoint', async () => {
    await db.transaction(async (tx) => {
      await tx.insert(documents).values({ title: 'one' });
      expect(await rig.titles()).toEqual([]);
      const others = await Promise.all([pidOf(db), pidOf(db)]);
      const own = [await pidOf(tx), await pidOf(tx)];
      expect(own[0]).toBe(own[1]);
      expect(others).not.toContain(own[0]);
      const nested = tx.transaction(async (inner) => {
        await inner.insert(documents).values({ title: 'two' });
        throw new Error('not this one');
      });
      await expect(nested).rejects.toThrow('not this one');
      await tx.insert(documents).values({ title: 'three' });
    });
    expect(await rig.titles()).toEqual(['one', 'three']);
  });

  it('rolls a transaction back', async () => {
    const work = db.transaction(async (tx) => {
      await tx.insert(documents).values({ title: 'one' });
      tx.rollback();
    });
    await expect(work).rejects.toThrow('Rollback');
    expect(await rig.titles()).toEqual([]);
    expect(rig.pool.stats()).toMatchObject({ idleConnections: 1, totalConnections: 1 });
  });

  it('hands on the error of the server, and keeps the connection', async () => {
    await db.insert(documents).values({ title: 'one' });
    const again = db.insert(documents).values({ title: 'one' });
    await expect(again).rejects.toMatchObject({ cause: { code: '23505', constraint: 'documents_title' } });
    const work = db.transaction(async (tx) => {
      await tx.insert(documents).values({ title: 'two' });
      await tx.insert(documents).values({ title: 'one' });
    });
    await expect(work).rejects.toMatchObject({ cause: { code: '23505' } });
    await db.insert(documents).values({ title: 'three' });
    expect(await rig.titles()).toEqual(['one', 'three']);
    // pg-pool opens another one for each such error.
    expect(rig.pool.stats()).toMatchObject({ created: 1, idleConnections: 1 });
  });

  it('serves fifty at a time on five connections', async () => {
    const work = Array.from({ length: 50 }, async (_, index) => {
      await db.execute(sql`select pg_sleep(0.02)`);
      await db.transaction((tx) => tx.insert(documents).values({ title: `title ${index}` }));
    });
    expect(await rig.countWhile(Promise.all(work))).toBeLessThanOrEqual(rig.most);
    expect(await rig.titles()).toHaveLength(50);
    expect(rig.pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0 });
  });

  it('runs prepared statements and relational reads in array mode', async () => {
    await db.insert(documents).values([
      { title: 'one', pages: 1 },
      { title: 'two', pages: 2 },
    ]);
    const byPages = db
      .select()
      .from(documents)
      .where(eq(documents.pages, sql.placeholder('pages')))
      .prepare('by_pages');
    for (const pages of [1, 2, 1]) expect(await byPages.execute({ pages })).toMatchObject([{ pages }]);
  });

  it('is ended without harm to the pool', async () => {
    await db.insert(documents).values({ title: 'one' });
    await db.$client.end();
    await expect(db.select().from(documents)).rejects.toThrow();
    expect(await rig.pool.query('select title from documents')).toMatchObject({ rows: [{ title: 'one' }] });
  });
});
