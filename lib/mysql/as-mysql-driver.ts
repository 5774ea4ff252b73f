import mysql from 'mysql2';
import { type MysqlFacadeOptions, resolveFacadeOptions } from './facade-options.js';
import type { MysqlPool } from './mysql-pool.js';
import { MysqlPoolFacade } from './mysql-pool-facade.js';

/**
 * The module `mysql2` with a `createPool` that gives {@link asMysqlPool} of this pool, whatever options it is called with: for
 * libraries that make their pool themselves and let the driver be chosen, above all TypeORM.
 *
 * ```ts
 * new DataSource({ type: 'mysql', driver: asMysqlDriver(pool), entities: [Document] })
 * ```
 *
 * Address, user and password come from the pool, so the DataSource needs none; `poolSize` and `extra` have no effect. So do the
 * options of values: give the pool what TypeORM would, `supportBigNumbers`, `bigNumberStrings` and `stringifyObjects`.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function asMysqlDriver(pool: MysqlPool, options: MysqlFacadeOptions = {}): typeof mysql {
  const settings = resolveFacadeOptions('asMysqlDriver', pool, options);
  return {
    ...mysql,
    createPool: () => new MysqlPoolFacade(pool, settings) as never,
    createPoolCluster: () => {
      throw new Error('asMysqlDriver: one pool is no cluster; make a pool for each server');
    },
  };
}
