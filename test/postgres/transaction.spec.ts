import type { Client } from 'pg';
import { AcquireAbortedError } from 'nestjs-pools/core';
import { TransactionRolledBackError } from 'nestjs-pools/postgres';
import { describeWith, findPostgres } from '../support/services.js';
import { failure, pidOf, Rig, until } from './rig.js';

const found = await findPostgres();

describeWith(found, 'a transaction', (server) => {
  const rig = new Rig(server, 'transaction');
  const TABLE = rig.table('id int PRIMARY KEY, n int NOT NULL');

  const rows = (): Promise<{ id: number; n: number }[]> => rig.ask(`SELECT id, n FROM ${TABLE} ORDER BY id`);
  const insert = (client: Client, id: number, n = 0): Promise<unknown> =>
    client.query(`INSERT INTO ${TABLE} VALUES ($1, $2)`, [id, n]);

  it('is committed when the work has ended well, and yields what the work yields', async () => {
    const pool = rig.pool();
    const result = await pool.transaction(async (client, lease) => {
      await insert(client, 1);
      expect(lease.connection).toBe(client);
      return 'done';
    });
    expect(result).toBe('done');
    expect(await rows()).toHaveLength(1);
  });

  it('is rolled back before it rejects, with the very error of the work', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const error = new Error('changed my mind');
    const thrown = failure(
      pool.transaction(async (client) => {
        await insert(client, 1);
        throw error;
      }),
    );
    expect(await thrown).toBe(error);
    expect(await rig.sessions()).toMatchObject([{ state: 'idle' }]);
    expect(await rows()).toEqual([]);
    expect(pool.stats().created).toBe(1);
  });

  it('says so when PostgreSQL answers COMMIT with a rollback, since a statement had failed', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const error = await failure(
      pool.transaction(async (client) => {
        await insert(client, 1);
        await client.query('SELECT 1 / 0').catch(() => {});
        return 'looks fine';
      }),
    );
    expect(error).toBeInstanceOf(TransactionRolledBackError);
    expect(error).toMatchObject({ name: 'TransactionRolledBackError', code: 'POSTGRES_ROLLED_BACK' });
    expect(await rows()).toEqual([]);
    expect(pool.stats().created).toBe(1);
  });

  it('rejects when the commit fails', async () => {
    const pool = rig.pool();
    await rig.ask(`ALTER TABLE ${TABLE} ADD CONSTRAINT later UNIQUE (n) DEFERRABLE INITIALLY DEFERRED`);
    const error = await failure(
      pool.transaction((client) => Promise.all([insert(client, 1, 7), insert(client, 2, 7)])),
    );
    expect(error).toMatchObject({ code: '23505' });
    expect(await rows()).toEqual([]);
    await rig.ask(`ALTER TABLE ${TABLE} DROP CONSTRAINT later`);
  });

  it.each([
    [{ isolation: 'serializable', readOnly: true, deferrable: true }, ['serializable', 'on', 'on']],
    [{ isolation: 'repeatable read' }, ['repeatable read', 'off', 'off']],
    [{ isolation: 'read committed', readOnly: false }, ['read committed', 'off', 'off']],
    [{}, ['read committed', 'off', 'off']],
  ] as const)('is begun as it is asked for: %j', async (options, expected) => {
    const pool = rig.pool();
    const modes = await pool.transaction(async (client) => {
      const names = ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'];
      const { rows } = await client.query<string[]>({
        text: `SELECT ${names.map((name) => `current_setting('${name}')`).join()}`,
        rowMode: 'array',
      });
      return rows[0];
    }, options);
    expect(modes).toEqual(expected);
  });

  it('refuses options that it does not know, before anything is opened', async () => {
    const pool = rig.pool();
    const options = { isolation: 'chaos', retrySerialization: -1, readOnly: 'yes', colour: 1 } as object;
    const error = await failure(pool.transaction(() => 1, options));
    expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
    expect((error as unknown as { problems: string[] }).problems).toHaveLength(4);
    expect(pool.stats().created).toBe(0);
  });

  it('may have a statement_timeout of its own, which ends with it', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const sleep = (client: Client): Promise<unknown> => client.query('SELECT pg_sleep(5)');
    expect(await failure(pool.transaction(sleep, { statementTimeoutMs: 30 }))).toMatchObject({ code: '57014' });
    await pool.transaction((client) => client.query('SELECT 1'), { statementTimeoutMs: 30 });
    expect((await pool.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
  });

  /** Two transactions that each read what the other writes: one of them must fail. */
  async function conflict(retrySerialization?: number | boolean): Promise<PromiseSettledResult<number>[]> {
    const pool = rig.pool();
    await rig.ask(`INSERT INTO ${TABLE} VALUES (1, 0), (2, 0)`);
    let arrived = 0;
    let meet = (): void => {};
    const met = new Promise<void>((resolve) => (meet = resolve));
    const run = async (own: number): Promise<number> => {
      let attempts = 0;
      await pool.transaction(
        async (client) => {
          attempts += 1;
          const { rows } = await client.query<{ sum: number }>(`SELECT sum(n)::int AS sum FROM ${TABLE}`);
          if ((arrived += 1) === 2) meet();
          await met;
          await client.query(`UPDATE ${TABLE} SET n = $2 WHERE id = $1`, [own, rows[0]!.sum + 1]);
        },
        { isolation: 'serializable', retrySerialization },
      );
      return attempts;
    };
    return Promise.allSettled([run(1), run(2)]);
  }

  it('rejects the one that the server gave up for the sake of another', async () => {
    const results = await conflict();
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const { reason } = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(reason).toMatchObject({ code: '40001' });
  });

  it.each([3, true])('begins it again with retrySerialization: %s, on a fresh snapshot', async (retrySerialization) => {
    const results = await conflict(retrySerialization);
    const attempts = results.map((result) => (result as PromiseFulfilledResult<number>).value);
    expect(Math.min(...attempts)).toBe(1);
    expect(Math.max(...attempts)).toBeGreaterThan(1);
    expect((await rows()).map(({ n }) => n)).toEqual(inAnyOrder(1, 2));
  });

  it('begins again for a deadlock too, also for one that a query builder has wrapped, and no oftener than it may', async () => {
    const pool = rig.pool();
    const causes = [{ code: '40P01' }, new Error('wrapped', { cause: { code: '40001' } })];
    for (const cause of causes) {
      let attempts = 0;
      const work = (): never => {
        attempts += 1;
        throw cause;
      };
      expect(await failure<unknown>(pool.transaction(work, { retrySerialization: 2 }))).toBe(cause);
      expect(attempts).toBe(3);
    }
    let others = 0;
    const failing = pool.transaction(() => Promise.reject(new Error(`${(others += 1)}`)), { retrySerialization: true });
    expect((await failure(failing)).message).toBe('1');
  });

  it('holds no connection between two attempts', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const order: string[] = [];
    let attempts = 0;
    const retried = pool.transaction(
      () => {
        order.push(`attempt ${(attempts += 1)}`);
        if (attempts === 1) throw Object.assign(new Error('conflict'), { code: '40001' });
      },
      { retrySerialization: 1 },
    );
    const other = pool.query('SELECT 1').then(() => order.push('other'));
    await Promise.all([retried, other]);
    expect(order).toEqual(['attempt 1', 'other', 'attempt 2']);
  });

  it('is cancelled by its signal: the query that runs ends, further ones are refused, all is rolled back', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const stop = new AbortController();
    const reason = new Error('enough');
    const caught: unknown[] = [];
    const ended = failure(
      pool.transaction(
        async (client) => {
          await insert(client, 1);
          await client.query('SELECT pg_sleep(60)').catch((error: unknown) => caught.push(error));
          try {
            await client.query('SELECT 2');
          } catch (error) {
            caught.push(error);
          }
          return 'carried on';
        },
        { signal: stop.signal, retrySerialization: true },
      ),
    );
    await until(async () => (await rig.sessions()).some(({ query }) => query.includes('pg_sleep')), 'it runs');
    stop.abort(reason);
    expect(await ended).toBe(reason);
    await until(() => pool.stats().idleConnections === 1, 'all is rolled back behind it');
    expect(caught).toEqual([expect.objectContaining({ code: '57014' }), reason]);
    expect(await rows()).toEqual([]);
    expect(await pool.use(pidOf)).toBeGreaterThan(0);
    expect(pool.stats().created).toBe(1);
  });

  it('is not committed when its signal aborts while the work does something else', async () => {
    const pool = rig.pool();
    const stop = new AbortController();
    const ended = failure(
      pool.transaction(
        async (client) => {
          await insert(client, 1);
          stop.abort(new Error('enough'));
        },
        { signal: stop.signal },
      ),
    );
    expect((await ended).message).toBe('enough');
    expect(await rows()).toEqual([]);
    const before = pool.transaction(() => 1, { signal: AbortSignal.abort() });
    expect(await failure(before)).toBeInstanceOf(AcquireAbortedError);
  });

  it('stops trying again when its signal aborts in a pause', async () => {
    const pool = rig.pool();
    const stop = new AbortController();
    let attempts = 0;
    const work = (): never => {
      attempts += 1;
      if (attempts === 3) setImmediate(() => stop.abort(new Error('enough')));
      throw Object.assign(new Error('conflict'), { code: '40001' });
    };
    const ended = failure(pool.transaction(work, { retrySerialization: 1_000, signal: stop.signal }));
    expect((await ended).message).toMatch(/enough|conflict/);
    expect(attempts).toBeLessThan(6);
  });

  it('rejects with the error of the work, and closes the connection, when the session dies in it', async () => {
    const pool = rig.pool({ maxConnections: 1 });
    const error = await failure(
      pool.transaction(async (client) => {
        await insert(client, 1);
        await rig.kill(await pidOf(client));
        return insert(client, 2);
      }),
    );
    expect(error.message).toMatch(/terminat|not queryable/i);
    expect(await rows()).toEqual([]);
    await pool.query('SELECT 1');
    expect(pool.stats()).toMatchObject({ created: 2, destroyed: { broken: 1 } });
  });

  it('waits for queries that its work did not await, before it commits', async () => {
    const pool = rig.pool();
    await pool.transaction((client) => void insert(client, 1));
    expect(await rows()).toHaveLength(1);
  });
});

function inAnyOrder(...values: unknown[]): unknown {
  return expect.arrayContaining(values);
}
