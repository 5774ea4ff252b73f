import { isIP, type LookupFunction } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { checkGroup, positiveDuration, type Rule, shapeOf, yesOrNo } from '../core/option-rules.js';
import { type HttpProxyOptions, type ProxySettings, resolveProxy } from './proxy-settings.js';
import { tlsProblems } from './tls-sessions.js';

/**
 * How sockets are opened, below HTTP and TLS.
 *
 * @publicApi
 */
export interface HttpNetworkOptions {
  /** 4 or 6: only addresses of that family. Default: 0, both. */
  readonly family?: 0 | 4 | 6;
  /** Resolves names in place of `dns.lookup`, and is asked anew for every connection. */
  readonly lookup?: LookupFunction;
  /** The address of this machine to connect from. */
  readonly localAddress?: string;
  /**
   * Whether the other addresses of a name are tried as well when the first one fails or is silent ("happy eyeballs").
   * Default: true, unless Node was started with `--no-network-family-autoselection`.
   */
  readonly autoSelectFamily?: boolean;
  /** How long an address is silent until the next one is tried beside it. Default: 250. */
  readonly attemptDelayMs?: number;
  /** Silence after which the system probes the other end of a connection. Default: 60 000; `Infinity` never does. */
  readonly tcpKeepAliveMs?: number;
}

/**
 * Where an HTTP pool connects to, and which way.
 *
 * @publicApi
 */
export interface HttpDialOptions {
  /** `http:` or `https:`, without credentials, query or fragment. Every request stays below it. */
  readonly baseURL: string;
  /**
   * For `https:`: `ca`, `cert`, `key`, `servername` and the like, as `tls.connect` takes them. A function is asked for every
   * new connection, so that certificates can change while the pool is open.
   */
  readonly tls?: TlsOptions | (() => TlsOptions | Promise<TlsOptions>);
  /** A Unix socket, or a pipe of Windows, to connect to; `baseURL` then says what the server is called. */
  readonly socketPath?: string;
  /**
   * The proxy to go through, as `http://user:password@proxy:3128`. Default: what HTTP_PROXY or HTTPS_PROXY, ALL_PROXY and
   * NO_PROXY say when the pool is made. `false`: none, whatever they say.
   */
  readonly proxy?: string | HttpProxyOptions | false;
  readonly network?: HttpNetworkOptions;
}

/** Where to and which way, checked and complete. @internal */
export interface DialSettings {
  readonly base: URL;
  readonly tls: () => TlsOptions | Promise<TlsOptions>;
  readonly socketPath: string | undefined;
  readonly proxy: ProxySettings | undefined;
  readonly network: HttpNetworkOptions;
}

const address: Rule = (value) => (typeof value === 'string' && isIP(value) !== 0 ? undefined : 'an IP address');
const call: Rule = (value) => (typeof value === 'function' ? undefined : 'a function, as dns.lookup is');
const family: Rule = (value) => ([0, 4, 6].includes(value as number) ? undefined : '0, 4 or 6');

const NETWORK: Record<keyof HttpNetworkOptions, Rule> = {
  family,
  lookup: call,
  localAddress: address,
  autoSelectFamily: yesOrNo,
  attemptDelayMs: positiveDuration,
  tcpKeepAliveMs: positiveDuration,
};

/**
 * Fills in the defaults; what is wrong goes on the list of problems, by name and without its value. Reads its own options and
 * leaves all others alone. The environment is read here, once.
 *
 * @internal
 */
export function resolveDialSettings(options: HttpDialOptions, problems: string[]): DialSettings {
  const { baseURL, tls = {}, socketPath, proxy, network = {} } = options;
  const base = resolveBaseURL(baseURL, problems);
  return {
    base,
    tls: resolveTls(tls, base.protocol === 'https:', problems),
    socketPath: resolveSocketPath(socketPath, proxy, problems),
    proxy: socketPath === undefined ? resolveProxy(proxy, base, problems) : undefined,
    network: resolveNetwork(network, problems),
  };
}

/** What `describe()` shows: where to and which way, without credentials. @internal */
export function describeDial({ base, socketPath, proxy }: DialSettings): string {
  const where = `${base.origin}${base.pathname.replace(/\/+$/, '')}`;
  if (socketPath !== undefined) return `${where} at ${printable(socketPath)}`;
  return proxy === undefined ? where : `${where} via ${proxy.url.origin}`;
}

/** An abstract socket of Linux begins with a zero byte, which is written as an @. @internal */
export function printable(socketPath: string): string {
  return socketPath.replace(/^\0/, '@');
}

function resolveBaseURL(baseURL: unknown, problems: string[]): URL {
  const url = typeof baseURL === 'string' && URL.canParse(baseURL) ? new URL(baseURL) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    problems.push('baseURL: expected a URL such as https://api.example.com/v1');
    return new URL('http://invalid.invalid');
  }
  if (url.username !== '' || url.password !== '') {
    problems.push('baseURL: must hold no user or password; send them as a header');
  }
  if (url.search !== '' || url.hash !== '') problems.push('baseURL: must hold no query and no fragment');
  return url;
}

function resolveTls(
  tls: NonNullable<HttpDialOptions['tls']>,
  isUsed: boolean,
  problems: string[],
): DialSettings['tls'] {
  if (typeof tls === 'function') return tls;
  if (isUsed) problems.push(...tlsProblems(tls, 'tls'));
  return () => tls;
}

function resolveSocketPath(path: unknown, proxy: unknown, problems: string[]): string | undefined {
  if (path === undefined) return undefined;
  if (typeof path !== 'string' || path === '') {
    problems.push(`socketPath: expected a path such as /run/api.sock, got ${shapeOf(path)}`);
    return undefined;
  }
  // A proxy of the environment is none for a socket of this machine; one that was asked for is a contradiction.
  if (proxy !== undefined && proxy !== false) problems.push('socketPath: must not be given with a proxy');
  return path;
}

function resolveNetwork(network: HttpNetworkOptions, problems: string[]): HttpNetworkOptions {
  if (typeof network !== 'object' || network === null) {
    problems.push(`network: expected an object, got ${shapeOf(network)}`);
    return {};
  }
  problems.push(...checkGroup(NETWORK, network, 'network.'));
  const { family: wanted = 0, localAddress = '' } = network;
  const own = typeof localAddress === 'string' ? isIP(localAddress) : 0;
  if (wanted !== 0 && own !== 0 && own !== wanted) problems.push('network.localAddress: must be of network.family');
  return network;
}
