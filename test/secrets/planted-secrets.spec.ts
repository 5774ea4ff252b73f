import { inspect } from 'node:util';
import { type ConsoleLogger, Logger, type LoggerService } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getPoolToken, type ConnectionPool, type PoolDefinition, PoolModule } from 'nestjs-pools';
import { httpPool } from 'nestjs-pools/http';
import { mysqlPool } from 'nestjs-pools/mysql';
import { postgresPool } from 'nestjs-pools/postgres';
import { redisPool } from 'nestjs-pools/redis';
import { CountingServer } from '../support/http-server.js';
import { EVENTS } from '../support/pool-event-names.js';
import { findMysql, findPostgres, findRedis } from '../support/services.js';

/** What must not be seen anywhere. Each kind has each of them somewhere in its options, and sends it. */
const PASSWORD = 'planted-Passw0rd-4711';
const KEY = 'sk-planted-key-4712';
const QUERY = 'planted-query-4713';
const SECRETS = [PASSWORD, KEY, QUERY];

interface Case {
  readonly kind: string;
  readonly definition: () => PoolDefinition<never>;
  /** What fails on a connection of it. */
  readonly work: (connection: never) => Promise<unknown>;
}

const [postgres, mysql, redis] = await Promise.all([findPostgres(), findMysql(), findRedis()]);
const DEAD = 9;
const web = await CountingServer.start((_request, response) => {
  response.statusCode = 500;
  // As some servers do, it quotes what it was sent.
  response.end(JSON.stringify({ error: `wrong key ${KEY} for ${QUERY}` }));
});
afterAll(() => web.stop());

const httpOptions = {
  headers: { authorization: `Bearer ${KEY}`, 'x-password': PASSWORD },
  maxConnections: 2,
};
const httpWork = (({ client }: { client: { post(path: string, body: unknown): Promise<unknown> } }) =>
  client.post(`/answers?token=${QUERY}`, { password: PASSWORD })) as Case['work'];
const sqlWork = ((client: { query(sql: string, values: unknown[]): Promise<unknown> }) =>
  client.query('select * from nowhere where x = 1', [])) as Case['work'];
const loud = <T>(definition: PoolDefinition<T>): PoolDefinition<never> =>
  definition as unknown as PoolDefinition<never>;

const CASES: Case[] = [
  ...(['node', 'undici'] as const).flatMap((transport) => [
    {
      kind: `http by ${transport}, refused`,
      definition: () => loud(httpPool({ baseURL: `http://127.0.0.1:${DEAD}/v1`, transport, ...httpOptions })),
      work: httpWork,
    },
    {
      kind: `http by ${transport}, a proxy that is not there`,
      definition: () =>
        loud(
          httpPool({ baseURL: web.url, transport, proxy: `http://user:${PASSWORD}@127.0.0.1:${DEAD}`, ...httpOptions }),
        ),
      work: httpWork,
    },
    {
      kind: `http by ${transport}, answering with errors`,
      definition: () => loud(httpPool({ baseURL: web.url, transport, ...httpOptions })),
      work: httpWork,
    },
  ]),
  {
    kind: 'http by h2, refused',
    definition: () => loud(httpPool({ baseURL: `http://127.0.0.1:${DEAD}`, protocol: 'h2', ...httpOptions })),
    work: httpWork,
  },
  ...at(postgres, (host, port) => [
    {
      kind: 'postgres, a wrong login',
      definition: () =>
        loud(postgresPool({ host, port, user: 'nobody-of-that-name', password: PASSWORD, database: 'test' })),
      work: sqlWork,
    },
    {
      kind: 'postgres, refused',
      definition: () =>
        loud(
          postgresPool({
            connectionString: `postgres://someone:${PASSWORD}@127.0.0.1:${DEAD}/db?application_name=${QUERY}`,
          }),
        ),
      work: sqlWork,
    },
    {
      kind: 'postgres, a failing statement',
      definition: () => {
        const { user, password, database } = postgres!;
        return loud(
          postgresPool({ host, port, user, password: password || PASSWORD, database, application_name: 'secrets' }),
        );
      },
      work: sqlWork,
    },
  ]),
  ...at(mysql, (host, port) => [
    {
      kind: 'mysql, a wrong login',
      definition: () => loud(mysqlPool({ host, port, user: 'nobody', password: PASSWORD, database: 'test' })),
      work: sqlWork,
    },
    {
      kind: 'mysql, refused',
      definition: () => loud(mysqlPool({ uri: `mysql://someone:${PASSWORD}@127.0.0.1:${DEAD}/db` })),
      work: sqlWork,
    },
  ]),
  ...at(redis, (host, port) => [
    {
      kind: 'redis, a wrong login',
      definition: () => loud(redisPool({ host, port, username: 'nobody', password: PASSWORD })),
      work: ((client: { get(key: string): Promise<unknown> }) => client.get('x')) as Case['work'],
    },
    {
      kind: 'redis, refused',
      definition: () => loud(redisPool({ url: `redis://someone:${PASSWORD}@127.0.0.1:${DEAD}/0` })),
      work: ((client: { get(key: string): Promise<unknown> }) => client.get('x')) as Case['work'],
    },
  ]),
];

