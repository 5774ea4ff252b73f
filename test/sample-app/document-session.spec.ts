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

describe('the pool of sessions on PostgreSQL in this process', () => {
  const engine = new BuiltVectorEngine();
  let pool: ConnectionPool<DocumentSession>;

  beforeAll(async () => {
    pool = poolOf(engine);
    await pool.use((session) => session.query('create table kept (what text)'));
  }, 30_000);
  afterAll(async () => {
    await pool.close();
    await engine.close();
  });

  it('undoes what a borrower left half done, and serves the next one', async () => {
    const halfDone = pool.use(async (session) => {
      await session.query('begin');
      await session.query("insert into kept values ('half')");
      await session.query('selekt 1');
    });
    await expect(halfDone).rejects.toThrow('syntax error at or near "selekt"');
    expect(await pool.use((session) => session.query('select * from kept'))).toEqual({ rows: [] });
    expect(pool.stats()).toMatchObject({ created: 1, totalConnections: 1 });
  });

  it('closes the session under a borrower that kept it, and keeps the data', async () => {
    await pool.use((session) => session.query("insert into kept values ('whole')"));
    const kept = await pool.use((session) => session);
    await pool.close();
    await expect(kept.query('select 1')).rejects.toThrow('this session has ended; lease another one');
    pool = poolOf(engine);
    const { rows } = await pool.use((session) => session.query('select what from kept'));
    expect(rows).toEqual([{ what: 'whole' }]);
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
