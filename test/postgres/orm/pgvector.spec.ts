import { PGlite } from '@electric-sql/pglite';
import { vector as vectorExtension } from '@electric-sql/pglite-pgvector';
import { l2Distance, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { pgTable, serial, vector } from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect } from 'kysely';
import { Client } from 'pg';
import { l2Distance as kyselyL2Distance } from 'pgvector/kysely';
import { registerTypes, toSql } from 'pgvector/pg';
import { asPgPool, type PostgresPool, type PostgresPoolOptions } from 'nestjs-pools/postgres';
import { describeWith, findPostgres, type Server } from '../../support/services.js';
import { poolOf } from '../plain-pool.js';
import { PgliteStream } from './pglite-stream.js';

const server = await findPostgres();
const serverWithVector = server !== undefined && (await hasVector(server)) ? server : undefined;

const items = pgTable('vector_items', { id: serial().primaryKey(), embedding: vector({ dimensions: 3 }).notNull() });

/** Where the server has no extension `vector`, PGlite's stands in: the same code of the extension, and pg's own protocol. */
describe('pgvector on asPgPool', () => {
  let db: PGlite | undefined;
  let pool: PostgresPool;

  beforeAll(async () => {
    if (serverWithVector === undefined) db = await PGlite.create({ extensions: { vector: vectorExtension } });
    const place: PostgresPoolOptions =
      serverWithVector === undefined
        ? { user: 'postgres', database: 'postgres', stream: () => new PgliteStream(db!), maxConnections: 1 }
        : { connectionString: serverWithVector.url };
    pool = poolOf({
      ...place,
      onConnect: async (client) => {
        await client.query('create extension if not exists vector');
        await registerTypes(client);
      },
    });
    await pool.query('drop table if exists vector_items');
    await pool.query('create table vector_items (id serial primary key, embedding vector(3) not null)');
  }, 120_000);

  beforeEach(() => pool.query('truncate vector_items restart identity'));

  afterAll(async () => {
    await pool?.query('drop table vector_items');
    await pool?.close();
    await db?.close();
  });

  it('stores vectors and reads them as numbers, by types registered on every connection', async () => {
    const facade = asPgPool(pool);
    await facade.query('insert into vector_items (embedding) values ($1), ($2)', [toSql([1, 2, 3]), toSql([4, 5, 6])]);
    const client = await facade.connect();
    const nearest = 'select id, embedding from vector_items order by embedding <-> $1 limit 1';
    expect((await client.query(nearest, [toSql([3, 4, 5])])).rows).toEqual([{ id: 2, embedding: [4, 5, 6] }]);
    client.release();
  });

  it('takes types that are registered in "connect", as code for pg-pool does', async () => {
    const facade = asPgPool(pool);
    const registered: unknown[] = [];
    facade.on('connect', (client) => registered.push(registerTypes(client)));
    await facade.query('insert into vector_items (embedding) values ($1)', [toSql([1, 2, 3])]);
    expect((await facade.query('select embedding from vector_items')).rows).toEqual([{ embedding: [1, 2, 3] }]);
    await Promise.all(registered);
    expect(registered).toHaveLength(1);
  });

  it('finds neighbours through Drizzle', async () => {
    const orm = drizzle(asPgPool(pool));
    await orm.insert(items).values([{ embedding: [1, 2, 3] }, { embedding: [4, 5, 6] }]);
    const found = await orm
      .select()
      .from(items)
      .orderBy(l2Distance(items.embedding, [3, 4, 5]))
      .limit(1);
    expect(found).toMatchObject([{ id: 2 }]);
    expect((await orm.execute(sql`select count(*)::int as n from vector_items`)).rows).toEqual([{ n: 2 }]);
  });

  it('finds neighbours through Kysely', async () => {
    const orm = new Kysely<{ vector_items: { id: number; embedding: unknown } }>({
      dialect: new PostgresDialect({ pool: asPgPool(pool) }),
    });
    await asPgPool(pool).query('insert into vector_items (embedding) values ($1), ($2)', ['[1,2,3]', '[4,5,6]']);
    const nearest = orm
      .selectFrom('vector_items')
      .selectAll()
      .orderBy(kyselyL2Distance('embedding', [3, 4, 5]));
    expect(await nearest.executeTakeFirst()).toEqual({ id: 2, embedding: [4, 5, 6] });
    await orm.destroy();
  });
});

describeWith(server, 'the texts of pgvector on asPgPool', (server) => {
  it('arrive at a server that has not the extension', async () => {
    const pool = poolOf({ connectionString: server.url });
    const { rows } = await asPgPool(pool).query('select $1::text as embedding', [toSql([1, 2.5, 3])]);
    expect(rows).toEqual([{ embedding: '[1,2.5,3]' }]);
    await pool.close();
  });
});

async function hasVector({ url }: Server): Promise<boolean> {
  const client = new Client(url);
  await client.connect();
  const { rowCount } = await client.query("select from pg_available_extensions where name = 'vector'");
  await client.end();
  return rowCount === 1;
}
