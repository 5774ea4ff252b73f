import { Pool } from 'lightning-pool';

/** @type {import('../adapters.mjs').Adapter} */
export const adapter = {
  open({ maxConnections, acquireTimeoutMs, maxIdleTimeMs, create, check, destroy }) {
    const pool = new Pool(
      { create: async () => create(), destroy: async (connection) => destroy(connection), validate: check },
      {
        max: maxConnections,
        maxQueue: Infinity,
        acquireTimeoutMillis: acquireTimeoutMs,
        idleTimeoutMillis: maxIdleTimeMs,
        validation: check !== undefined,
      },
    );
    return {
      acquire: () => pool.acquire(),
      release: (connection) => pool.release(connection),
      tick: () => pool._houseKeep(),
    };
  },
};
