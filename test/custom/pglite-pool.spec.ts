import type { PGlite } from '@electric-sql/pglite';
import { type ConnectionPool, LeaseReleasedError, type PoolLimits } from 'nestjs-pools/core';
import { eventually } from '../support/http-server.js';
import { pglitePool } from './examples/pglite-pool.js';

/** Each database takes seconds to open, on a busy machine many. */
const PATIENCE_MS = 180_000;

let prepared = 0;
const pools: ConnectionPool<PGlite>[] = [];

const definition = pglitePool({
  prepare: async (database) => {
    prepared += 1;
    await database.exec(`
      create table fruit (name text primary key);
      insert into fruit values ('apple'), ('pear');
    `);
  },
});

/** All pools share the one factory, and so the one preparation. */
function open(limits: PoolLimits): ConnectionPool<PGlite> {
  const pool = definition.createPool({ name: 'fruit', factory: definition.factory, ...definition.limits, ...limits });
  pools.push(pool);
  return pool;
}

async function names(database: PGlite): Promise<string[]> {
  const { rows } = await database.query<{ name: string }>('select name from fruit order by name');
  return rows.map(({ name }) => name);
}

afterAll(() => Promise.all(pools.map((pool) => pool.close())), PATIENCE_MS);

describe('A pool of one PGlite database', () => {
  let pool: ConnectionPool<PGlite>;

  beforeAll(async () => {
    pool = open({ maxConnections: 1, resetTimeoutMs: 2_000, destroyTimeoutMs: 500 });
    await pool.use(() => undefined);
  }, PATIENCE_MS);

  it('keeps what is written, as a database does', async () => {
    await pool.use((database) => database.query("insert into fruit values ('fig')"));
    expect(await pool.use(names)).toEqual(['apple', 'fig', 'pear']);
    await pool.use((database) => database.query("delete from fruit where name = 'fig'"));
  });

  it('rolls back a transaction that was left open, or has failed', async () => {
    await pool.use((database) => database.exec("begin; insert into fruit values ('lost')"));
    expect(await pool.use(names)).toEqual(['apple', 'pear']);
    await pool.use((database) => database.exec('begin; this is not SQL').catch(() => undefined));
    expect(await pool.use(names)).toEqual(['apple', 'pear']);
  });

  it('hands no settings and no temporary tables on', async () => {
    await pool.use((database) =>
      database.exec("set statement_timeout = 77; set app.worker = 'me'; create temp table mine (id int)"),
    );
    const { rows } = await pool.use((database) =>
      database.query(`select current_setting('statement_timeout') as timeout, current_setting('app.worker', true) as worker,
        to_regclass('mine') as mine`),
    );
    expect(rows).toEqual([{ timeout: '0', worker: '', mine: null }]);
  });

  it('serves borrowers one after the other, and those who do not want to wait so long are told', async () => {
    const order: number[] = [];
    await Promise.all([1, 2, 3].map((n) => pool.use(() => void order.push(n))));
    expect(order).toEqual([1, 2, 3]);
    const lease = await pool.acquire();
    await expect(pool.acquire({ acquireTimeoutMs: 0 })).rejects.toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    lease.release();
    expect(() => lease.connection).toThrow(LeaseReleasedError);
  });

  it(
    'replaces a database whose borrower never ends his transaction, or has closed it',
    async () => {
      let end: (() => void) | undefined;
      let left: Promise<unknown> | undefined;
      const first = await pool.use((database) => {
        left = database.transaction(() => new Promise<void>((resolve) => (end = resolve)));
        return database;
      });
      expect(await pool.use(names)).toEqual(['apple', 'pear']);
      expect(pool.stats()).toMatchObject({ created: 2, destroyed: { reset: 1 }, overdue: 1 });
      end!();
      await left;
      await eventually(() => first.closed, 'it is closed as well');

      await pool.use((database) => database.close());
      expect(await pool.use(names)).toEqual(['apple', 'pear']);
      expect(pool.stats()).toMatchObject({ created: 3, overdue: 0 });
    },
    PATIENCE_MS,
  );
});

describe('A pool of PGlite databases that are used once', () => {
  it(
    'gives every borrower one that nobody has touched, prepared once, with another in stock',
    async () => {
      const pool = open({ minConnections: 1, maxConnections: 2, maxUses: 1 });
      await pool.ready({ timeoutMs: PATIENCE_MS });
      const isReady = pool.tryAcquire();
      expect(isReady).toBeDefined();
      await isReady!.connection.exec('drop table fruit');
      isReady!.release();
      expect(await pool.use(names)).toEqual(['apple', 'pear']);
      expect(prepared).toBe(1);
    },
    PATIENCE_MS,
  );
});
