import type { Connection } from 'mysql2/promise';
import { type PoolDefinition, PoolOptionsError } from '../core/index.js';
import { splitLimits } from '../core/option-rules.js';
import { isDriverFit } from './mysql2-internals.js';
import { MysqlConnectionFactory } from './mysql-connection.factory.js';
import { MysqlPool } from './mysql-pool.js';
import type { MysqlPoolOptions } from './mysql-pool-options.js';
import { resolveMysqlSettings } from './mysql-settings.js';

/** Where MySQL asks for other limits than the pool's own; see {@link MysqlPoolOptions} for the reason. */
const MYSQL_LIMITS = { maxConnections: 10 } as const;

/**
 * A pool of sessions of one MySQL or MariaDB server.
 *
 * ```ts
 * mysqlPool({ uri: process.env.DATABASE_URL, maxConnections: 20 })
 * ```
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong, never its value
 * @publicApi
 */
export function mysqlPool(options: MysqlPoolOptions): PoolDefinition<Connection, MysqlPool> {
  const { limits, rest, problems } = splitLimits(options);
  const settings = resolveMysqlSettings(rest, problems);
  if (!isDriverFit()) problems.push('mysql2: expected 3.22 or later');
  if (settings === undefined || problems.length > 0) throw new PoolOptionsError('mysqlPool', problems);
  return {
    kind: 'mysql',
    factory: new MysqlConnectionFactory(settings),
    limits: { ...MYSQL_LIMITS, ...limits },
    describe: () => settings.description,
    createPool: (poolOptions) => new MysqlPool(poolOptions, settings),
  };
}
