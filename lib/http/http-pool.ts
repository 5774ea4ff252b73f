import { ConnectionPool, type PoolDefinition, type PoolOptions, PoolOptionsError } from '../core/index.js';
import { splitLimits } from '../core/option-rules.js';
import { describeDial } from './dial-settings.js';
import type { HttpConnection } from './http-connection.js';
import { HttpConnectionFactory } from './http-connection.factory.js';
import { type HttpPoolOptions, resolveHttpSettings } from './http-settings.js';
import { HttpUpkeep } from './http-upkeep.js';

/** Where HTTP asks for other limits than the pool's own; see {@link HttpPoolOptions} for the reasons. */
const HTTP_LIMITS = {
  minConnections: 0,
  maxIdleTimeMs: 600_000,
  maxLifetimeMs: 600_000,
  healthCheckIntervalMs: 3_000,
  validateAfterIdleMs: Infinity,
  createTimeoutMs: 5_000,
} as const;

/** A session is not kept warm by requests, and servers take a PING every few seconds for an attack. */
const H2_LIMITS = { ...HTTP_LIMITS, healthCheckIntervalMs: 30_000 } as const;

/**
 * A pool of HTTP connections. It closes idle ones before their server does, and keeps its minimum warm.
 *
 * @publicApi
 */
export class HttpPool extends ConnectionPool<HttpConnection> {
  /** Where its connections go, without user and query. `undefined` for a pool with a factory of another's making. */
  readonly baseURL: string | undefined;

  /** @internal */
  constructor(options: PoolOptions<HttpConnection>) {
    const { factory } = options;
    const upkeep = new HttpUpkeep(factory);
    super({ ...options, factory: upkeep });
    this.baseURL = factory instanceof HttpConnectionFactory ? factory.baseURL : undefined;
    upkeep.watch(this);
  }
}

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
export function httpPool(options: HttpPoolOptions): PoolDefinition<HttpConnection, HttpPool> {
  const { limits: given, rest, problems } = splitLimits(options);
  const limits = { ...(rest.protocol === 'h2' ? H2_LIMITS : HTTP_LIMITS), ...given };
  const settings = resolveHttpSettings(rest, limits, problems);
  if (problems.length > 0) throw new PoolOptionsError('httpPool', problems);
  return {
    kind: 'http',
    factory: new HttpConnectionFactory(settings),
    limits,
    describe: () => describeDial(settings.dial),
    createPool: (poolOptions) => new HttpPool(poolOptions),
  };
}
