import { ConnectionPool, type PoolDefinition, PoolOptionsError } from '../core/index.js';
import { splitLimits } from '../core/option-rules.js';
import type { HttpConnection } from './http-connection.js';
import { HttpConnectionFactory } from './http-connection.factory.js';
import { type HttpPoolOptions, resolveHttpSettings, textOf } from './http-settings.js';

/** A pool of HTTP connections. @publicApi */
export type HttpPool = ConnectionPool<HttpConnection>;

/** Where HTTP asks for other limits than the pool's own; see {@link HttpPoolOptions} for the reasons. */
const HTTP_LIMITS = {
  minConnections: 0,
  maxIdleTimeMs: 4_000,
  maxLifetimeMs: 600_000,
  healthCheckIntervalMs: 3_000,
  validateAfterIdleMs: Infinity,
  createTimeoutMs: 5_000,
} as const;

/**
 * A pool of sockets to one HTTP server: an API, a model server, another service.
 *
 * ```ts
 * httpPool({ baseURL: 'https://api.example.com/v1', headers: { authorization: `Bearer ${key}` }, maxConnections: 20 })
 * ```
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong, never its value
 * @publicApi
 */
export function httpPool(options: HttpPoolOptions): PoolDefinition<HttpConnection> {
  const { limits, rest, problems } = splitLimits(options);
  const settings = resolveHttpSettings(rest, problems);
  if (problems.length > 0) throw new PoolOptionsError('httpPool', problems);
  return {
    kind: 'http',
    factory: new HttpConnectionFactory(settings),
    limits: { ...HTTP_LIMITS, ...limits },
    describe: () => textOf(settings.base),
    createPool: (poolOptions) => new ConnectionPool(poolOptions),
  };
}
