import { PGlite } from '@electric-sql/pglite';
import { vector as vectorExtension } from '@electric-sql/pglite-pgvector';
import { CopyPlan } from '../../../lib/embedding/pgvector/copy-plan.js';
import type { PgVectorType } from '../../../lib/embedding/pgvector/vector-format.js';
import { seeded } from '../../support/seeded.js';

/** PGlite has the extension `vector`, and takes the very bytes that a server would be sent. */
describe('the bytes of a vector', () => {
  let db: PGlite;

  beforeAll(async () => {
    db = await PGlite.create({ extensions: { vector: vectorExtension } });
    await db.exec('CREATE EXTENSION vector');
  }, 120_000);
  afterAll(() => db.close());

  const store = async (table: string, type: PgVectorType, vectors: readonly Float32Array[]): Promise<void> => {
    await db.exec(`DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (id int8, embedding ${type})`);
    const plan = new CopyPlan<undefined>('db', {
      table,
      columns: { id: { type: 'int8', value: (_, index) => index } },
      vectorColumn: 'embedding',
      type,
    });
    const pieces = plan.encode(vectors.map((vector, index) => ({ item: undefined, index, vector })));
    await db.query(plan.copy.replace('STDIN', `'/dev/blob'`), [], { blob: new Blob([Buffer.concat(pieces)]) });
  };
  const texts = async (sql: string): Promise<string[]> =>
    (await db.query<{ text: string }>(sql)).rows.map(({ text }) => text);

  it('are those that pgvector reads as the very floats', async () => {
    const { next: random } = seeded(7);
    const vectors = Array.from({ length: 50 }, () => Float32Array.from({ length: 1_536 }, () => random() * 2 - 1));
    await store('exact', 'vector', vectors);
    const read = await texts('SELECT embedding::text AS text FROM exact ORDER BY id');
    expect(read.map((text) => Float32Array.from(JSON.parse(text) as number[]))).toEqual(vectors);
  });

  it('are those of a view into a larger array, too', async () => {
    const whole = Float32Array.of(1, 2, 3, 4, 5);
    await store('part', 'vector', [whole.subarray(1, 4)]);
    await store('half_part', 'halfvec', [whole.subarray(1, 4)]);
    expect(await texts('SELECT embedding::text AS text FROM part')).toEqual(['[2,3,4]']);
    expect(await texts('SELECT embedding::text AS text FROM half_part')).toEqual(['[2,3,4]']);
    expect(whole).toEqual(Float32Array.of(1, 2, 3, 4, 5));
  });

  it('are rounded for halfvec as pgvector itself rounds', async () => {
    const { next: random } = seeded(11);
    // Around every power of two that a half has, and the ties between two of its neighbours.
    const edges = Array.from({ length: 42 }, (_, at) => 2 ** (at - 26)).flatMap((power) =>
      [1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -23, 2 - 2 ** -11, 2 - 2 ** -12].map((by) => power * by),
    );
    const values = [0, -0, 65_504, 65_519, 2 ** -149, ...edges.filter((value) => value < 65_520)];
    for (let left = 2_000; left > 0; left -= 1) values.push((random() * 2 - 1) * 2 ** (random() * 42 - 27));
    const vectors = values.map((value) => Float32Array.of(value, -value));
    await store('whole', 'vector', vectors);
    await store('half', 'halfvec', vectors);
    const theirs = await texts('SELECT embedding::halfvec::text AS text FROM whole ORDER BY id');
    expect(await texts('SELECT embedding::text AS text FROM half ORDER BY id')).toEqual(theirs);
  });

  it('are refused by pgvector when they cannot be a half, or a number', async () => {
    await expect(store('large', 'halfvec', [Float32Array.of(65_520)])).rejects.toThrow(/infinite value not allowed/);
    await expect(store('none', 'halfvec', [Float32Array.of(NaN)])).rejects.toThrow(/NaN not allowed/);
    await expect(store('none', 'vector', [Float32Array.of(NaN)])).rejects.toThrow(/NaN not allowed/);
  });
});
