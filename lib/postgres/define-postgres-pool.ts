import { Client } from 'pg';
import { type PoolDefinition, PoolOptionsError } from '../core/index.js';
import { splitLimits } from '../core/option-rules.js';
import { PostgresConnectionFactory } from './postgres-connection.factory.js';
import { PostgresPool } from './postgres-pool.js';
import { type PostgresPoolOptions, resolvePostgresSettings } from './postgres-settings.js';

/** Where PostgreSQL asks for other limits than the pool's own; see {@link PostgresPoolOptions} for the reason. */
const POSTGRES_LIMITS = { maxConnections: 10 } as const;

/**
 * A pool of sessions of one PostgreSQL database.
 *
 * ```ts
 * postgresPool({ connectionString: process.env.DATABASE_URL, maxConnections: 20 })
 * ```
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong, never its value
 * @publicApi
 */
export function postgresPool(options: PostgresPoolOptions): PoolDefinition<Client, PostgresPool> {
  if (typeof options !== 'object' || options === null) {
    throw new PoolOptionsError('postgresPool', ['expected an object of options, such as { connectionString }']);
  }
  const { limits, rest, problems } = splitLimits(options);
  const settings = resolvePostgresSettings(rest, problems);
  if (!isDriverFit()) problems.push('pg: expected 8.21 or later, in JavaScript (is NODE_PG_FORCE_NATIVE set?)');
  if (problems.length > 0) throw new PoolOptionsError('postgresPool', problems);
  return {
    kind: 'postgres',
    factory: new PostgresConnectionFactory(settings),
    limits: { ...POSTGRES_LIMITS, ...limits },
    describe: () => settings.description,
    createPool: (poolOptions) => new PostgresPool(poolOptions),
  };
}

function isDriverFit(): boolean {
  const isNative = Boolean(process.env['NODE_PG_FORCE_NATIVE']);
  return !isNative && typeof (Client.prototype as Partial<Client>).getTransactionStatus === 'function';
}
