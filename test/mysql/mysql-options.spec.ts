import { inspect } from 'node:util';
import { ConnectionPool, PoolOptionsError } from 'nestjs-pools/core';
import { asMysqlDriver, asMysqlPool, MysqlPool, mysqlPool, type MysqlPoolOptions } from 'nestjs-pools/mysql';

const SECRET = 'planted-secret-4711';

function problemsOf(options: object): readonly string[] {
  try {
    mysqlPool(options as MysqlPoolOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(PoolOptionsError);
    expect(String(error)).not.toContain(SECRET);
    return (error as PoolOptionsError).problems;
  }
  return [];
}

describe('the options of mysqlPool', () => {
  it('are all that is wrong in one error, each named with what is expected and without its value', () => {
    const wrong = {
      port: SECRET,
      password: 17,
      charset: SECRET,
      timezone: SECRET,
      reset: SECRET,
      cancel: 'maybe',
      onConnect: [SECRET, 3],
      ssl: true,
      maxConnections: 0,
      nonsense: SECRET,
    };
    expect(problemsOf(wrong)).toEqual([
      'maxConnections: expected a whole number from 1, got another number',
      'nonsense: no such option',
      'port: expected a whole number from 1 to 65535, got a text',
      'password: expected a text or a function, got another number',
      'charset: expected a charset or collation that mysql2 knows, got a text',
      "timezone: expected 'local', 'Z' or ±HH:MM, got a text",
      "reset: expected 'connection' or 'transactions' or 'none' or { sql }, got a text",
      "cancel: expected 'kill' or 'close', got a text",
      'onConnect: expected a text that is not empty or a list of texts or a function, got an array',
      'ssl: expected a text that is not empty or an object, got a value of type boolean',
    ]);
  });

  it.each([
    ['connectionLimit', 'use maxConnections'],
    ['maxIdle', 'use minConnections and maxIdleTimeMs'],
    ['idleTimeout', 'use maxIdleTimeMs'],
    ['queueLimit', 'use maxWaiting'],
    ['waitForConnections', 'use acquireTimeoutMs: 0'],
    ['connectTimeout', 'use createTimeoutMs'],
    ['resetOnRelease', 'use reset'],
    ['password1', 'use password'],
  ])("say what mysql2's %s is called here", (key, hint) => {
    expect(problemsOf({ [key]: 1 })).toEqual([`${key}: no such option (${hint})`]);
  });

  it('read a URI, whose parts others go before', () => {
    const definition = mysqlPool({ uri: `mysql://me:${SECRET}@db.example:3307/app?charset=latin1` });
    expect(definition.describe()).toBe('mysql://db.example:3307/app');
    expect(mysqlPool({ uri: 'mysql://db.example/app', database: 'other' }).describe()).toBe(
      'mysql://db.example:3306/other',
    );
    expect(mysqlPool({ uri: 'mariadb://[::1]/app' }).describe()).toBe('mysql://[::1]:3306/app');
    expect(mysqlPool({ socketPath: '/run/my.sock', database: 'app' }).describe()).toBe('mysql:///app (/run/my.sock)');
  });

  it('refuse what a URI says and mysql2 would not heed', () => {
    const uri = `mysql://me:${SECRET}@db/app?ssl-mode=REQUIRED&connectionLimit=5&charset=${SECRET}`;
    expect(problemsOf({ uri })).toEqual([
      'uri: ssl-mode: no such option',
      'uri: connectionLimit: no such option (use maxConnections)',
      'uri: charset: expected a charset or collation that mysql2 knows, got a text',
    ]);
  });

  it.each([
    ['another scheme', `postgres://me:${SECRET}@db/app`],
    ['no URI', SECRET],
    ['a password that a slash cuts in two', `mysql://me:12/${SECRET}@db/app`],
    ['a password that a question mark cuts in two', `mysql://me:12?${SECRET}@db/app`],
    ['a password that a hash cuts in two', `mysql://me:12#${SECRET}@db/app`],
    ['a percent sign that is none', 'mysql://me:%zz@db/app'],
  ])('refuse a URI with %s', (_what, uri) => {
    expect(problemsOf({ uri })).toEqual([
      'uri: expected mysql://user:password@host:port/database, with special characters percent-encoded',
    ]);
  });

  it('refuse a TLS profile that mysql2 has not', () => {
    expect(problemsOf({ ssl: SECRET })).toEqual([
      'ssl: expected TLS options, or the name of a profile that mysql2 has',
    ]);
    expect(problemsOf({ ssl: 'Amazon RDS' })).toEqual([]);
  });

  it("have mysql2's own number of connections as the default", () => {
    expect(mysqlPool({}).limits).toEqual({ maxConnections: 10 });
    expect(mysqlPool({ maxConnections: 3 }).limits.maxConnections).toBe(3);
  });

  it('make a MysqlPool, which opens nothing', () => {
    const definition = mysqlPool({ host: 'nowhere.invalid' });
    const pool = definition.createPool({ name: 'db', factory: definition.factory, ...definition.limits });
    expect(pool).toBeInstanceOf(MysqlPool);
    expect(pool.stats().totalConnections).toBe(0);
  });

  it('show no secret to whoever prints the definition, the pool or a facade of it', () => {
    const definition = mysqlPool({
      uri: `mysql://me:${SECRET}@db/app`,
      password2: SECRET,
      ssl: { key: SECRET, passphrase: SECRET },
    });
    const pool = definition.createPool({ name: 'db', factory: definition.factory });
    const facade = asMysqlPool(pool);
    for (const thing of [definition, definition.factory, pool, facade, facade.promise(), facade.config]) {
      for (const options of [
        { depth: 20, showHidden: true },
        { depth: 20, customInspect: false },
      ]) {
        expect(inspect(thing, options)).not.toContain(SECRET);
      }
    }
    for (const thing of [definition, definition.factory, facade]) expect(JSON.stringify(thing)).not.toContain(SECRET);
    expect(definition.describe()).not.toContain(SECRET);
  });
});

describe('the options of asMysqlPool and asMysqlDriver', () => {
  it('are checked at the door', () => {
    const wrong = { endClosesPool: 1, endTimeoutMs: -1, nonsense: true } as never;
    const notOurs = new ConnectionPool({ name: 'x', factory: { create: () => ({}) } }) as never;
    for (const make of [asMysqlPool, asMysqlDriver]) {
      expect(() => make(notOurs, wrong)).toThrow(
        expect.objectContaining({
          problems: [
            'pool: expected a MysqlPool, as mysqlPool() makes it',
            'endClosesPool: expected true or false, got another number',
            'endTimeoutMs: expected a number of milliseconds above 0, or Infinity, got a negative number',
            'nonsense: no such option',
          ],
        }),
      );
    }
  });
});
