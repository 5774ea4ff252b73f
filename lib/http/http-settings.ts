import type { PoolLimits } from '../core/index.js';
import { checkGroup, group, oneOf, positiveDuration, type Rule, wholeFrom } from '../core/option-rules.js';
import { type DialSettings, type HttpDialOptions, resolveDialSettings } from './dial-settings.js';

/**
 * How a connection of the pool's minimum is kept warm, and checked by that. (With HTTP/2 it is a PING, and these say nothing.)
 *
 * @publicApi
 */
export interface HttpHealthCheck {
  /** Default: `HEAD`. */
  readonly method?: string;
  /** Below `baseURL`. Default: the base URL itself. */
  readonly path?: string;
}

/**
 * Which requests are sent once more, over a fresh socket, when the socket that they went over was closed by the server
 * before it answered: those whose method says that twice is as good as once, all, or none.
 *
 * @publicApi
 */
export type HttpReplay = 'idempotent' | 'always' | 'never';

/** Limits of HTTP/2. @publicApi */
export interface Http2Options {
  /**
   * Sessions (sockets) at most; each carries as many requests as its server allows. Where that is fewer than the pool's
   * connections, requests wait for one another. Those that their server has told to go finish beside them. Default: 4.
   */
  readonly maxSessions?: number;
}

/**
 * What {@link httpPool} takes: where to connect, what to send with every request, and the pool's limits.
 *
 * The limits' defaults differ from other pools' where HTTP asks for it: `minConnections` 0, since servers close idle sockets
 * after 5 s or so; `maxIdleTimeMs` 600 000, a ceiling over what is learned from the server (see `keepAliveMs`);
 * `healthCheckIntervalMs` 3 000, the pace at which a minimum is kept warm under that (with `h2` 30 000);
 * `validateAfterIdleMs` Infinity, because a socket that closes says so itself; `createTimeoutMs` 5 000; `maxLifetimeMs`
 * 600 000, so that a change of DNS or of a balancer's targets is followed.
 *
 * @publicApi
 */
export interface HttpPoolOptions extends PoolLimits, HttpDialOptions {
  /** Sent with every request; the place for an API key. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The whole of one request, body included. A request's own `timeout` goes before it. Default: 60 000. */
  readonly requestTimeoutMs?: number;
  /**
   * How long the server may leave a request, once it is being sent, without a byte of an answer. A request's own
   * `headerTimeoutMs` goes before it. Default: Infinity.
   */
  readonly headerTimeoutMs?: number;
  /**
   * How long the server may be silent within an answer. A request's own `bodyIdleTimeoutMs` goes before it. Default: Infinity.
   */
  readonly bodyIdleTimeoutMs?: number;
  /** Decompressed size of an answer. Default: 64 MiB. */
  readonly maxResponseBytes?: number;
  /** Default: 16 MiB. */
  readonly maxRequestBytes?: number;
  /** `false` turns the background check off. */
  readonly healthCheck?: HttpHealthCheck | false;
  /** What sends requests: Node's own `http`, or undici, which costs about half of it. Default: `node`. */
  readonly transport?: 'node' | 'undici';
  /** With `h2` a connection is a place for one request on one of few shared sessions. Default: `http/1.1`. */
  readonly protocol?: 'http/1.1' | 'h2';
  /** Default: `idempotent`. A request's own `replay: true` or `false` goes before it. */
  readonly replay?: HttpReplay;
  /**
   * How long a socket may lie idle, as long as the server gives no hint (`Keep-Alive: timeout=…`). Default: 4 000, since
   * many a server closes after 5 s.
   */
  readonly keepAliveMs?: number;
  /** For `protocol: 'h2'`. */
  readonly h2?: Http2Options;
}

declare module 'axios' {
  interface AxiosRequestConfig {
    /**
     * Of a pool of `nestjs-pools/http`: whether this request may be sent a second time when its socket is closed before the
     * server has answered. Default: by the pool's `replay`.
     */
    replay?: boolean;
    /**
     * Of a pool of `nestjs-pools/http`: how many milliseconds may pass without a byte of the answer, from the moment that the
     * request is sent: its wait for others on the connection does not count, sending its body does. An informational answer
     * (100, 103) is one: from there on `bodyIdleTimeoutMs` holds. Fails with `HTTP_HEADER_TIMEOUT`. `Infinity`, or more than
     * 2³¹−1, is no limit. Default: the pool's `headerTimeoutMs`.
     */
    headerTimeoutMs?: number;
    /**
     * Of a pool of `nestjs-pools/http`: how many milliseconds may pass, after the first byte of the answer, without another
     * one. While a stream of it is not read, nothing counts, nor with `maxRate`. Fails with `HTTP_BODY_TIMEOUT`. `Infinity`,
     * or more than 2³¹−1, is no limit. Default: the pool's `bodyIdleTimeoutMs`.
     */
    bodyIdleTimeoutMs?: number;
    /**
     * Of a pool of `nestjs-pools/http`: whether `url` is a path below the origin of the pool's `baseURL`, and not below all of
     * it: `/info` beside `/v1`. It is the same server in any case. Default: `false`.
     */
    fromOrigin?: boolean;
  }
}

