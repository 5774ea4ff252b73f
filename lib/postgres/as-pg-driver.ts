import type { Client } from 'pg';
import pg from 'pg';
import type { ConnectionPool } from '../core/index.js';
import { PgPoolFacade } from './pg-pool-facade.js';
import { type PgPoolOptions, resolvePgPoolOptions } from './pg-pool-options.js';

/**
 * The module `pg` with a `Pool` that is {@link asPgPool} of this pool, whatever options it is called with: for libraries that
 * make their pool themselves and let the driver be chosen, above all TypeORM.
 *
 * ```ts
 * new DataSource({ type: 'postgres', driver: asPgDriver(pool), entities: [Document] })
 * ```
 *
 * Address, user and password come from the pool, so the DataSource needs none; `poolSize` and `extra` have no effect.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function asPgDriver<C extends Client>(pool: ConnectionPool<C>, options: PgPoolOptions = {}): typeof pg {
  const settings = resolvePgPoolOptions('asPgDriver', pool, options);
  class PoolOfDriver extends PgPoolFacade<C> {
    constructor() {
      super(pool, settings);
    }
  }
  // Without `native`, which TypeORM prefers where pg-native is installed: that one would open connections of its own.
  return { ...pg, Pool: PoolOfDriver as unknown as typeof pg.Pool, native: null };
}
