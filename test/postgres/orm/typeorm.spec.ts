import { Column, DataSource, Entity, PrimaryGeneratedColumn, QueryFailedError, Unique } from 'typeorm';
import { asPgDriver } from 'nestjs-pools/postgres';
import { describeWith, findPostgres } from '../../support/services.js';
import { eventually } from '../../support/http-server.js';
import { OrmRig } from './orm-rig.js';

@Entity('documents')
@Unique('documents_title', ['title'])
class Document {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  title!: string;

  @Column('int', { default: 0 })
  pages!: number;
}

describeWith(await findPostgres(), 'TypeORM on asPgDriver', (server) => {
  let rig: OrmRig;
  let db: DataSource;

  beforeAll(async () => {
    rig = await OrmRig.start(server, 'typeorm');
  });

  beforeEach(async () => {
    db = makeSource();
    await db.initialize();
  });

  afterEach(async () => {
    if (db.isInitialized) await db.destroy();
    await rig.renew();
  });

  afterAll(() => rig.stop());

  const makeSource = (more: object = {}): DataSource =>
    new DataSource({
      type: 'postgres',
      driver: asPgDriver(rig.pool),
      entities: [Document],
      schema: rig.schema,
      ...more,
    });

  const add = (title: string): Promise<Document> => db.manager.save(Document, { title } as Document);

  it('creates, reads, updates and removes entities', async () => {
    const { id } = await add('one');
    const documents = db.getRepository(Document);
    expect(await documents.findOneBy({ id })).toEqual({ id, title: 'one', pages: 0 });
    await documents.update({ id }, { pages: 7 });
    expect(await documents.findOneByOrFail({ title: 'one' })).toMatchObject({ pages: 7 });
    await documents.delete({ id });
    expect(await rig.titles()).toEqual([]);
  });

  it('makes the tables of its entities', async () => {
    await db.destroy();
    const admin = rig.pool.query(`drop table documents`);
    await admin;
    db = makeSource({ synchronize: true });
    await db.initialize();
    await add('one');
    await expect(add('one')).rejects.toMatchObject({ code: '23505', constraint: 'documents_title' });
  });

  it('commits a transaction, on one connection, and a nested one by a savepoint', async () => {
    await db.transaction(async (manager) => {
      const pid = async (): Promise<number> => (await manager.query('select pg_backend_pid() as pid'))[0].pid;
      await manager.save(Document, { title: 'one' } as Document);
      expect(await rig.titles()).toEqual([]);
      expect(await pid()).toBe(await pid());
      const nested = manager.transaction(async (inner) => {
        await inner.save(Document, { title: 'two' } as Document);
        throw new Error('not this one');
      });
      await expect(nested).rejects.toThrow('not this one');
    });
    expect(await rig.titles()).toEqual(['one']);
  });

  it('rolls a transaction back', async () => {
    const work = db.transaction(async (manager) => {
      await manager.save(Document, { title: 'one' } as Document);
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect(await rig.titles()).toEqual([]);
    expect(rig.pool.stats()).toMatchObject({ idleConnections: 1, totalConnections: 1 });
  });

  it('hands on the error of the server, and keeps the connection', async () => {
    await add('one');
    const error: unknown = await add('one').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QueryFailedError);
    expect(error).toMatchObject({ code: '23505', driverError: { code: '23505' } });
    await add('three');
    expect(await rig.titles()).toEqual(['one', 'three']);
    expect(rig.pool.stats()).toMatchObject({ created: 1, idleConnections: 1 });
  });

  it('gives back what a query runner held, and rolls back what it left open', async () => {
    const runner = db.createQueryRunner();
    await runner.connect();
    await runner.startTransaction();
    await runner.manager.save(Document, { title: 'one' } as Document);
    expect(rig.pool.stats().activeConnections).toBe(1);
    await runner.release();
    await eventually(() => rig.pool.stats().idleConnections === 1, 'it is back');
    expect(await rig.titles()).toEqual([]);
    await add('one');
  });

  it('survives the death of the connection that a query runner holds', async () => {
    const runner = db.createQueryRunner();
    await runner.connect();
    const [{ pid }] = await runner.query('select pg_backend_pid() as pid');
    await db.query('select pg_terminate_backend($1::int)', [pid]);
    await eventually(() => runner.isReleased, 'the runner has given it back');
    await add('one');
    expect(rig.pool.stats().activeConnections).toBe(0);
  });

  it('serves fifty at a time on five connections', async () => {
    const work = Array.from({ length: 50 }, async (_, index) => {
      await db.query('select pg_sleep(0.02)');
      await add(`title ${index}`);
    });
    expect(await rig.countWhile(Promise.all(work))).toBeLessThanOrEqual(rig.most);
    expect(await rig.titles()).toHaveLength(50);
    expect(rig.pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0 });
  });

  it('streams', async () => {
    await db.query(`insert into documents (title) select 'title ' || n from generate_series(1, 250) as n`);
    const stream = await db.createQueryBuilder(Document, 'document').stream();
    let seen = 0;
    for await (const _row of stream) seen += 1;
    expect(seen).toBe(250);
  });

  it('is destroyed without harm to the pool, and can be initialized again', async () => {
    await add('one');
    await db.destroy();
    expect(await rig.pool.query('select title from documents')).toMatchObject({ rows: [{ title: 'one' }] });
    await db.initialize();
    expect(await db.manager.count(Document)).toBe(1);
  });

  it("tells of a server that is not there by the driver's error", async () => {
    await rig.pool.close();
    await expect(makeSource().initialize()).rejects.toMatchObject({ code: 'POOL_CLOSED' });
  });
});
