import { ConnectionPool } from 'nestjs-pools/core';
import { type DocumentSession, DocumentSessionFactory } from '../../sample-app/documents/document-session.js';
import { VectorEngine } from '../../sample-app/documents/vector-engine.js';

/** The engine from the sources, with the thread that was built: a thread knows nothing of Jest's transforms. */
class BuiltVectorEngine extends VectorEngine {
  protected override readonly workerUrl = new URL(
    '../../dist-sample/documents/vector-engine.worker.js',
    import.meta.url,
  );
}

const poolOf = (engine: VectorEngine): ConnectionPool<DocumentSession> =>
  new ConnectionPool({
    name: 'documents',
    factory: new DocumentSessionFactory(engine),
    maxConnections: 1,
    minConnections: 0,
    createTimeoutMs: 60_000,
    acquireTimeoutMs: 60_000,
  });

const section = (title: string, ...vector: number[]) => ({
  title,
  text: `about ${title}`,
  vector: Float32Array.from(vector),
});

describe('the pool of sessions on PostgreSQL with pgvector', () => {
  const engine = new BuiltVectorEngine();
  let pool: ConnectionPool<DocumentSession>;

  beforeAll(async () => {
    pool = poolOf(engine);
    await pool.use((session) => session.replace('colours', [section('red', 1, 0, 0), section('blue', 0, 0, 1)]));
  }, 30_000);
  afterAll(async () => {
    await pool.close();
    await engine.close();
  });

  it('finds what points in the same direction, best first, and says how near it is', async () => {
    const hits = await pool.use((session) => session.nearest(Float32Array.of(0.9, 0, 0.1), 5));
    expect(hits).toEqual([
      { title: 'red', source: 'colours', text: 'about red', score: expect.closeTo(0.994, 3) },
      { title: 'blue', source: 'colours', text: 'about blue', score: expect.closeTo(0.11, 2) },
    ]);
    expect(await pool.use((session) => session.nearest(Float32Array.of(1, 0, 0), 1))).toHaveLength(1);
  });

  it('puts a document in the place of the one that the source had before', async () => {
    await pool.use((session) => session.replace('fruit', [section('pear', 1, 1, 0), section('plum', 0, 1, 1)]));
    await pool.use((session) => session.replace('fruit', [section('fig', 0, 1, 0)]));
    expect(await pool.use((session) => session.count())).toBe(3);
    await pool.use((session) => session.replace('fruit', []));
    expect(await pool.use((session) => session.count())).toBe(2);
  });

  it('keeps text as it came, whatever stands in it', async () => {
    const text = `it's "so"; drop table sections; -- {}\\n\n🚀 \\u0041`;
    await pool.use((session) => session.replace('odd', [{ ...section(text, 0, 1, 0), text }]));
    const [hit] = await pool.use((session) => session.nearest(Float32Array.of(0, 1, 0), 1));
    expect(hit).toMatchObject({ title: text, text });
    await pool.use((session) => session.replace('odd', []));
  });

  it('undoes what a borrower left half done, and serves the next one', async () => {
    const broken = [section('green', 0, 1, 0), { ...section('x', 0, 0, 0), vector: Float32Array.of(Number.NaN) }];
    await expect(pool.use((session) => session.replace('colours', broken))).rejects.toThrow('NaN');
    expect(await pool.use((session) => session.count())).toBe(2);
    expect(pool.stats()).toMatchObject({ created: 1, totalConnections: 1 });
  });

  it('answers a health check', async () => {
    expect(await pool.use((session) => session.isAlive())).toBe(true);
  });

  it('closes the session under a borrower that kept it, and keeps the data', async () => {
    const kept = await pool.use((session) => session);
    await pool.close();
    await expect(kept.count()).rejects.toThrow('this session has ended; lease another one');
    pool = poolOf(engine);
    expect(await pool.use((session) => session.count())).toBe(2);
  });

  it('says what the engine says of a statement that it does not understand', async () => {
    await expect(engine.query('selekt 1')).rejects.toThrow('syntax error at or near "selekt"');
  });
});

describe('an engine that is gone', () => {
  it('is told to whoever waits for it, and is not opened anew', async () => {
    class BrokenEngine extends VectorEngine {
      protected override readonly workerUrl = new URL('data:text/javascript,process.exit(3)');
    }
    const engine = new BrokenEngine();
    const pool = poolOf(engine);
    const gone = { cause: expect.objectContaining({ message: expect.stringContaining('the vector engine is gone') }) };
    await expect(pool.acquire()).rejects.toMatchObject({ ...gone, retryable: false });
    await expect(pool.acquire()).rejects.toMatchObject(gone);
    await expect(engine.query('select 1')).rejects.toThrow('the vector engine is gone');
    await pool.close();
  });

  it('refuses after it was closed, and may be closed twice', async () => {
    const engine = new BuiltVectorEngine();
    await engine.close();
    await engine.close();
    await expect(engine.open()).rejects.toThrow('the vector engine is closed');
  });
});
