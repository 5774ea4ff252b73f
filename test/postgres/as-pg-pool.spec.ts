import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Client, DatabaseError, Pool, type PoolClient, Query } from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { InjectPool, PoolModule } from 'nestjs-pools';
import {
  AcquireTimeoutError,
  ConnectionPool,
  PoolClosedError,
  PoolDownError,
  type PoolLimits,
} from 'nestjs-pools/core';
import { asPgDriver, asPgPool, type PgPoolOptions, type PostgresPool, postgresPool } from 'nestjs-pools/postgres';
import { eventually } from '../support/http-server.js';
import { describeWith, findPostgres, type Server } from '../support/services.js';
import { plainPool, poolOf } from './plain-pool.js';

const server = await findPostgres();

let pool: ConnectionPool<Client>;
const pools = new Set<ConnectionPool<Client>>();

function shown(place: Server, limits: PoolLimits = {}, options: PgPoolOptions = {}): Pool {
  pool = kept(plainPool(place, { maxConnections: 2, ...limits }));
  return asPgPool(pool, options);
}

function kept<P extends ConnectionPool<Client>>(made: P): P {
  pools.add(made);
  return made;
}

afterEach(async () => {
  await Promise.all([...pools].map((made) => made.close({ timeoutMs: 0 })));
  pools.clear();
});

async function failure(work: Promise<unknown> | undefined): Promise<Error & { code?: string }> {
  return Promise.resolve(work).then(
    () => Promise.reject(new Error('did not fail')),
    (error: Error) => error,
  );
}

async function backend(of: Pick<Client, 'query'> | Pool): Promise<number> {
  const { rows } = await (of as Client).query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]!.pid;
}

async function killBackend(place: Server, pid: number): Promise<void> {
  const killer = new Client(place.url);
  await killer.connect();
  await killer.query('select pg_terminate_backend($1)', [pid]);
  await killer.end();
}

describeWith(server, 'what asPgPool makes', (server) => {
  it('is what libraries ask for by class, and lends real clients of pg', async () => {
    const shownPool = shown(server);
    expect(shownPool).toBeInstanceOf(Pool);
    expect(shownPool).toBeInstanceOf(EventEmitter);
    // Drizzle looks at the name where two copies of pg are installed.
    expect(Object.getPrototypeOf(shownPool).constructor.name).toContain('Pool');
    const client = await shownPool.connect();
    expect(client).toBeInstanceOf(Client);
    expect((shownPool as Pool & { Client: unknown }).Client).toBe(Client);
    client.release();
  });

  it('shows the limits of the pool, as they are, and changes them where code for pg-pool would', () => {
    const { options } = shown(server, { minConnections: 1, maxConnections: 5 });
    expect(options).toMatchObject({ min: 1, max: 5 });
    pool.resize({ maxConnections: 7 });
    expect(options.max).toBe(7);
    options.max = 3;
    expect(pool.stats().maxConnections).toBe(3);
  });

  it('shows nothing of how the pool connects, whoever prints it', async () => {
    const place = { ...server, password: 'planted-secret', database: 'planted_database' };
    pool = kept(poolOf({ host: server.host, port: server.port, ...secretsOf(place), minConnections: 0 }));
    const facade = asPgPool(pool);
    const driver = asPgDriver(pool);
    for (const value of [facade, driver, new driver.Pool({ password: 'planted-secret' })]) {
      expect(inspect(value, { depth: 20, showHidden: true })).not.toContain('planted');
    }
    expect(JSON.stringify(facade)).not.toContain('planted');
  });

  it('refuses options that it does not know, all at once, and what is no pool', () => {
    pool = kept(plainPool(server));
    const wrong = { endsPool: true, endTimeoutMs: -1, endClosesPool: 'planted' } as unknown as PgPoolOptions;
    expect(() => asPgPool(pool, wrong)).toThrow(
      /endsPool: no such option[^]*endTimeoutMs: expected a number[^]*endClosesPool: expected true or false/,
    );
    expect(() => asPgPool(pool, wrong)).not.toThrow(/planted/);
    expect(() => asPgPool(new Pool() as unknown as ConnectionPool<Client>)).toThrow('pool: expected a ConnectionPool');
    expect(() => asPgDriver(undefined as never)).toThrow('pool: expected a ConnectionPool');
  });

  it('puts no listener on a client, so that many of them can stand on one pool', async () => {
    pool = kept(plainPool(server, { maxConnections: 1 }));
    const before = await pool.use((client) => client.eventNames().map((event) => client.listenerCount(event)));
    for (let index = 0; index < 20; index += 1) await asPgPool(pool).query('select 1');
    const after = await pool.use((client) => client.eventNames().map((event) => client.listenerCount(event)));
    expect(after).toEqual(before);
  });
});

