import { Pool } from 'sequelize-pool';

/** It always has an acquire timeout: 30 s where none is asked for. @type {import('../adapters.mjs').Adapter} */
export const adapter = {
  open({ maxConnections, acquireTimeoutMs, maxIdleTimeMs, create, check, destroy }) {
    if (check !== undefined) throw new TypeError('its check is synchronous');
    const pool = new Pool({
      create: async () => create(),
      destroy: async (connection) => destroy(connection),
      validate: () => true,
      min: 0,
      max: maxConnections,
      acquireTimeoutMillis: acquireTimeoutMs,
      idleTimeoutMillis: maxIdleTimeMs,
    });
    return {
      acquire: () => pool.acquire(),
      release: (connection) => pool.release(connection),
      tick: () => {
        clearTimeout(pool._removeIdleTimer);
        pool._removeIdle();
      },
    };
  },
};
