import { Client, Pool, type PoolClient, Query } from 'pg';
import QueryStream from 'pg-query-stream';
import type { ConnectionPool, PoolLimits } from 'nestjs-pools/core';
import { asPgPool, type PgPoolOptions } from 'nestjs-pools/postgres';
import { describeWith, findPostgres, type Server } from '../support/services.js';
import { plainPool, poolOf } from './plain-pool.js';
import { PoolRecorder } from './pool-recorder.js';

const server = await findPostgres();

/** Ends a client from the server's side, once the server sees it in this state. */
type Kill = (client: Client, state: 'idle' | 'active') => Promise<void>;
type Scenario = (see: PoolRecorder, kill: Kill) => Promise<void>;
type Connected = { client: PoolClient; release: (reason?: Error | boolean) => void };

/** What user code does with a pool of two. Each is run on pg-pool and on ours, and what it sees must be the same. */
const SCENARIOS: Record<string, Scenario> = {
  'lends the client that came back last, and opens one only where none is idle': async (see) => {
    see.counts('at first');
    const first = await see.pool.connect();
    see.counts('with one');
    const second = await see.pool.connect();
    first.release();
    second.release();
    see.counts('with two back');
    const third = await see.pool.connect();
    see.note(`got ${see.nameOf(third)}`);
    see.counts('with one of two');
    third.release();
  },

  'serves those who wait in their order, each as soon as a client comes back': async (see) => {
    const first = await see.pool.connect();
    const others = [1, 2, 3].map((index) =>
      see.pool.connect().then((client) => {
        see.note(`waiter ${index} got ${see.nameOf(client)}`);
        return client;
      }),
    );
    see.counts('two wait, for one a client is opened');
    const second = await others[0]!;
    see.counts('two wait');
    first.release();
    const third = await others[1]!;
    see.counts('one waits');
    second.release();
    const fourth = await others[2]!;
    third.release();
    fourth.release();
    see.counts('at last');
  },

  'closes a client that comes back with an error': async (see) => {
    const first = await see.pool.connect();
    first.release(new Error('not good any more'));
    see.counts('just then');
    await see.heard('remove client 1');
    const second = await see.pool.connect();
    see.note(`got ${see.nameOf(second)}`);
    second.release(true);
    await see.heard('remove client 2');
    see.counts('at last');
  },

  'makes room for those who wait by the close of a client': async (see) => {
    const clients = [await see.pool.connect(), await see.pool.connect()] as const;
    const waits = see.pool.connect();
    see.counts('full');
    clients[0].release(true);
    const third = await waits;
    see.note(`got ${see.nameOf(third)}`);
    third.release();
    clients[1].release();
    see.counts('at last');
  },

  'throws when a client is released twice, and keeps the pool whole': async (see) => {
    const client = await see.pool.connect();
    client.release();
    await see.outcome('again', () => client.release());
    await see.outcome('again, to be closed', () => client.release(true));
    see.counts('at last');
  },

  'lends by callback, with a function that gives back': async (see) => {
    const { client, release } = await new Promise<Connected>((resolve, reject) => {
      const returned: unknown = see.pool.connect((error, connected, done) =>
        error ? reject(error) : resolve({ client: connected!, release: done }),
      );
      see.note(`returned ${String(returned)}`);
    });
    await see.outcome('query', client.query('select 1 as one'));
    release();
    await see.outcome('again', () => release());
    await see.outcome('again by the client', () => client.release());
  },

  'is no key to the next lease, as a function': async (see) => {
    const { release } = await new Promise<Connected>((resolve) => {
      see.pool.connect((_error, client, done) => resolve({ client: client!, release: done }));
    });
    release();
    const second = await see.pool.connect();
    await see.outcome('stale', () => release());
    see.counts('the second has it');
    second.release();
    see.counts('at last');
  },

  'queries in every form there is': async (see) => {
    const { pool } = see;
    await see.outcome('text', pool.query('select 1 as a'));
    await see.outcome('text and values', pool.query('select $1::int as a', [2]));
    await see.outcome('config', pool.query({ text: 'select $1::int as a', values: [3] }));
    await see.outcome('config and values', pool.query({ text: 'select $1::int as a' }, [4]));
    await see.outcome('array mode', pool.query({ text: 'select 5', rowMode: 'array' }));
    await see.outcome('named', pool.query({ name: 'six', text: 'select 6 as a' }));
    await see.outcome(
      'many',
      pool.query('select 7 as a; select 8 as a').then((all) => ({ rows: [all].flat().length })),
    );
    await new Promise<void>((resolve) => {
      const returned: unknown = pool.query('select 9 as a', (error, result) => {
        see.note(`callback ${String(error)} ${JSON.stringify(result.rows)}`);
        see.counts('in the callback');
        resolve();
      });
      see.note(`returned ${String(returned)}`);
    });
    await new Promise<void>((resolve) => {
      pool.query('select $1::int as a', [10], (_error, result) => {
        see.note(`callback ${JSON.stringify(result.rows)}`);
        resolve();
      });
    });
    see.counts('at last');
  },

  'runs a query object, and a stream, which resolves at its end': async (see) => {
    await see.outcome('query', see.pool.query(new Query('select 1 as a')) as unknown as Promise<unknown>);
    const stream = new QueryStream('select generate_series(1, 250) as n', [], { batchSize: 100 });
    const ended = see.pool.query(stream) as unknown as Promise<unknown>;
    let rows = 0;
    for await (const _row of stream) rows += 1;
    await ended;
    see.note(`${rows} rows`);
    see.counts('at last');
  },

  'gives the client of a stream back that is left early': async (see) => {
    const stream = new QueryStream('select generate_series(1, 100000) as n', [], { batchSize: 10 });
    const ended = see.pool.query(stream) as unknown as Promise<unknown>;
    for await (const _row of stream) break;
    await ended;
    see.counts('at last');
  },

  'refuses a function in the place of a query': async (see) => {
    await new Promise<void>((resolve) => {
      const query = see.pool.query.bind(see.pool) as unknown as (callback: (error: Error) => void) => unknown;
      const returned = query((error) => {
        see.note(`told: ${error.message}`);
        resolve();
      });
      see.note(`returned ${String(returned)}`);
    });
    see.counts('at last');
  },

  'rejects what pg cannot even send': async (see) => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const failed = await see.pool.query('select $1', [circular]).catch((error: Error) => error);
    see.note((failed as Error).constructor.name);
    await see.outcome('nothing', see.pool.query(undefined as unknown as string));
    await see.heard('remove client 2');
    see.counts('at last');
  },

  'reports a client that was killed while idle, and opens another': async (see, kill) => {
    const first = await see.pool.connect();
    await see.outcome('query', first.query('select 1 as one'));
    first.release();
    await kill(first, 'idle');
    await see.heard('remove client 1');
    see.counts('killed');
    await see.outcome('query', see.pool.query('select 2 as two'));
    see.counts('at last');
  },

  'closes a client on its return that was killed in use, in the arms of a borrower who listens': async (see, kill) => {
    const client = await see.pool.connect();
    client.on('error', (error) => see.note(`borrower told: ${(error as { code?: string }).code ?? error.message}`));
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    await Promise.all([see.outcome('query', client.query('select pg_sleep(20)')), kill(client, 'active'), ended]);
    see.counts('killed');
    await see.outcome('next query', client.query('select 1'));
    client.release();
    await see.heard('remove client 1');
    see.counts('at last');
  },

  'closes a client on its return that its borrower has ended': async (see) => {
    const client = await see.pool.connect();
    await client.end();
    see.counts('ended');
    client.release();
    await see.heard('remove client 1');
    see.counts('at last');
  },

  'fails a query whose client is killed under it': async (see, kill) => {
    const client = await see.pool.connect();
    client.release();
    const failing = see.outcome('query', see.pool.query('select pg_sleep(20)'));
    await Promise.all([kill(client, 'active'), failing]);
    await see.heard('remove client 1');
    see.counts('at last');
  },

  'answers a query after the release of its client, though it should not be made': async (see) => {
    const client = await see.pool.connect();
    client.release();
    await see.outcome('query', client.query('select 1 as one'));
    see.counts('at last');
  },
};

