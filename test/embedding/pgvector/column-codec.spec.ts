import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { PgVectorColumn } from '../../../lib/embedding/pgvector/column-codec.js';
import { pgVectorSink } from './source.js';
import { failure, Rig } from '../../postgres/rig.js';
import { describeWith, findPostgres } from '../../support/services.js';

const found = await findPostgres();

interface Row {
  readonly int4: number | null;
  readonly int8: bigint | null;
  readonly float8: number | null;
  readonly bool: boolean | null;
  readonly text: string | null;
  readonly uuid: string | null;
  readonly jsonb: unknown;
  readonly timestamptz: Date | null;
}

const TYPES = ['int4', 'int8', 'float8', 'bool', 'text', 'uuid', 'jsonb', 'timestamptz'] as const;

const orNull = <V>(values: fc.Arbitrary<V>): fc.Arbitrary<V | null> => fc.option(values, { freq: 8 });
const unicode = fc
  .string({ unit: 'binary', maxLength: 40 })
  .map((text) => Buffer.from(text.replaceAll('\0', '')).toString());
const row: fc.Arbitrary<Row> = fc.record({
  int4: orNull(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  int8: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  float8: orNull(fc.double()),
  bool: orNull(fc.boolean()),
  text: orNull(unicode),
  uuid: orNull(fc.uuid()),
  jsonb: orNull(fc.dictionary(fc.constantFrom('a', 'b'), fc.oneof(unicode, fc.integer(), fc.boolean()))),
  timestamptz: orNull(
    fc.date({ min: new Date('1000-01-01'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
  ),
});

describeWith(found, 'columns beside the vector', (server) => {
  const rig = new Rig(server, 'pgvector-columns');
  const TABLE = rig.table(`id int4, ${TYPES.map((type) => `"${type}" ${type}`).join(', ')}, embedding real[]`);
  const columns = Object.fromEntries(
    TYPES.map((type) => [type, { type, value: (item: Row) => item[type] } as PgVectorColumn<Row>]),
  );
  const place = { table: TABLE, vectorColumn: 'embedding', type: 'real[]' } as const;
  const vector = Float32Array.of(1);
  const forever = new AbortController().signal;

  it('arrive as they are, whatever they hold', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const sink = pgVectorSink<Row>({
      pool,
      ...place,
      columns: { id: { type: 'int4', value: (_, index) => index }, ...columns },
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
        await pool.query(`TRUNCATE ${TABLE}`);
        await sink.write(
          rows.map((item, index) => ({ item, index, vector })),
          forever,
        );
        const list = TYPES.map((type) => `"${type}"`).join(', ');
        const { rows: read } = await pool.query<Omit<Row, 'int8'> & { int8: string | null }>(
          `SELECT ${list} FROM ${TABLE} ORDER BY id`,
        );
        const seen = read.map((line) => ({ ...line, int8: line.int8 === null ? null : BigInt(line.int8) }));
        if (!isDeepStrictEqual(seen, rows)) expect(seen).toEqual(rows);
      }),
      { numRuns: 25 },
    );
  });

  it('may be longer than a piece of what is sent at once', async () => {
    const text = 'ä€𝄞'.repeat(200_000);
    const sink = pgVectorSink<string>({
      pool: rig.pool(),
      ...place,
      columns: { text: { type: 'text', value: (item) => item }, jsonb: { type: 'jsonb', value: (item) => [item] } },
    });
    await sink.write([{ item: text, index: 0, vector }], forever);
    expect(await rig.ask(`SELECT text, jsonb FROM ${TABLE}`)).toEqual([{ text, jsonb: [text] }]);
  });

  it.each<[keyof Row, unknown]>([
    ['int4', 2 ** 31],
    ['int4', '1'],
    ['int8', 2 ** 53],
    ['int8', 2n ** 63n],
    ['float8', '1'],
    ['bool', 1],
    ['text', 'with \0 in it'],
    ['text', 1],
    ['uuid', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf'],
    ['uuid', 'f81d4fae7dec11d0a76500a0c91e6bfg'],
    ['jsonb', 1n],
    ['jsonb', () => 1],
    ['jsonb', { deep: 1n }],
    ['timestamptz', new Date(NaN)],
    ['timestamptz', '2026-11-30'],
  ])('are refused when a %s cannot be that: %p', async (type, value) => {
    const column = { type, value: () => value } as unknown as PgVectorColumn<undefined>;
    const sink = pgVectorSink<undefined>({ pool: rig.pool(), ...place, columns: { it: column } });
    const error = await failure(sink.write([{ item: undefined, index: 3, vector }], forever));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^item 3, column it: expected .+, got /);
  });
});