function at<S extends { host: string; port: number }>(
  server: S | undefined,
  cases: (host: string, port: number) => Case[],
) {
  return server === undefined ? [] : cases(server.host, server.port);
}

/** Everything that a log, a debugger or a careless handler of errors would show of a value. */
function viewsOf(value: unknown): string[] {
  // Deeper than anything prints by itself; without a limit, Node's own sockets would take seconds each time.
  const views = [inspect(value, { depth: 6, maxStringLength: Infinity, maxArrayLength: 50 }), String(value)];
  const seen = new Set<unknown>();
  const plain = JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return String(part);
    if (typeof part !== 'object' || part === null) return part;
    if (seen.has(part)) return '[again]';
    seen.add(part);
    // What JSON leaves out of an error, a logger puts back.
    return part instanceof Error ? Object.assign({}, part, shownOf(part)) : part;
  });
  return plain === undefined ? views : [...views, plain];
}

function shownOf({ message, stack, cause }: Error): object {
  return { message, stack, cause };
}

class RecordingLogger implements LoggerService {
  readonly lines: string[] = [];
  readonly log = (...parts: unknown[]): void => void this.lines.push(...parts.flatMap(viewsOf));
  readonly error = this.log;
  readonly warn = this.log;
  readonly debug = this.log;
  readonly verbose = this.log;
  readonly fatal = this.log;
}

describe.each(CASES)('of a secret in the options of $kind', ({ definition, work }) => {
  it('nothing shows in its description, logs, events, errors and statistics, nor in the pool itself', async () => {
    const logger = new RecordingLogger();
    const made = definition();
    const shown: string[] = [...viewsOf(made), made.describe()];
    const module = await Test.createTestingModule({
      imports: [PoolModule.forRoot({ pools: { secretive: made } })],
    })
      .setLogger(logger)
      .compile();
    const pool = module.get<ConnectionPool<never>>(getPoolToken('secretive'));
    const events = new Map<string, unknown>();
    for (const name of EVENTS) pool.on(name, (event) => void events.set(name, event));
    await module.init();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const failure = await pool.use(work, { acquireTimeoutMs: 1_000 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      shown.push(...viewsOf(failure), ...viewsOf((failure as Error).cause));
    }
    const lease = await pool.acquire({ acquireTimeoutMs: 500 }).catch(() => undefined);
    shown.push(...viewsOf(lease), ...viewsOf(lease?.connection), ...viewsOf(pool), ...viewsOf(pool.stats()));
    lease?.release();
    await module.close();
    shown.push(...[...events.values()].flatMap(viewsOf), ...viewsOf(pool), ...logger.lines);
    Logger.overrideLogger(false as unknown as ConsoleLogger);

    expect(logger.lines.length).toBeGreaterThan(0);
    const told = shown.filter((text) => SECRETS.some((secret) => text.includes(secret)));
    expect(told).toEqual([]);
  }, 20_000);
});

describe('wrong options', () => {
  it.each([
    [
      'httpPool',
      () => httpPool({ baseURL: `nonsense ${PASSWORD}`, headers: { a: `${KEY}\n` }, proxy: `:${PASSWORD}` }),
    ],
    ['postgresPool', () => postgresPool({ connectionString: `postgres://u:${PASSWORD}@[`, onConnekt: KEY } as never)],
    ['mysqlPool', () => mysqlPool({ uri: `mysql://u:${PASSWORD}@[`, nonsense: KEY } as never)],
    ['redisPool', () => redisPool({ url: `redis://u:${PASSWORD}@[`, nonsense: KEY } as never)],
  ])('of %s are named without their values', (_name, make) => {
    const error = (() => {
      try {
        make();
      } catch (thrown) {
        return thrown;
      }
      throw new Error('it was taken');
    })();
    expect(viewsOf(error).filter((text) => SECRETS.some((secret) => text.includes(secret)))).toEqual([]);
  });
});
