import { postgresPool, type PostgresPoolOptions } from 'nestjs-pools/postgres';
import { PoolOptionsError } from 'nestjs-pools/core';

const SECRET = 's3cret-planted';

function problemsOf(options: object): readonly string[] {
  try {
    postgresPool(options as PostgresPoolOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(PoolOptionsError);
    expect(String(error)).not.toContain(SECRET);
    return (error as PoolOptionsError).problems;
  }
  return [];
}

describe('what postgresPool is given', () => {
  it('is told in one line without user, password and query', () => {
    const tellsOf = (options: PostgresPoolOptions): string => postgresPool(options).describe();
    const query = 'sslmode=no-verify&application_name=x';
    expect(tellsOf({ connectionString: `postgres://me:${SECRET}@db.example:6432/app?${query}` })).toBe(
      'postgres://db.example:6432/app',
    );
    expect(tellsOf({ host: '::1', port: 5433, user: 'me', password: SECRET, database: 'app' })).toBe(
      'postgres://[::1]:5433/app',
    );
    expect(tellsOf({ host: '/run/postgresql', port: 5432, database: 'app' })).toBe(
      'postgres:///app (/run/postgresql/.s.PGSQL.5432)',
    );
  });

  it('is refused as a whole, with every wrong option named and no value', () => {
    const problems = problemsOf({
      host: '',
      port: 0,
      password: 5,
      ssl: SECRET,
      sslnegotiation: SECRET,
      onConnect: ['select 1', ''],
      resetQuery: '',
      healthCheck: true,
      statementTimeoutMs: -1,
      lock_timeout: 1.5,
      stream: {},
      keepAlive: 'yes',
      maxConnections: 0,
      colour: SECRET,
    });
    expect(new Set(problems.map((problem) => problem.split(':')[0]))).toEqual(
      new Set([
        'colour',
        'healthCheck',
        'host',
        'keepAlive',
        'lock_timeout',
        'maxConnections',
        'onConnect',
        'password',
        'port',
        'resetQuery',
        'ssl',
        'sslnegotiation',
        'statementTimeoutMs',
        'stream',
      ]),
    );
  });

  it('is called by its own name where pg-pool has another', () => {
    expect(problemsOf({ max: 5, idleTimeoutMillis: 1, statement_timeout: 5 })).toEqual([
      'max: no such option (it is maxConnections)',
      'idleTimeoutMillis: no such option (it is maxIdleTimeMs)',
      'statement_timeout: no such option (it is statementTimeoutMs)',
    ]);
  });

  it('is refused where a connection string and its parts say the same thing twice', () => {
    const connectionString = `postgres://me:${SECRET}@db.example/app?sslmode=verify-full`;
    const parts = { host: 'other', port: 1, user: 'you', database: 'b', ssl: true };
    expect(problemsOf({ connectionString, ...parts }).map((problem) => problem.split(':')[0])).toEqual([
      'host',
      'port',
      'user',
      'database',
      'ssl',
    ]);
    expect(problemsOf({ connectionString, password: () => SECRET })).toEqual([]);
  });

  it.each([
    ['a slash', `postgres://me:12/${SECRET}@db.example/app`],
    ['a question mark', `postgres://me:12?${SECRET}@db.example/app`],
    ['a hash', `postgres://me:12#${SECRET}@db.example/app`],
    ['no scheme', `host=db.example user=me password=${SECRET}`],
    ['another scheme', `mysql://me:${SECRET}@db.example/app`],
    ['no port', `postgres://me:${SECRET}@db.example:port/app`],
  ])(
    'is refused as a connection string with %s, for a part of the password would be shown',
    (_what, connectionString) => {
      expect(problemsOf({ connectionString })).toEqual([expect.stringMatching(/^connectionString: (expected|cannot)/)]);
    },
  );

  it('is refused where it is no object, such as a connection string alone', () => {
    expect(problemsOf(`postgres://me:${SECRET}@db.example/app` as unknown as object)).toEqual([
      'expected an object of options, such as { connectionString }',
    ]);
  });

  it('is refused where a certificate that it names cannot be read', () => {
    const connectionString = `postgres://me:${SECRET}@db.example/app?sslrootcert=/no/such/file&sslmode=verify-full`;
    expect(problemsOf({ connectionString })).toEqual(['connectionString: cannot be used (ENOENT)']);
  });

  it('leaves the TLS options as they are, key and all', () => {
    const ssl = Object.freeze({ key: SECRET, ca: 'authority' });
    postgresPool({ host: 'db.example', ssl });
    expect(Object.keys(ssl)).toEqual(['key', 'ca']);
  });

  it('has at most ten connections unless told otherwise', () => {
    expect(postgresPool({}).limits).toEqual({ maxConnections: 10 });
    expect(postgresPool({ maxConnections: 30, minConnections: 3 }).limits).toEqual({
      maxConnections: 30,
      minConnections: 3,
    });
  });
});