/** HTTP's own settings, checked and complete. @internal */
export interface HttpSettings {
  readonly base: URL;
  readonly dial: DialSettings;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly maxResponseBytes: number;
  readonly maxRequestBytes: number;
  readonly healthCheck: Required<HttpHealthCheck> | false;
  readonly transport: 'node' | 'undici';
  readonly protocol: 'http/1.1' | 'h2';
  readonly replay: HttpReplay;
  readonly keepAliveMs: number;
  /** What the pool gives a create: as long may opening a socket in place of a dead one take. */
  readonly createTimeoutMs: number;
  /** How old a connection may get, and with HTTP/2 a session. */
  readonly maxLifetimeMs: number;
  readonly h2: Required<Http2Options>;
}

const MIB = 1024 * 1024;

const size: Rule = (value) => (typeof value === 'number' && value > 0 ? undefined : 'a number above 0');
const textLike =
  (example: string): Rule =>
  (value) =>
    typeof value === 'string' ? undefined : `a text, such as ${example}`;
const checkOrFalse: Rule = (value) =>
  value === false || (typeof value === 'object' && value !== null) ? undefined : 'an object, or false';

/** Of what the dialer reads, and checks. */
const elsewhere: Rule = () => undefined;

const RULES: Record<Exclude<keyof HttpPoolOptions, keyof PoolLimits>, Rule> = {
  baseURL: elsewhere,
  tls: elsewhere,
  socketPath: elsewhere,
  proxy: elsewhere,
  network: elsewhere,
  headers: group,
  requestTimeoutMs: positiveDuration,
  headerTimeoutMs: positiveDuration,
  bodyIdleTimeoutMs: positiveDuration,
  maxResponseBytes: size,
  maxRequestBytes: size,
  healthCheck: checkOrFalse,
  transport: oneOf('node', 'undici'),
  protocol: oneOf('http/1.1', 'h2'),
  replay: oneOf('idempotent', 'always', 'never'),
  keepAliveMs: positiveDuration,
  h2: group,
};
const HEALTH_CHECK: Record<keyof HttpHealthCheck, Rule> = { method: textLike('GET'), path: textLike('/health') };
const H2: Record<keyof Http2Options, Rule> = { maxSessions: wholeFrom(1) };

/** Fills in HTTP's defaults; what is wrong goes on the list of problems, by name and without its value. @internal */
export function resolveHttpSettings(
  options: Omit<HttpPoolOptions, keyof PoolLimits>,
  { createTimeoutMs, maxLifetimeMs }: Required<Pick<PoolLimits, 'createTimeoutMs' | 'maxLifetimeMs'>>,
  problems: string[],
): HttpSettings {
  const { headers = {}, healthCheck = {}, transport = 'node', protocol = 'http/1.1', h2 = {}, ...own } = options;
  problems.push(...checkGroup(RULES, options));
  const dial = resolveDialSettings(options, problems);
  problems.push(...headerProblems(headers));
  if (healthCheck !== false) problems.push(...nested(HEALTH_CHECK, healthCheck, 'healthCheck.'));
  problems.push(...nested(H2, h2, 'h2.'));
  if (protocol === 'h2' && transport === 'undici') {
    problems.push("transport: must not be 'undici' with protocol 'h2', which has a transport of its own");
  }
  return {
    base: dial.base,
    dial,
    headers,
    requestTimeoutMs: own.requestTimeoutMs ?? 60_000,
    headerTimeoutMs: own.headerTimeoutMs ?? Infinity,
    bodyIdleTimeoutMs: own.bodyIdleTimeoutMs ?? Infinity,
    maxResponseBytes: own.maxResponseBytes ?? 64 * MIB,
    maxRequestBytes: own.maxRequestBytes ?? 16 * MIB,
    healthCheck: healthCheck !== false && { method: healthCheck?.method ?? 'HEAD', path: healthCheck?.path ?? '' },
    transport,
    protocol,
    replay: own.replay ?? 'idempotent',
    keepAliveMs: own.keepAliveMs ?? 4_000,
    createTimeoutMs,
    maxLifetimeMs,
    h2: { maxSessions: h2?.maxSessions ?? 4 },
  };
}

/** What is no object at all has been named already. */
function nested(rules: Readonly<Record<string, Rule>>, values: object, prefix: string): string[] {
  return group(values) === undefined ? checkGroup(rules, values, prefix) : [];
}

function headerProblems(headers: Readonly<Record<string, unknown>>): string[] {
  if (group(headers) !== undefined) return [];
  // The value may be a key: only the header's name is told.
  return Object.entries(headers).flatMap(([name, value]) => {
    if (typeof value !== 'string') return [`headers.${name}: expected a text`];
    return /[\r\n\0]/.test(value) ? [`headers.${name}: must not hold line breaks`] : [];
  });
}

/** The base URL as axios wants it: without a slash at its end. @internal */
export function textOf(base: URL): string {
  return `${base.origin}${base.pathname.replace(/\/+$/, '')}`;
}
