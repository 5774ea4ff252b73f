import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { PoolLimits } from '../core/index.js';

/**
 * How an idle connection is checked in the background.
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
 * What {@link httpPool} takes: where to connect, what to send with every request, and the pool's limits.
 *
 * The limits' defaults differ from other pools' where HTTP asks for it: `minConnections` 0 and `maxIdleTimeMs` 4 000,
 * since servers close idle sockets after 5 s or so; `healthCheckIntervalMs` 3 000, which keeps a minimum warm under that;
 * `validateAfterIdleMs` Infinity, because a socket that closes says so itself; `createTimeoutMs` 5 000;
 * `maxLifetimeMs` 600 000, so that a change of DNS or of a balancer's targets is followed.
 *
 * @publicApi
 */
export interface HttpPoolOptions extends PoolLimits {
  /** `http:` or `https:`, without credentials, query or fragment. Every request stays below it. */
  readonly baseURL: string;
  /** Sent with every request; the place for an API key. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The whole of one request, body included. A request's own `timeout` goes before it. Default: 60 000. */
  readonly requestTimeoutMs?: number;
  /** Decompressed size of an answer. Default: 64 MiB. */
  readonly maxResponseBytes?: number;
  /** Default: 16 MiB. */
  readonly maxRequestBytes?: number;
  /** For `https:`: `ca`, `cert`, `key`, `servername` and the like, as `tls.connect` takes them. */
  readonly tls?: TlsOptions;
  /** `false` turns the background check off. */
  readonly healthCheck?: HttpHealthCheck | false;
}

/** HTTP's own settings, checked and complete. @internal */
export interface HttpSettings {
  readonly base: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestTimeoutMs: number;
  readonly maxResponseBytes: number;
  readonly maxRequestBytes: number;
  readonly tls: TlsOptions;
  readonly healthCheck: Required<HttpHealthCheck> | false;
}

const MIB = 1024 * 1024;

/** Fills in HTTP's defaults; what is wrong goes on the list of problems, by name and without its value. @internal */
export function resolveHttpSettings(
  options: Omit<HttpPoolOptions, keyof PoolLimits>,
  problems: string[],
): HttpSettings {
  const { baseURL, headers = {}, tls = {}, healthCheck = {}, ...others } = options;
  const { requestTimeoutMs = 60_000, maxResponseBytes = 64 * MIB, maxRequestBytes = 16 * MIB, ...unknown } = others;
  problems.push(...Object.keys(unknown).map((key) => `${key}: no such option of httpPool`));
  for (const [key, value] of Object.entries({ requestTimeoutMs, maxResponseBytes, maxRequestBytes })) {
    if (typeof value !== 'number' || !(value > 0)) problems.push(`${key}: expected a number above 0`);
  }
  for (const [name, value] of Object.entries(headers)) {
    // The value may be a key: only the header's name is told.
    if (typeof value !== 'string') problems.push(`headers.${name}: expected a text`);
    else if (/[\r\n\0]/.test(value)) problems.push(`headers.${name}: must not hold line breaks`);
  }
  return {
    base: resolveBaseURL(baseURL, problems),
    headers,
    requestTimeoutMs,
    maxResponseBytes,
    maxRequestBytes,
    tls,
    healthCheck: resolveHealthCheck(healthCheck, problems),
  };
}

function resolveHealthCheck(check: HttpHealthCheck | false, problems: string[]): HttpSettings['healthCheck'] {
  if (check === false) return false;
  const { method = 'HEAD', path = '', ...unknown } = check;
  problems.push(...Object.keys(unknown).map((key) => `healthCheck.${key}: no such option`));
  if (typeof method !== 'string') problems.push('healthCheck.method: expected a text, such as GET');
  if (typeof path !== 'string') problems.push('healthCheck.path: expected a text, such as /health');
  return { method, path };
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

/** The base URL as axios wants it: without a slash at its end. @internal */
export function textOf(base: URL): string {
  return `${base.origin}${base.pathname.replace(/\/+$/, '')}`;
}
