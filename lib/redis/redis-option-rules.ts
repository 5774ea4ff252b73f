import type { RedisOptions } from 'ioredis';
import { either, oneOf, type Rule, wholeOrInfinity, yesOrNo } from '../core/option-rules.js';

/**
 * What the pool does itself, or must not have done behind its back: the value it sets, and why no other can be given.
 *
 * @internal
 */
export const SET_BY_POOL = {
  retryStrategy: [null, 'the pool replaces a dead connection'],
  sentinelRetryStrategy: [null, 'the pool tries again, with its createRetry'],
  lazyConnect: [true, 'the pool opens connections when it wants them'],
  enableOfflineQueue: [false, 'a lent connection is open'],
  enableReadyCheck: [false, 'the pool asks the server itself'],
  autoResubscribe: [false, 'a connection that ends is replaced, with nothing on it'],
  autoResendUnfulfilledCommands: [false, 'a connection that ends is replaced, and its commands fail'],
  monitor: [false, 'such a connection is for nothing else; use connection.monitor()'],
} as const;

type SetByPool = keyof typeof SET_BY_POOL;
/** ioredis has these among its options by their types only. */
type NoOption = 'offlineQueue' | 'commandQueue';

/** Options of ioredis that go through as they are. @internal */
export type PassedOptions = Omit<RedisOptions, SetByPool | NoOption | 'password' | 'reconnectOnError'>;

const is =
  (type: string, expected: string): Rule =>
  (value) =>
    typeof value === type ? undefined : expected;
const text = is('string', 'a text');
const func = is('function', 'a function');
const object = is('object', 'an object');
const list: Rule = (value) => (Array.isArray(value) ? undefined : 'an array');
const count: Rule = (value) => wholeOrInfinity(0)(value);
const duration: Rule = (value) =>
  typeof value === 'number' && value >= 0 ? undefined : 'a number of milliseconds from 0';
/** ioredis takes them as texts too, for they are parts of a URL. */
const numeral =
  (least: number, most: number, expected: string): Rule =>
  (value) =>
    ['number', 'string'].includes(typeof value) &&
    Number.isInteger(Number(value)) &&
    Number(value) >= least &&
    Number(value) <= most
      ? undefined
      : expected;
/** Every option of ioredis 6 that goes through: a compile error says which one is new. */
const PASSED: Record<keyof PassedOptions, Rule> = {
  // A URL in this place would put the password that it holds into every message that names the host.
  host: (value) => (typeof value === 'string' && !/[/@]/.test(value) ? undefined : 'the name or address of a host'),
  port: numeral(1, 65_535, 'a port number'),
  path: text,
  family: numeral(0, 6, '0, 4 or 6'),
  username: text,
  db: numeral(0, Infinity, 'a whole number from 0'),
  tls: either(object, yesOrNo),
  connectionName: text,
  keyPrefix: either(text, object),
  connectTimeout: duration,
  disconnectTimeout: duration,
  commandTimeout: duration,
  socketTimeout: duration,
  blockingTimeout: is('number', 'a number of milliseconds'),
  blockingTimeoutGrace: duration,
  keepAlive: duration,
  noDelay: yesOrNo,
  disableClientInfo: yesOrNo,
  clientInfoTag: text,
  readOnly: yesOrNo,
  stringNumbers: yesOrNo,
  protocol: (value) => (value === 2 || value === 3 ? undefined : '2 or 3'),
  replyMapping: oneOf('legacy', 'resp3'),
  maxRetriesPerRequest: count,
  maxLoadingRetryTime: duration,
  showFriendlyErrorStack: yesOrNo,
  enableAutoPipelining: yesOrNo,
  autoPipeliningIgnoredCommands: list,
  scripts: object,
  himportFieldsets: list,
  Connector: func,
  sentinels: (value) => (Array.isArray(value) && value.length > 0 ? undefined : 'an array of hosts and ports'),
  name: text,
  role: oneOf('master', 'slave'),
  natMap: either(object, func),
  preferredSlaves: either(object, func),
  updateSentinels: yesOrNo,
  sentinelUsername: text,
  sentinelPassword: text,
  sentinelTLS: object,
  sentinelCommandTimeout: duration,
  sentinelReconnectStrategy: func,
  sentinelMaxConnections: count,
  enableTLSForSentinelMode: yesOrNo,
  failoverDetector: yesOrNo,
};

/** What each option of `redisPool` must be, besides the pool's limits. @internal */
export const REDIS_RULES: Readonly<Record<string, Rule>> = {
  ...PASSED,
  url: (value) =>
    typeof value === 'string' && URL.canParse(value) && /^rediss?:/i.test(value) && isReadable(value)
      ? undefined
      : 'a URL such as redis://host:6379/0, its user and password percent-encoded',
  password: either(text, is('function', 'a function that gives one')),
  onConnect: func,
  reconnectOnError: func,
  cluster: (value) => {
    const { nodes } = Object(value) as { nodes?: unknown };
    return Array.isArray(nodes) && nodes.length > 0 ? undefined : '{ nodes: [{ host, port }, …], options }';
  },
};

/** Of one server, so not for a cluster. @internal */
export const OF_ONE_SERVER = [
  'url',
  'host',
  'port',
  'path',
  'db',
  'sentinels',
  'name',
  'role',
  'Connector',
  'keyPrefix',
] as const;

/** Options of a cluster that the pool sets, and why. @internal */
export const SET_FOR_CLUSTER: Readonly<Record<string, string>> = {
  lazyConnect: 'the pool opens connections when it wants them',
  clusterRetryStrategy: 'the pool replaces a client that has lost every node',
  enableOfflineQueue: 'ioredis opens the sockets to the nodes one by one, and needs it',
};

/** ioredis takes a path that is no number for no database at all, and says nothing. */
function isReadable(url: string): boolean {
  const { username, password, pathname } = new URL(url);
  try {
    decodeURIComponent(username + password);
  } catch {
    return false;
  }
  return /^(\/\d*)?$/.test(pathname);
}
