import { inspect } from 'node:util';
import { PoolOptionsError } from 'nestjs-pools/core';
import { redisPool, RedisPool, type RedisPoolOptions } from 'nestjs-pools/redis';

const SECRET = 'planted-password';

function problemsOf(options: unknown): readonly string[] {
  try {
    redisPool(options as RedisPoolOptions);
  } catch (error) {
    if (error instanceof PoolOptionsError) return error.problems;
    throw error;
  }
  return [];
}

describe('the options of redisPool', () => {
  it("may be none at all, for they are ioredis' own", () => {
    expect(redisPool({}).describe()).toBe('redis://localhost:6379/0');
    expect(redisPool({}).kind).toBe('redis');
  });

  it('make a pool with helpers of its own, and keep the limits apart', () => {
    const definition = redisPool({ maxConnections: 3 });
    expect(definition.limits).toEqual({ maxConnections: 3 });
    expect(definition.createPool({ name: 'cache', factory: definition.factory })).toBeInstanceOf(RedisPool);
  });

  const set: [name: string, value: unknown, same: unknown][] = [
    ['retryStrategy', () => 50, null],
    ['sentinelRetryStrategy', () => 50, null],
    ['lazyConnect', false, true],
    ['enableOfflineQueue', true, false],
    ['enableReadyCheck', true, false],
    ['autoResubscribe', true, false],
    ['autoResendUnfulfilledCommands', true, false],
    ['monitor', true, false],
  ];
  it.each(set)('do not let %s fight the pool', (name, value, same) => {
    expect(problemsOf({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name}: cannot be set, for `))]);
    expect(problemsOf({ [name]: same })).toEqual([]);
  });

  it('are wrong all at once, by name and never by value', () => {
    const problems = problemsOf({
      host: `redis://:${SECRET}@host`,
      port: 0,
      db: -1,
      password: 4711,
      tls: SECRET,
      onConnect: SECRET,
      maxConnection: 3,
      maxConnections: 0,
      poolSize: 3,
    });
    expect(problems).toEqual([
      'maxConnections: expected a whole number from 1, got another number',
      'host: expected the name or address of a host, got a text',
      'port: expected a port number, got another number',
      'db: expected a whole number from 0, got a negative number',
      'password: expected a text or a function that gives one, got another number',
      'tls: expected an object or true or false, got a text',
      'onConnect: expected a function, got a text',
      'maxConnection: no such option of redisPool (did you mean maxConnections?)',
      'poolSize: no such option of redisPool',
    ]);
  });

  it.each(['', 'localhost:6379', 'http://localhost', 'redis://host/cache', 'redis://:100%@host'])(
    'refuse %j for a url',
    (url) => {
      expect(problemsOf({ url })).toEqual([expect.stringContaining('url: expected a URL such as redis://host:6379/0')]);
    },
  );

  it('refuse a part of the url that is given again', () => {
    expect(problemsOf({ url: 'redis://one', host: 'two', port: 1 })).toEqual([
      'host: is part of the url',
      'port: is part of the url',
    ]);
  });

  it('do not let the query of the url undo what the pool has set', () => {
    const { factory } = redisPool({ url: 'redis://localhost?retryStrategy=1&enableOfflineQueue=true&lazyConnect=' });
    expect(inspect(factory, { depth: Infinity, showHidden: true })).not.toContain('retryStrategy');
  });

  it('ask for the name of a master with Sentinels', () => {
    expect(problemsOf({ sentinels: [{ host: 'one' }] })).toEqual([expect.stringMatching(/^name: expected/)]);
    expect(problemsOf({ sentinels: [], name: 'main' })).toEqual([expect.stringMatching(/^sentinels: expected/)]);
  });

  it('refuse for a cluster what is of one server, or has its place elsewhere', () => {
    const cluster = { nodes: [{ host: 'one' }], options: { lazyConnect: true, redisOptions: { password: SECRET } } };
    expect(problemsOf({ cluster, db: 3, url: 'redis://host' })).toEqual([
      'url: is of one server, and cluster was given',
      'db: is of one server, and cluster was given',
      'cluster.options.lazyConnect: cannot be set, for the pool opens connections when it wants them',
      'cluster.options.redisOptions.password: is given to redisPool itself',
    ]);
    expect(problemsOf({ cluster: {} })).toEqual([expect.stringMatching(/^cluster: expected/)]);
    expect(problemsOf({ cluster: 'host' })).toEqual([expect.stringMatching(/^cluster: expected/)]);
  });

  it.each([null, undefined, 7, 'text'])('may not be %j', (options) => {
    expect(() => redisPool(options as never)).not.toThrow(TypeError);
  });
});

describe('the description of a pool', () => {
  const places: [RedisPoolOptions, string][] = [
    [{ url: `redis://user:${SECRET}@host:7000/3` }, 'redis://host:7000/3'],
    [{ url: `rediss://:${SECRET}@[::1]` }, 'rediss://[::1]:6379/0'],
    [{ url: `redis://host?password=${SECRET}` }, 'redis://host:6379/0'],
    [{ host: 'host', password: SECRET, db: 2, tls: {} }, 'rediss://host:6379/2'],
    [{ path: '/run/redis.sock', db: 1, password: SECRET }, 'redis+unix:///run/redis.sock?db=1'],
    [
      { sentinels: [{ host: 'a', port: 1 }, { host: 'b' }], name: 'main', sentinelPassword: SECRET, password: SECRET },
      'redis+sentinel://a:1,b:26379/main/0',
    ],
  ];
  it.each(places)('says where, without a secret (%#)', (options, place) => {
    const definition = redisPool(options);
    expect(definition.describe()).toBe(place);
    expect(inspect(definition, { depth: Infinity, showHidden: true })).not.toContain(SECRET);
    expect(JSON.stringify(definition)).not.toContain(SECRET);
  });

  it('says where a cluster is, whatever form its nodes are given in', () => {
    const nodes = [{ host: 'a', port: 1 }, `redis://:${SECRET}@b:2`, 'c:3', 4, {}];
    const definition = redisPool({ cluster: { nodes }, password: SECRET });
    expect(definition.describe()).toBe('redis+cluster://a:1,b:2,c:3,127.0.0.1:4,127.0.0.1:6379');
    expect(inspect(definition, { depth: Infinity, showHidden: true })).not.toContain(SECRET);
  });
});
