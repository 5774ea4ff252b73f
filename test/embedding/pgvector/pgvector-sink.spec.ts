import type { Client } from 'pg';
import type { PostgresPool } from 'nestjs-pools/postgres';
import { type PgVectorSinkOptions, pgVectorSink } from './source.js';
import { embedInto, type VectorSink } from '../../../lib/embedding/stream/vector-sink.js';
import { failure, Rig, until } from '../../postgres/rig.js';
import { describeWith, findPostgres } from '../../support/services.js';
import { fakeEmbed, partsOf } from '../stream/fake-embed.js';

const found = await findPostgres();

interface Doc {
  readonly id: number;
  readonly body: string;
}

const row = (id: number, vector: readonly number[] = [id, 0.5], body = `body ${id}`, index = id) => ({
  item: { id, body },
  index,
  vector: Float32Array.from(vector),
});

/** Without pgvector on the server: all but the bytes of the vector is the same for `real[]`. */
describeWith(found, 'a sink of pgvector', (server) => {
  const rig = new Rig(server, 'pgvector-sink');
  const TABLE = rig.table('id int PRIMARY KEY, body text, embedding real[]');
  const forever = new AbortController().signal;

  const columns: PgVectorSinkOptions<Doc>['columns'] = {
    id: { type: 'int4', value: ({ id }) => id },
    body: { type: 'text', value: ({ body }) => body },
  };
  const sinkOn = (pool: PostgresPool, extra: Partial<PgVectorSinkOptions<Doc>> = {}): VectorSink<Doc> =>
    pgVectorSink<Doc>({ pool, table: TABLE, columns, vectorColumn: 'embedding', type: 'real[]', ...extra });
  /** Whose own view of the server stands still while it holds the lock. */
  const lockTable = async (): Promise<Client> => {
    const client = (await rig.pool().acquire()).connection;
    await client.query(`BEGIN; LOCK TABLE ${TABLE}`);
    return client;
  };
  const rows = (): Promise<{ id: number; body: string; embedding: number[] }[]> =>
    rig.ask(`SELECT id, body, embedding FROM ${TABLE} ORDER BY id`);

  it('writes a batch as it is', async () => {
    await sinkOn(rig.pool()).write(
      [row(1, [0.25, -1_048_576, 2 ** -149]), row(2, []), row(3, [Infinity, -0, NaN])],
      forever,
    );
    expect(await rows()).toEqual([
      { id: 1, body: 'body 1', embedding: [0.25, -1_048_576, 1e-45] },
      { id: 2, body: 'body 2', embedding: [] },
      { id: 3, body: 'body 3', embedding: [Infinity, -0, NaN] },
    ]);
  });

  it('writes nothing, and takes no connection, for an empty batch', async () => {
    const pool = rig.pool();
    await sinkOn(pool).write([], forever);
    expect(pool.stats().created).toBe(0);
  });

  it('writes a batch that is larger than what a socket takes at once, to the last row', async () => {
    const batch = Array.from({ length: 3_000 }, (_, id) => row(id, Array<number>(768).fill(id)));
    await sinkOn(rig.pool()).write(batch, forever);
    const [summary] = await rig.ask(
      `SELECT count(*)::int AS n, bool_and(embedding[1] = id AND embedding[768] = id AND cardinality(embedding) = 768) AS right FROM ${TABLE}`,
    );
    expect(summary).toEqual({ n: 3_000, right: true });
  });

  it('leaves nothing of a batch that the server refuses, whatever was still to be sent, and the connection fit for another', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const sink = sinkOn(pool);
    await sink.write([row(7)], forever);
    const batch = Array.from({ length: 3_000 }, (_, at) => row(at === 20 ? 7 : 100 + at, Array<number>(768).fill(1)));
    expect(await failure(sink.write(batch, forever))).toMatchObject({ code: '23505' });
    await sink.write([row(8)], forever);
    expect((await rows()).map(({ id }) => id)).toEqual([7, 8]);
    expect(pool.stats()).toMatchObject({ created: 1, activeConnections: 0 });
  });

  it('overwrites rows that are there, and takes the later one of two in a batch', async () => {
    const sink = sinkOn(rig.pool(), { onConflict: 'update', conflictColumns: ['id'] });
    await sink.write([row(1), row(2)], forever);
    await sink.write([row(2, [9], 'newer', 10), row(3, [3], 'third', 11), row(2, [10], 'newest', 12)], forever);
    expect(await rows()).toEqual([
      { id: 1, body: 'body 1', embedding: [1, 0.5] },
      { id: 2, body: 'newest', embedding: [10] },
      { id: 3, body: 'third', embedding: [3] },
    ]);
  });

  it('leaves rows that are there, and takes the first of two in a batch', async () => {
    const sink = sinkOn(rig.pool(), { onConflict: 'nothing' });
    await sink.write([row(1)], forever);
    await sink.write([row(1, [9], 'newer'), row(2, [1], 'first'), row(2, [2], 'second')], forever);
    expect((await rows()).map(({ body }) => body)).toEqual(['body 1', 'first']);
  });

  it('leaves no temporary table on the connection', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const sink = sinkOn(pool, { onConflict: 'update', conflictColumns: ['id'] });
    await sink.write([row(1)], forever);
    await sink.write([row(1)], forever);
    const { rows: left } = await pool.query(`SELECT 1 FROM pg_class WHERE relpersistence = 't'`);
    expect(left).toEqual([]);
  });

  it('takes names that need quotes, in a schema of theirs', async () => {
    const schema = `np "odd" ${process.pid}`;
    const name = `"${schema.replaceAll('"', '""')}"`;
    await rig.ask(`CREATE SCHEMA ${name}`);
    await rig.ask(`CREATE TABLE ${name}."a.b" ("or""der" int, "Vec" real[])`);
    const sink = pgVectorSink<Doc>({
      pool: rig.pool(),
      schema,
      table: 'a.b',
      columns: { 'or"der': { type: 'int4', value: ({ id }) => id } },
      vectorColumn: 'Vec',
      type: 'real[]',
    });
    await sink.write([row(4, [1])], forever);
    expect(await rig.ask(`SELECT * FROM ${name}."a.b"`)).toEqual([{ 'or"der': 4, Vec: [1] }]);
    await rig.ask(`DROP SCHEMA ${name} CASCADE`);
  });

  it('cancels a batch that waits for a lock when the signal aborts, and keeps the connection', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const sink = sinkOn(pool);
    await sink.write([row(1)], forever);
    const controller = new AbortController();
    const locker = await lockTable();
    const batch = Array.from({ length: 3_000 }, (_, at) => row(100 + at, Array<number>(768).fill(1)));
    const writing = failure(sink.write(batch, controller.signal));
    await until(async () => (await rig.sessions()).some(({ query }) => query.startsWith('COPY')), 'the COPY');
    const reason = new Error('changed my mind');
    controller.abort(reason);
    expect(await writing).toBe(reason);
    await until(() => pool.stats().activeConnections === 0, 'the connection came back');
    await locker.query('ROLLBACK');
    await sink.write([row(2)], forever);
    expect((await rows()).map(({ id }) => id)).toEqual([1, 2]);
    expect(pool.stats().created).toBe(1);
  });

  it('ends a batch that is on its way when the signal aborts, without a row of it', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const controller = new AbortController();
    const batch = Array.from({ length: 200 }, (_, id) => row(id, Array<number>(768).fill(1)));
    // Each row takes a while, so that the abort finds some stored and some not.
    await rig.ask(
      `CREATE FUNCTION ${TABLE}_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END'`,
    );
    await rig.ask(`CREATE TRIGGER slow BEFORE INSERT ON ${TABLE} FOR EACH ROW EXECUTE FUNCTION ${TABLE}_slow()`);
    const writing = failure(sinkOn(pool).write(batch, controller.signal));
    await until(
      async () => (await rig.ask('SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 3')).length > 0,
      'rows',
    );
    controller.abort();
    expect(await writing).toBe(controller.signal.reason);
    await until(() => pool.stats().activeConnections === 0, 'the connection came back');
    await rig.ask(`DROP FUNCTION ${TABLE}_slow CASCADE`);
    expect(await rows()).toEqual([]);
    await sinkOn(pool).write([row(2)], forever);
    expect(pool.stats().created).toBe(1);
  });

  it('rejects when the connection dies under a batch', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const locker = await lockTable();
    const batch = Array.from({ length: 3_000 }, (_, at) => row(100 + at, Array<number>(768).fill(1)));
    const writing = failure(sinkOn(pool).write(batch, forever));
    await until(async () => (await rig.sessions()).some(({ query }) => query.startsWith('COPY')), 'the COPY');
    for (const { pid, query } of await rig.sessions()) if (query.startsWith('COPY')) await rig.kill(pid);
    expect(await writing).toBeInstanceOf(Error);
    await locker.query('ROLLBACK');
    await sinkOn(pool).write([row(2)], forever);
    expect(await rows()).toHaveLength(1);
  });

  it('names the item and the column of a value that does not fit, before a connection is taken', async () => {
    const pool = rig.pool();
    const bad = [row(1), { ...row(2), item: { id: 2.5, body: 'secret' }, index: 41 }];
    expect(await failure(sinkOn(pool).write(bad, forever))).toMatchObject({
      name: 'TypeError',
      message: 'item 41, column id: expected a whole number of 32 bits, got a fraction or an infinite number',
    });
    const sink = sinkOn(pool, {
      columns: { ...columns, id: { type: 'int4', value: () => null } },
      onConflict: 'update',
      conflictColumns: ['id'],
    });
    const message = 'item 1, column id: expected a whole number of 32 bits, since it tells rows apart, got null';
    expect(await failure(sink.write([row(1)], forever))).toMatchObject({ message });
    expect(pool.stats().created).toBe(0);
  });

  it('names every option that is wrong', () => {
    const wrong = {
      pool: rig.pool(),
      table: '',
      columns: { id: { type: 'int2', value: 1 } },
      vectorColumn: 'x'.repeat(64),
      conflictColumns: [],
    } as unknown as PgVectorSinkOptions<Doc>;
    expect(() => pgVectorSink(wrong)).toThrow(
      expect.objectContaining({
        code: 'POOL_OPTIONS',
        problems: [
          'table: expected a name of 1 to 63 bytes, got an empty text',
          'vectorColumn: expected a name of 1 to 63 bytes, got a text',
          'conflictColumns: expected a list of names, got an array',
        ],
      }),
    );
    const contrary = {
      ...wrong,
      table: 't',
      vectorColumn: 'id',
      conflictColumns: ['no'],
      onConflict: 'update',
    } as const;
    expect(() => pgVectorSink(contrary)).toThrow(
      expect.objectContaining({
        problems: [
          expect.stringMatching(/^columns\.id\.type: expected 'int4' or 'int8' .*, got a text$/),
          'columns.id.value: expected a function, got another number',
          'vectorColumn: must not be among the columns',
          'conflictColumns: not among the columns: no',
        ],
      }),
    );
    expect(() => sinkOn(rig.pool(), { onConflict: 'update' })).toThrow(/conflictColumns: expected the unique index/);
  });

  it('takes a stream, and goes on after a failure from where the last batch was kept', async () => {
    const pool = rig.pool();
    const docs = Array.from({ length: 1_000 }, (_, id) => ({ id, body: `${id}` }));
    let cursor: number | undefined;
    const checkpoint = { load: () => cursor, save: (to: number) => void (cursor = to) };
    const sink = sinkOn(pool, { onConflict: 'update', conflictColumns: ['id'] });
    let batches = 0;
    const failing: VectorSink<Doc> = {
      write(batch, signal) {
        batches += 1;
        return batches === 3 ? Promise.reject(new Error('disk full')) : sink.write(batch, signal);
      },
    };
    const options = { text: ({ body }: Doc) => body, checkpoint, sinkBatch: 100 };
    const parts = partsOf({ concurrency: 4, chunkSize: 30 });
    const run = (to: VectorSink<Doc>) => embedInto(docs, to, fakeEmbed(), options, parts);
    expect(await failure(run(failing))).toMatchObject({ message: 'disk full' });
    expect(await rows()).toHaveLength(200);
    expect(cursor).toBe(200);
    expect(await run(sink)).toMatchObject({ done: 800, failed: 0 });
    expect((await rows()).map(({ id }) => id)).toEqual(docs.map(({ id }) => id));
    expect(cursor).toBe(1_000);
  });
});
