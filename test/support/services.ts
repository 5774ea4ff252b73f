import {
  answersMysql,
  answersPostgres,
  answersRedis,
  type MysqlServerOptions,
  NotInstalledError,
  type PostgresServerOptions,
  type PrivateServer,
  type RedisServerOptions,
  type Server,
  startMysql,
  startPostgres,
  startRedis,
} from './private-servers/index.mjs';

export type { PrivateServer, Server } from './private-servers/index.mjs';

/**
 * The server that the tests share: at POSTGRES_URL or PGHOST, PGPORT and their kin, else at 127.0.0.1:5432. Where none answers a
 * login there, one is started for this test file alone. Only its database `test` is used, unless the environment names another.
 */
export function findPostgres(): Promise<Server | undefined> {
  const { POSTGRES_URL, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
  const parts = { host: PGHOST, port: PGPORT, user: PGUSER, password: PGPASSWORD, database: PGDATABASE };
  const standard = { scheme: 'postgres', port: 5432, user: 'postgres', password: 'postgres', database: 'test' };
  return find('PostgreSQL', placeOf(standard, POSTGRES_URL, parts), answersPostgres, ownPostgres);
}

/** As {@link findPostgres}: MYSQL_URL or MYSQL_HOST and its kin, else 127.0.0.1:3306 as `root` without a password. */
export function findMysql(): Promise<Server | undefined> {
  const { MYSQL_URL, MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD, MYSQL_DATABASE } = process.env;
  const parts = {
    host: MYSQL_HOST,
    port: MYSQL_PORT,
    user: MYSQL_USER,
    password: MYSQL_PASSWORD,
    database: MYSQL_DATABASE,
  };
  const standard = { scheme: 'mysql', port: 3306, user: 'root', password: '', database: 'test' };
  return find('MySQL or MariaDB', placeOf(standard, MYSQL_URL, parts), answersMysql, ownMysql);
}

/** As {@link findPostgres}: REDIS_URL or REDIS_HOST and its kin, else 127.0.0.1:6379 without a password. */
export function findRedis(): Promise<Server | undefined> {
  const { REDIS_URL, REDIS_HOST, REDIS_PORT, REDIS_PASSWORD } = process.env;
  const standard = { scheme: 'redis', port: 6379, user: 'default', password: '', database: '0' };
  const parts = { host: REDIS_HOST, port: REDIS_PORT, password: REDIS_PASSWORD };
  return find('Redis', placeOf(standard, REDIS_URL, parts), answersRedis, ownRedis);
}

/** A server for this test file alone, to be killed and restarted at will; removed after the file. */
export function ownPostgres(options?: PostgresServerOptions): Promise<PrivateServer | undefined> {
  return own(() => startPostgres(options));
}

export function ownMysql(options?: MysqlServerOptions): Promise<PrivateServer | undefined> {
  return own(() => startMysql(options));
}

export function ownRedis(options?: RedisServerOptions): Promise<PrivateServer | undefined> {
  return own(() => startRedis(options));
}

/** A `describe` that is skipped where its server is missing. */
export function describeWith<S>(server: S | undefined, name: string, body: (server: S) => void): void {
  if (server !== undefined) describe(name, () => body(server));
  else describe.skip(name, () => it('needs a server that is not there', () => undefined));
}

interface Standard {
  readonly scheme: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

interface Parts {
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly user?: string | undefined;
  readonly password: string | undefined;
  readonly database?: string | undefined;
}

function placeOf(standard: Standard, address: string | undefined, parts: Parts): Server {
  const given = address === undefined ? undefined : new URL(address);
  const text = (encoded: string | undefined): string | undefined => decodeURIComponent(encoded ?? '') || undefined;
  const host = given?.hostname ?? parts.host ?? '127.0.0.1';
  const port = Number(text(given?.port) ?? parts.port ?? standard.port);
  const user = text(given?.username) ?? parts.user ?? standard.user;
  const password = text(given?.password) ?? parts.password ?? standard.password;
  const database = text(given?.pathname.slice(1)) ?? parts.database ?? standard.database;
  const login = [user === 'default' ? '' : user, password].map(encodeURIComponent).join(':').replace(/:$/, '');
  const url = `${standard.scheme}://${login === '' ? '' : `${login}@`}${host}:${port}/${database}`;
  return { host, port, user, password, database, url };
}

async function find(
  name: string,
  place: Server,
  answers: (server: Server) => Promise<boolean>,
  bring: () => Promise<Server | undefined>,
): Promise<Server | undefined> {
  if (await answers(place)) return place;
  return bring().catch((error: Error) => {
    const where = `no ${name} with a database ${place.database} answers at ${place.host}:${place.port}`;
    throw new Error(`${where}; ${error.message}`, { cause: error });
  });
}

async function own(start: () => Promise<PrivateServer>): Promise<PrivateServer | undefined> {
  try {
    const server = await start();
    afterAll(() => server.remove());
    return server;
  } catch (error) {
    if (process.env['REQUIRE_SERVICES'] === '1' || !(error instanceof NotInstalledError)) throw error;
    // Not by the console: Jest would add a stack to it.
    process.stderr.write(
      `\nSKIPPED tests of ${testFile()}: ${error.message} (or: docker compose -f sample-app/docker-compose.yml up -d)\n`,
    );
    return undefined;
  }
}

function testFile(): string {
  return expect.getState().testPath ?? 'a file';
}