const KINDS: Record<string, (place: Server, limits: PoolLimits) => ConnectionPool<Client>> = {
  'a pool of plain clients': plainPool,
  'a postgresPool': ({ url: _url, ...place }, limits) => poolOf({ ...place, minConnections: 0, ...limits }),
};

describeWith(server, 'asPgPool, beside pg-pool', (server) =>
  describe.each(Object.entries(KINDS))('on %s', (_kind, makePool) => {
    const recordOurs = (place: Server, scenario: Scenario, options?: PgPoolOptions): Promise<string[]> =>
      recordOn(makePool, place, scenario, options);

    it.each(Object.entries(SCENARIOS))('%s', async (_name, scenario) => {
      const theirs = await recordTheirs(server, scenario);
      const ours = await recordOurs(server, scenario);
      expect(theirs.length).toBeGreaterThan(0);
      expect(ours).toEqual(theirs);
    });

    it('ends as pg-pool does, where it is to close the pool: once, when all clients are back', async () => {
      const scenario = async (see: PoolRecorder): Promise<void> => {
        const [client, other] = [await see.pool.connect(), await see.pool.connect()];
        other.release();
        const ended = see.pool.end().then(() => see.note('ended'));
        see.note(`ending ${see.pool.ending}, ended ${see.pool.ended}`);
        await see.outcome('connect', see.pool.connect());
        await see.outcome('query', see.pool.query('select 1'));
        await see.outcome('end', see.pool.end());
        await new Promise<void>((resolve) => {
          see.pool.end(((error?: Error) => {
            see.note(`callback: ${error?.message}`);
            resolve();
          }) as () => void);
        });
        await see.heard(`remove ${see.nameOf(other)}`);
        see.note('gives back');
        client.release();
        await ended;
        see.note(`ending ${see.pool.ending}, ended ${see.pool.ended}`);
        see.counts('at last');
      };
      const theirs = await recordTheirs(server, scenario, false);
      const ours = await recordOurs(server, scenario, { endClosesPool: true });
      expect(theirs).toContain('ended');
      expect(ours).toEqual(theirs);
    });

    it('ends by callback too, when the connections are closed and not before', async () => {
      const scenario = async (see: PoolRecorder): Promise<void> => {
        await see.pool.query('select 1');
        await new Promise<void>((resolve) => {
          const returned: unknown = see.pool.end(resolve);
          see.note(`returned ${String(returned)}`);
        });
        see.note(`ended ${see.pool.ended}`);
      };
      const theirs = await recordTheirs(server, scenario, false);
      const ours = await recordOurs(server, scenario, { endClosesPool: true });
      expect(ours.indexOf('remove client 1')).toBeLessThan(ours.indexOf('ended true'));
      expect(ours.filter((line) => !line.startsWith('remove'))).toEqual(theirs);
    });

    it.each([
      ['a database that is not there', { database: 'no_such_database' }],
      ['a port where nobody listens', { port: 1 }],
    ])('fails with the error of the driver for %s, in every form', async (_what, wrong) => {
      const scenario = async (see: PoolRecorder): Promise<void> => {
        await see.outcome('connect', see.pool.connect());
        await see.outcome('query', see.pool.query('select 1'));
        await new Promise<void>((resolve) => {
          see.pool.connect((error, client, release) => {
            see.note(`callback: ${(error as { code?: string } | undefined)?.code} ${typeof client} ${typeof release}`);
            release();
            resolve();
          });
        });
        see.counts('at last');
      };
      const place = { ...server, ...wrong };
      expect(await recordOurs(place, scenario)).toEqual(await recordTheirs(place, scenario));
    });
  }),
);