describeWith(server, 'a client lent by asPgPool', (server) => {
  it('is found dead in idleness without harm where nobody listens', async () => {
    const facade = shown(server);
    await killBackend(server, await backend(facade));
    await eventually(() => facade.totalCount === 0, 'it is gone');
    expect((await facade.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('tells listeners of an idle death, by an error that shows the client to code and not to a log', async () => {
    const facade = shown(server);
    const heard: { error: Error & { client?: Client }; client: Client }[] = [];
    facade.on('error', (error, client) => heard.push({ error, client }));
    await killBackend(server, await backend(facade));
    await eventually(() => heard.length > 0, 'it is told');
    const [{ error, client } = {}] = heard;
    expect(error?.client).toBe(client);
    expect(inspect(error)).not.toContain('_queryable');
    expect(heard).toHaveLength(1);
  });

  it('dies in the hands of a borrower who does not listen without ending the process', async () => {
    const facade = shown(server);
    const told: unknown[] = [];
    facade.on('error', (error) => told.push(error));
    const client = await facade.connect();
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    const slow = failure(client.query('select pg_sleep(20)'));
    await killBackend(server, (client as unknown as { processID: number }).processID);
    expect(await slow).toMatchObject({ code: '57P01' });
    await ended;
    client.release();
    await eventually(() => facade.totalCount === 0, 'it is gone');
    expect(told).toEqual([]);
  });

  it('has a release that throws from its return on, until it is lent again', async () => {
    const facade = shown(server);
    const client = await facade.connect();
    const release = client.release.bind(client);
    release();
    expect(() => client.release()).toThrow('already been released');
    await pool.use((same) => expect(() => (same as PoolClient).release()).toThrow('already been released'));
    const again = await facade.connect();
    expect(again).toBe(client);
    expect(release).toThrow('already been released');
    expect(facade.idleCount).toBe(0);
    again.release();
    expect(facade.idleCount).toBe(1);
  });

  it('goes back when a listener throws, and who asked hears of it', async () => {
    const facade = shown(server);
    const fail = (): void => {
      throw new Error('a listener failed');
    };
    for (const event of ['connect', 'acquire'] as const) {
      facade.once(event, fail);
      expect(await failure(facade.connect())).toMatchObject({ message: 'a listener failed' });
      expect(facade.idleCount).toBe(1);
    }
    const client = await facade.connect();
    facade.once('release', fail);
    expect(() => client.release()).toThrow('a listener failed');
    expect(facade.idleCount).toBe(1);
    facade.once('release', fail);
    expect(await failure(facade.query('select 1'))).toMatchObject({ message: 'a listener failed' });
    expect(facade.idleCount).toBe(1);
    facade.once('release', fail);
    const lost = await facade.connect();
    expect(() => lost.release(true)).toThrow('a listener failed');
    await eventually(() => facade.totalCount === 0, 'it is closed');
  });

  it('keeps for life what is listened to from "connect" on, and loses what its borrower adds', async () => {
    pool = kept(poolOf({ connectionString: server.url, maxConnections: 1 }));
    const facade = asPgPool(pool);
    const notices: string[] = [];
    facade.on('connect', (client) => client.on('notice', ({ message }) => notices.push(`for life: ${message}`)));
    const client = await facade.connect();
    client.on('notice', ({ message }) => notices.push(`for the lease: ${message}`));
    await client.query("do $$ begin raise notice 'one'; end $$");
    client.release();
    await facade.query("do $$ begin raise notice 'two'; end $$");
    expect(notices).toEqual(['for life: one', 'for the lease: one', 'for life: two']);
  });
});

describeWith(server, 'pool.query of asPgPool', (server) => {
  it('keeps the client when the server answers with an error, and has it back before the caller hears', async () => {
    const facade = shown(server);
    const pid = await backend(facade);
    const told: unknown[] = [];
    facade.on('release', (error) => told.push(error));
    for (const sql of ['select 1/0', 'no SQL', 'select * from no_such_table_anywhere']) {
      expect(await failure(facade.query(sql))).toBeInstanceOf(DatabaseError);
      expect(facade.idleCount).toBe(1);
    }
    const byCallback = await new Promise<Error>((resolve) => facade.query('select $1::int', ['x'], resolve));
    expect(byCallback).toMatchObject({ code: '22P02' });
    expect(told).toEqual(Array.from({ length: 4 }, () => expect.any(DatabaseError)));
    expect(await backend(facade)).toBe(pid);
  });

  it('closes the client when the error leaves a transaction open behind it', async () => {
    const facade = shown(server);
    const pid = await backend(facade);
    expect(await failure(facade.query('begin; select 1/0'))).toMatchObject({ code: '22012' });
    expect(await backend(facade)).not.toBe(pid);
  });

  it('closes the client when the error is no answer of the server, or pg leaves it stuck', async () => {
    const facade = shown(server);
    const pid = await backend(facade);
    const slow = { text: 'select pg_sleep(20)', query_timeout: 20 };
    expect(await failure(facade.query(slow))).toMatchObject({ message: 'Query read timeout' });
    const second = await backend(facade);
    expect(second).not.toBe(pid);
    const paged = { text: 'select 1 / (5 - n) from generate_series(1, 10) as n', rows: 3 };
    const began = performance.now();
    expect(await failure(facade.query(paged))).toMatchObject({ code: '22012' });
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(await backend(facade)).not.toBe(second);
  });

  it('has an error whose stack leads to the caller', async () => {
    const facade = shown(server);
    async function theCaller(): Promise<void> {
      await facade.query('select 1/0');
    }
    expect((await failure(theCaller())).stack).toContain('theCaller');
    const nowhere = shown({ ...server, port: 1 });
    async function anotherCaller(): Promise<void> {
      await nowhere.connect();
    }
    expect((await failure(anotherCaller())).stack).toContain('anotherCaller');
  });

  it('has the client of a cursor back when the cursor has ended, and that of a query with its own callback', async () => {
    const facade = shown(server);
    const cursor = new Cursor<{ n: number }>('select generate_series(1, 5) as n');
    const ended = facade.query(cursor) as unknown as Promise<void>;
    expect(await cursor.read(3)).toHaveLength(3);
    expect(facade.idleCount).toBe(0);
    expect(await cursor.read(3)).toHaveLength(2);
    await ended;
    expect(facade.idleCount).toBe(1);
    const rows: unknown[] = [];
    const query = new Query('select 1 as one', (_error, result) => rows.push(...result.rows));
    await (facade.query(query) as unknown as Promise<void>);
    expect(rows).toEqual([{ one: 1 }]);
    expect(facade.idleCount).toBe(1);
  });

  it('has the client of a stream back that fails, or that its reader left before its turn came', async () => {
    const facade = shown(server, { maxConnections: 1 });
    const failing = new QueryStream('select 1/0');
    const failed = failure(facade.query(failing) as unknown as Promise<unknown>);
    await expect(async () => {
      for await (const _row of failing);
    }).rejects.toThrow('division by zero');
    expect(await failed).toMatchObject({ code: '22012' });
    const client = await facade.connect();
    const left = new QueryStream('select generate_series(1, 1000)');
    const ended = facade.query(left) as unknown as Promise<unknown>;
    left.destroy();
    client.release();
    await ended;
    expect((await facade.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('tells the reader of a stream when there is no connection for it', async () => {
    const facade = shown({ ...server, port: 1 });
    const stream = new QueryStream('select 1');
    const failed = failure(facade.query(stream) as unknown as Promise<unknown>);
    await expect(async () => {
      for await (const _row of stream);
    }).rejects.toThrow('ECONNREFUSED');
    expect(await failed).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('rejects with the errors of the pool where the pool is what is wrong', async () => {
    const facade = shown(server, { maxConnections: 1, acquireTimeoutMs: 1_000 });
    const client = await facade.connect();
    const late = [failure(facade.query('select 1')), new Promise((resolve) => facade.connect(resolve))];
    for (const error of await Promise.all(late)) expect(error).toBeInstanceOf(AcquireTimeoutError);
    client.release();
    await pool.close();
    expect(await failure(facade.connect())).toBeInstanceOf(PoolClosedError);
    expect(facade.ending).toBe(true);
    const nowhere = shown({ ...server, port: 1 }, { downAfter: 1 });
    expect(await failure(nowhere.query('select 1'))).toMatchObject({ code: 'ECONNREFUSED' });
    expect(await failure(nowhere.query('select 1'))).toBeInstanceOf(PoolDownError);
  });
});

describeWith(server, 'the end of asPgPool', (server) => {
  it('leaves the pool open for others, and closes no connection', async () => {
    const facade = shown(server);
    const other = asPgPool(pool);
    const pid = await backend(facade);
    await facade.end();
    expect(facade).toMatchObject({ ending: true, ended: true });
    expect(await failure(facade.query('select 1'))).toMatchObject({
      message: 'Cannot use a pool after calling end on the pool',
    });
    expect(await backend(other)).toBe(pid);
    expect(pool.state).toBe('open');
  });

  it('waits for its own borrowers, and serves those who wait already', async () => {
    const facade = shown(server, { maxConnections: 1 });
    const steps: string[] = [];
    const client = await facade.connect();
    const waits = facade.query('select 1 as one');
    const ended = facade.end().then(() => steps.push('ended'));
    const foreign = asPgPool(pool).connect();
    await new Promise((resolve) => setImmediate(resolve));
    steps.push('gives back');
    client.release();
    expect((await waits).rows).toEqual([{ one: 1 }]);
    await ended;
    expect(steps).toEqual(['gives back', 'ended']);
    (await foreign).release();
  });

  it('waits no longer than endTimeoutMs for a client that never comes back', async () => {
    const facade = shown(server, {}, { endTimeoutMs: 20 });
    const client = await facade.connect();
    await facade.end();
    expect(facade.ended).toBe(true);
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    client.release();
    expect(pool.stats().idleConnections).toBe(1);
  });

  it('waits no longer than the pool lives, whether it is closed before or after', async () => {
    const facade = shown(server, {}, { endTimeoutMs: Infinity });
    const other = asPgPool(pool, { endTimeoutMs: Infinity });
    const clients = [await facade.connect(), await other.connect()];
    const ended = facade.end();
    await pool.close({ timeoutMs: 0 });
    await Promise.all([ended, other.end()]);
    expect(other.ended).toBe(true);
    for (const client of clients) client.release();
  });

  it('closes the pool for all where that is wanted, waiting for borrowers no longer than the pool does', async () => {
    const facade = shown(server, { closeTimeoutMs: 20 }, { endClosesPool: true });
    const client = await facade.connect();
    await facade.end();
    expect(pool.state).toBe('closed');
    expect(pool.stats().totalConnections).toBe(0);
    expect(await failure(client.query('select 1'))).toBeInstanceOf(Error);
    client.release();
  });

  it('is silent after it: what the pool does from then on is not its affair', async () => {
    pool = kept(plainPool(server));
    const listening = subscriptionsOf(pool);
    const facade = asPgPool(pool);
    expect(listening.size).toBeGreaterThan(0);
    await facade.query('select 1');
    const told: string[] = [];
    for (const event of ['connect', 'acquire', 'release', 'remove', 'error'] as const) {
      facade.on(event, () => told.push(event));
    }
    await facade.end();
    expect([...listening]).toEqual([]);
    await pool.close();
    expect(told).toEqual([]);
  });

  it('does not disturb the shutdown of a Nest application, not even with a client that nobody gives back', async () => {
    const { postgres, Orm } = ormModule(server);
    const app = (await Test.createTestingModule({ imports: [postgres] }).compile()).createNestApplication();
    await app.init();
    const orm = app.get(Orm);
    await orm.pool.query('select 1');
    const leaked = await orm.pool.connect();
    const began = performance.now();
    await app.close();
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(orm.ended).toEqual(['ended']);
    expect(orm.documents.stats()).toMatchObject({ state: 'closed', totalConnections: 0 });
    leaked.release();
  });
});

/** The events that somebody listens to on the pool from here on. */
function subscriptionsOf(on: ConnectionPool<Client>): Set<string> {
  const events = new Set<string>();
  const listen = on.on.bind(on);
  on.on = (event, listener) => {
    const stop = listen(event, listener);
    events.add(event);
    return () => {
      events.delete(event);
      stop();
    };
  };
  return events;
}

function secretsOf({ password, database }: Server): { user: string; password: string; database: string } {
  return { user: 'planted_user', password, database };
}

/** An ORM that destroys its pool when its module is destroyed, which is before Nest closes the pool. */
function ormModule({ url }: Server): { postgres: new () => object; Orm: new (pool: PostgresPool) => OrmService } {
  @Injectable()
  class Orm implements OrmService, OnModuleDestroy {
    readonly pool: Pool;
    readonly ended: string[] = [];

    constructor(@InjectPool('documents') readonly documents: PostgresPool) {
      this.pool = asPgPool(documents, { endTimeoutMs: 100 });
    }

    async onModuleDestroy(): Promise<void> {
      await this.pool.end();
      this.ended.push('ended');
    }
  }

  @Module({
    imports: [
      PoolModule.forRoot({ pools: { documents: postgresPool({ connectionString: url, closeTimeoutMs: 100 }) } }),
    ],
    providers: [Orm],
  })
  class PostgresModule {}
  return { postgres: PostgresModule, Orm };
}

interface OrmService {
  readonly pool: Pool;
  readonly ended: string[];
  readonly documents: PostgresPool;
}
