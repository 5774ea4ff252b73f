import { randomBytes } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { Client } from 'pg';
import { type DocumentConnection, DocumentTable } from '../../sample-app/documents/document-table.js';
import { findPostgres } from '../support/services.js';

const server = await findPostgres();

const section = (title: string, ...vector: number[]) => ({
  title,
  text: `about ${title}`,
  vector: Float32Array.from(vector),
});

interface Store {
  readonly connection: DocumentConnection;
  close(): Promise<void>;
}

async function onPglite(): Promise<Store> {
  const connection = await PGlite.create({ extensions: { vector } });
  return { connection, close: () => connection.close() };
}

/** In a schema of its own. */
async function onServer(): Promise<Store> {
  const connection = new Client({ connectionString: server!.url });
  await connection.connect();
  const schema = `table_${randomBytes(6).toString('hex')}`;
  await connection.query(`create schema ${schema}; set search_path to ${schema}, public`);
  const close = async (): Promise<void> => {
    await connection.query(`drop schema ${schema} cascade`);
    await connection.end();
  };
  return { connection, close };
}

const STORES: [string, () => Promise<Store>][] = [['PGlite with pgvector', onPglite]];
if (server !== undefined) STORES.push(['a PostgreSQL server, with what it has', onServer]);

describe.each(STORES)('the table of sections on %s', (_name, open) => {
  let store: Store;
  let connection: DocumentConnection;
  let table: DocumentTable;

  beforeAll(async () => {
    store = await open();
    connection = store.connection;
    table = await DocumentTable.prepare(connection);
    await table.replace(connection, 'colours', [section('red', 1, 0, 0), section('blue', 0, 0, 1)]);
  }, 30_000);
  afterAll(() => store.close());

  it('finds what points in the same direction, best first, and says how near it is', async () => {
    expect(await table.nearest(connection, Float32Array.of(0.9, 0, 0.1), 5)).toEqual([
      { title: 'red', source: 'colours', text: 'about red', score: expect.closeTo(0.994, 3) },
      { title: 'blue', source: 'colours', text: 'about blue', score: expect.closeTo(0.11, 2) },
    ]);
    expect(await table.nearest(connection, Float32Array.of(1, 0, 0), 1)).toHaveLength(1);
  });

  it('is made once, and found by whoever prepares it again', async () => {
    const again = await DocumentTable.prepare(connection);
    expect(await again.count(connection)).toBe(2);
  });

  it('puts a document in the place of the one that the source had before', async () => {
    await table.replace(connection, 'fruit', [section('pear', 1, 1, 0), section('plum', 0, 1, 1)]);
    await table.replace(connection, 'fruit', [section('fig', 0, 1, 0)]);
    expect(await table.count(connection)).toBe(3);
    await table.replace(connection, 'fruit', []);
    expect(await table.count(connection)).toBe(2);
  });

  it('keeps text as it came, whatever stands in it', async () => {
    const text = `it's "so"; drop table sections; -- {}\\n\n🚀 \\u0041`;
    await table.replace(connection, 'odd', [{ ...section(text, 0, 1, 0), text }]);
    const [hit] = await table.nearest(connection, Float32Array.of(0, 1, 0), 1);
    expect(hit).toMatchObject({ title: text, text });
    await table.replace(connection, 'odd', []);
  });

  it('leaves alone what another model has left behind', async () => {
    await table.replace(connection, 'other model', [section('wide', 1, 0, 0, 0)]);
    const hits = await table.nearest(connection, Float32Array.of(1, 0, 0), 5);
    expect(hits.map(({ title }) => title)).toEqual(['red', 'blue']);
    await table.replace(connection, 'other model', []);
  });
});
