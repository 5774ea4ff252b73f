import { Pool } from 'tarn';

/** It always has an acquire timeout: 30 s where none is asked for. @type {import('../adapters.mjs').Adapter} */
export const adapter = {
  open({ maxConnections, acquireTimeoutMs, maxIdleTimeMs, create, check, destroy }) {
    const pool = new Pool({
      create: async () => create(),
      destroy,
      validate: check,
      min: 0,
      max: maxConnections,
      acquireTimeoutMillis: acquireTimeoutMs,
      idleTimeoutMillis: maxIdleTimeMs,
    });
    return {
      acquire: () => pool.acquire().promise,
      release: (connection) => pool.release(connection),
      tick: () => pool.check(),
    };
  },
};