async function recordTheirs({ url: _url, ...place }: Server, scenario: Scenario, isToEnd = true): Promise<string[]> {
  const see = new PoolRecorder(new Pool({ ...place, max: 2 }));
  try {
    await withKiller(place, (kill) => scenario(see, kill));
    return [...see.log];
  } finally {
    if (isToEnd) await see.pool.end();
  }
}

async function recordOn(
  makePool: (place: Server, limits: PoolLimits) => ConnectionPool<Client>,
  place: Server,
  scenario: Scenario,
  options?: PgPoolOptions,
): Promise<string[]> {
  const pool = makePool(place, { maxConnections: 2, downAfter: Infinity });
  const see = new PoolRecorder(asPgPool(pool, options));
  try {
    await withKiller(place, (kill) => scenario(see, kill));
    return [...see.log];
  } finally {
    await pool.close({ timeoutMs: 0 });
  }
}

async function withKiller(place: Omit<Server, 'url'>, work: (kill: Kill) => Promise<void>): Promise<void> {
  const killers: Client[] = [];
  try {
    await work(async (client, state) => {
      const killer = new Client(place);
      killers.push(killer);
      await killer.connect();
      const { processID } = client as unknown as { processID: number };
      const sql = 'select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and state = $2';
      for (let round = 0; round < 1_000; round += 1) {
        if ((await killer.query(sql, [processID, state])).rowCount === 1) return;
      }
      throw new Error(`the server never saw it ${state}`);
    });
  } finally {
    await Promise.all(killers.map((killer) => killer.end()));
  }
}
