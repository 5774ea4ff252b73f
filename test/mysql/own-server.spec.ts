import { jest } from '@jest/globals';
import { inspect } from 'node:util';
import { makeCertificate } from '../support/certificate.js';
import { describeWith, ownMysql } from '../support/services.js';
import { addressOf, adminOf, closeAll, failure, poolOf, rowsOf, until, valueOf } from './rig.js';

const SECRET = 'planted-secret-4711';
const certificate = makeCertificate();
const found = await ownMysql({ password: SECRET, tls: certificate, config: ['max_connections=12'] });

jest.setTimeout(120_000);
afterEach(closeAll);

describeWith(found, 'a pool of connections to a MySQL server', (server) => {
  const address = addressOf(server);

  it('speaks TLS to a server whose authority it was given, and to no other', async () => {
    const pool = poolOf({
      ...address,
      ssl: { ca: certificate.ca, verifyIdentity: true },
      host: 'localhost',
      maxConnections: 3,
    });
    const ciphers = await Promise.all(
      Array.from({ length: 6 }, () => pool.use((connection) => rowsOf(connection, "show status like 'Ssl_cipher'"))),
    );
    expect(ciphers.map(([row]) => String(row!['Value']).length > 0)).toEqual(Array.from({ length: 6 }, () => true));
    await pool.query('select sleep(30)', [], { timeoutMs: 50 }).catch(() => {});
    expect(await valueOf(pool, 'select 1')).toBe(1);
    expect(pool.stats().destroyed.error).toBe(0);
    const stranger = await failure(poolOf({ ...address, ssl: {} }).acquire());
    expect(stranger).toMatchObject({ cause: { code: 'HANDSHAKE_SSL_ERROR' } });
    const unlike = poolOf({ ...address, host: 'localhost', ssl: { ca: makeCertificate().ca } });
    expect(await failure(unlike.acquire())).toMatchObject({ code: 'POOL_CREATE_FAILED' });
  });

  it('is gone for good when destroyed, over TLS too', async () => {
    const admin = await adminOf(server);
    const pool = poolOf({ ...address, ssl: { ca: certificate.ca } });
    const id = await valueOf(pool, 'select connection_id()');
    const report = await pool.close();
    expect(report).toMatchObject({ forced: [], overdue: 0 });
    await until(
      async () =>
        (await rowsOf(admin, `select 1 from information_schema.processlist where id = ${Number(id)}`)).length === 0,
      'the server has forgotten it',
    );
  });

  it('says that the server is full, tries again and gets its turn', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 15 }, () => adminOf(server)));
    const admins = asked.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(admins.length).toBeLessThan(15);
    const pool = poolOf({ ...address, maxConnections: 2 });
    const error = await failure(pool.acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: true, cause: { errno: 1040 } });
    const patient = poolOf({ ...address, maxConnections: 2, onCreateError: 'wait', acquireTimeoutMs: 30_000 });
    const waits = valueOf(patient, 'select 1');
    await until(() => patient.stats().createFailed > 1, 'it has tried');
    await Promise.all(admins.slice(0, 4).map((admin) => admin.end()));
    expect(await waits).toBe(1);
  });

  it('closes the connection of an aborted query where the server takes no second one to end it', async () => {
    const pool = poolOf({ ...address, maxConnections: 1 });
    await pool.query('select 1');
    const others = await Promise.allSettled(Array.from({ length: 14 }, () => adminOf(server)));
    expect(others.some(({ status }) => status === 'rejected')).toBe(true);
    await failure(pool.query('select sleep(2)', [], { timeoutMs: 20 }));
    await until(() => pool.stats().totalConnections === 0, 'it is closed');
    expect(pool.stats().destroyed.error).toBe(1);
  });

  it('recovers from two restarts of the server under load, without a lost slot or an unhandled error', async () => {
    const pool = poolOf({
      ...address,
      maxConnections: 5,
      healthCheckIntervalMs: 200,
      createRetry: { initialMs: 10, maxMs: 100 },
    });
    let isOver = false;
    const counts = { ok: 0, failed: 0 };
    const users = Array.from({ length: 40 }, async (_, user) => {
      while (!isOver) {
        const work = pool.use(async (connection) => {
          const [rows] = await connection.query('select @mine as mine');
          expect(rows).toEqual([{ mine: null }]);
          await connection.query(`set @mine = ${user}`);
          await connection.query('begin');
        });
        await work.then(
          () => (counts.ok += 1),
          (error: Error) => {
            if ('matcherResult' in error) throw error;
            counts.failed += 1;
            expect(inspect(error, { depth: 20 })).not.toContain(SECRET);
          },
        );
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    });
    const worked = async (more: number, what: string): Promise<void> => {
      const before = counts.ok;
      await until(() => counts.ok >= before + more, what);
    };
    await worked(50, 'it works');
    await server.restart();
    await worked(50, 'it works again');
    await server.kill();
    await server.start();
    await worked(50, 'it works once more');
    isOver = true;
    await Promise.all(users);
    expect(counts.failed).toBeGreaterThan(0);
    await until(() => pool.stats().idleConnections === pool.stats().totalConnections, 'all are back');
    expect(pool.stats()).toMatchObject({ activeConnections: 0, waiting: 0, overdue: 0 });
    const admin = await adminOf(server);
    const threads = Number(
      await valueOf(
        admin,
        "select count(*) from information_schema.processlist where user = 'root' and id <> connection_id()",
      ),
    );
    expect(threads).toBe(pool.stats().totalConnections);
  });
});
