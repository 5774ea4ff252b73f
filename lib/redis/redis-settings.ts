import { type Cluster, type ClusterNode, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { PoolLimits } from '../core/index.js';
import { nearest, shapeOf } from '../core/option-rules.js';
import { OF_ONE_SERVER, type PassedOptions, REDIS_RULES, SET_BY_POOL, SET_FOR_CLUSTER } from './redis-option-rules.js';

/** What both forms of {@link redisPool}'s options share. */
interface RedisLogin<C> extends PoolLimits {
  /** A text, or a function that is asked for every new connection, for passwords that change. */
  readonly password?: string | (() => string | Promise<string>);
  /** Sets up a new connection before it is lent: the state that it leaves is what every borrower finds. */
  readonly onConnect?: (connection: C) => unknown;
}

/**
 * What {@link redisPool} takes for one server, or for one that Sentinels name: ioredis' own options, and the pool's limits.
 *
 * What would fight the pool cannot be given: `retryStrategy`, `sentinelRetryStrategy`, `lazyConnect`, `enableOfflineQueue`,
 * `enableReadyCheck`, `autoResubscribe`, `autoResendUnfulfilledCommands`, `monitor`. `connectionName` is the pool's name
 * unless another is given, `keepAlive` is 30 000, and with Sentinels `connectTimeout` and `sentinelCommandTimeout` are 3 000.
 *
 * @publicApi
 */
export interface RedisPoolOptions extends RedisLogin<Redis>, PassedOptions {
  /** `redis://user:password@host:6379/0`, or `rediss:` for TLS. What is given apart as well goes before it. */
  readonly url?: string;
  /**
   * Told each error that the server answers with. `true` means that the connection is to be replaced, as it always is when a
   * write meets a replica (`READONLY`) where a master was expected: after a failover by DNS.
   */
  readonly reconnectOnError?: RedisOptions['reconnectOnError'];
  readonly cluster?: undefined;
}

/**
 * Where a cluster is.
 *
 * @publicApi
 */
export interface RedisClusterPlace {
  /** Some of its nodes; ioredis finds the others. */
  readonly nodes: readonly ClusterNode[];
  /** ioredis' own, without those that would fight the pool. */
  readonly options?: Omit<ClusterOptions, 'lazyConnect' | 'clusterRetryStrategy' | 'enableOfflineQueue'>;
}

/**
 * What {@link redisPool} takes for a cluster: where it is, ioredis' options for the connections to its nodes, and the pool's
 * limits. A pooled connection is a whole Cluster client, with a socket to each master.
 *
 * @publicApi
 */
export interface RedisClusterPoolOptions
  extends
    RedisLogin<Cluster>,
    Omit<PassedOptions, 'host' | 'port' | 'path' | 'db' | 'sentinels' | 'name' | 'role' | 'Connector' | 'keyPrefix'> {
  readonly cluster: RedisClusterPlace;
}

/** Redis' own settings, checked and complete. @internal */
export interface RedisSettings {
  /** For ioredis, without the password. */
  readonly options: RedisOptions;
  readonly password: string | (() => string | Promise<string>) | undefined;
  readonly onConnect: ((connection: never) => unknown) | undefined;
  readonly reconnectOnError: RedisOptions['reconnectOnError'];
  readonly cluster: RedisClusterPlace | undefined;
}

/** Checks Redis' options; what is wrong goes on the list of problems, by name and without its value. @internal */
export function resolveRedisSettings(
  options: Omit<RedisPoolOptions | RedisClusterPoolOptions, keyof PoolLimits>,
  problems: string[],
): RedisSettings {
  const given = options as Readonly<Record<string, unknown>>;
  for (const [key, value] of Object.entries(given)) problems.push(...problemsOf(key, value));
  const { url, password, onConnect, reconnectOnError, cluster, ...rest } = options as RedisPoolOptions &
    Partial<RedisClusterPoolOptions>;
  if (cluster !== undefined && problems.length === 0) checkCluster(given, cluster, problems);
  for (const key of ['host', 'port', 'path', 'sentinels']) {
    if (url !== undefined && given[key] !== undefined) problems.push(`${key}: is part of the url`);
  }
  if (given['sentinels'] && !given['name']) {
    problems.push('name: expected the name that the Sentinels know the master by');
  }
  const resolved = problems.length > 0 ? {} : resolve(rest, url, problems);
  const { password: inUrl, ...others } = resolved as RedisOptions;
  return {
    options: others,
    password: password ?? inUrl ?? undefined,
    onConnect: onConnect as RedisSettings['onConnect'],
    reconnectOnError,
    cluster: cluster ?? undefined,
  };
}

/** What a mistyped name is looked for among; first what is mistyped most. */
const NAMES = ['maxConnections', 'minConnections', ...Object.keys(REDIS_RULES)];

function problemsOf(key: string, value: unknown): string[] {
  if (Object.hasOwn(SET_BY_POOL, key)) {
    const [set, why] = SET_BY_POOL[key as keyof typeof SET_BY_POOL];
    return value === set ? [] : [`${key}: cannot be set, for ${why}`];
  }
  const rule = Object.hasOwn(REDIS_RULES, key) ? REDIS_RULES[key] : undefined;
  if (rule === undefined) return [`${key}: no such option of redisPool${nearest(key, NAMES)}`];
  // Where ioredis means "none", it writes null.
  const expected = value === null ? undefined : rule(value);
  return expected === undefined ? [] : [`${key}: expected ${expected}, got ${shapeOf(value)}`];
}

function checkCluster(given: object, cluster: RedisClusterPlace, problems: string[]): void {
  const { options = {} } = cluster;
  const unknown = Object.keys(cluster).filter((key) => key !== 'nodes' && key !== 'options');
  problems.push(...unknown.map((key) => `cluster.${key}: no such option`));
  problems.push(
    ...OF_ONE_SERVER.filter((key) => Reflect.get(given, key) !== undefined).map((key) => `${key}: ${NOT_HERE}`),
  );
  for (const [key, why] of Object.entries(SET_FOR_CLUSTER)) {
    if (Reflect.get(options, key) !== undefined) problems.push(`cluster.options.${key}: cannot be set, for ${why}`);
  }
  for (const key of Object.keys(options.redisOptions ?? {})) {
    // Two places for one password would be one too many to keep it out of logs.
    problems.push(`cluster.options.redisOptions.${key}: is given to redisPool itself`);
  }
}

const NOT_HERE = 'is of one server, and cluster was given';

/** ioredis itself reads the URL and fills in its defaults: it is asked by a client that never connects. */
function resolve(options: RedisOptions, url: string | undefined, problems: string[]): RedisOptions {
  const set = Object.fromEntries(Object.entries(SET_BY_POOL).map(([key, [value]]) => [key, value]));
  // One Sentinel that hangs must leave time to ask the next.
  const patience = options.sentinels ? { connectTimeout: 3_000, sentinelCommandTimeout: 3_000 } : {};
  const given = { maxRetriesPerRequest: 0, keepAlive: 30_000, ...patience, ...options, ...set };
  try {
    // The URL last: its query may not undo what the pool has set.
    return new (Redis as unknown as new (...args: unknown[]) => Redis)(given, url).options;
  } catch (error) {
    problems.push(`ioredis does not take these options: ${(error as Error).name}`);
    return {};
  }
}

/** One line that says where the connections go, without user and password. @internal */
export function placeOf({ options, cluster }: RedisSettings): string {
  const { path, host, port: number, db = 0, tls, sentinels, name } = options as RedisOptions & { host?: string };
  const scheme = tls ? 'rediss' : 'redis';
  if (cluster !== undefined) return `${scheme}+cluster://${cluster.nodes.map(nodePlace).join(',')}`;
  if (sentinels) {
    const places = sentinels.map((one) => hostPort(one.host ?? 'localhost', one.port ?? 26_379));
    return `${scheme}+sentinel://${places.join(',')}/${name}/${db}`;
  }
  if (path) return `redis+unix://${path}?db=${db}`;
  return `${scheme}://${hostPort(host ?? 'localhost', number ?? 6_379)}/${db}`;
}

function nodePlace(node: ClusterNode): string {
  if (typeof node === 'object') return hostPort(node.host ?? '127.0.0.1', node.port ?? 6_379);
  const [place = ''] = String(node)
    .replace(/^rediss?:\/\//i, '')
    .split(/[/?#]/, 1);
  const named = place.slice(place.lastIndexOf('@') + 1);
  return /^\d+$/.test(named) ? hostPort('127.0.0.1', named) : named;
}

function hostPort(host: string, number: number | string): string {
  return host.includes(':') ? `[${host}]:${number}` : `${host}:${number}`;
}
