import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { describeWith, findPostgres } from '../support/services.js';
import { SampleProcess, until } from '../support/sample-process.js';
import { TempDocuments } from '../support/temp-documents.js';

describeWith(await findPostgres(), 'the sample on a PostgreSQL server', (server) => {
  const database = `sample_${randomBytes(6).toString('hex')}`;
  const admin = new Client({ connectionString: server.url });
  const url = new URL(server.url);
  url.pathname = database;

  const clients = async (): Promise<number[]> => {
    const sql = 'select pid from pg_stat_activity where datname = $1 order by pid';
    return (await admin.query<{ pid: number }>(sql, [database])).rows.map(({ pid }) => pid);
  };

  beforeAll(async () => {
    await admin.connect();
    await admin.query(`create database ${database}`);
  });
  afterAll(async () => {
    await admin.query(`drop database ${database} with (force)`);
    await admin.end();
  });

  it('answers from it, rides out clients that the server ends, and leaves none behind', async () => {
    const files = { 'fruit.md': '# Apples\n\nApples grow on trees.\n', 'sea.md': '# Ships\n\nShips sail.\n' };
    const documents = await TempDocuments.with(files);
    const env = { DATABASE_URL: url.href, DATABASE_MAX_CONNECTIONS: '3', DOCUMENTS_DIR: documents.folder };
    const sample = await SampleProcess.start(env);
    try {
      const before = await sample.search('what sails?');
      expect(before.json.hits[0]).toMatchObject({ source: 'sea.md' });

      const killed = await clients();
      expect(killed.length).toBeGreaterThan(0);
      expect(killed.length).toBeLessThanOrEqual(3);
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database]);
      await until('searches are answered again', 5_000, async () => (await sample.search('apples')).status === 200);
      expect((await clients()).some((pid) => killed.includes(pid))).toBe(false);

      sample.signal('SIGTERM');
      await sample.exited;
      expect(await clients()).toEqual([]);
      expect(sample.output).not.toContain(url.password || 'unset-password');
    } finally {
      await sample.stop();
      await documents.remove();
    }
  }, 30_000);
});
