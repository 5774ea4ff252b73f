import genericPool from 'generic-pool';

/** @type {import('../adapters.mjs').Adapter} */
export const adapter = {
  open({ maxConnections, acquireTimeoutMs, maxIdleTimeMs, create, check, destroy }) {
    const pool = genericPool.createPool(
      {
        create: async () => create(),
        destroy: async (connection) => destroy(connection),
        validate: check,
      },
      {
        max: maxConnections,
        acquireTimeoutMillis: acquireTimeoutMs,
        testOnBorrow: check !== undefined,
        idleTimeoutMillis: maxIdleTimeMs,
        // Without an interval it never closes an idle one, and by default it looks at three of them only.
        evictionRunIntervalMillis: maxIdleTimeMs === undefined ? 0 : 1_000,
        numTestsPerEvictionRun: maxConnections,
      },
    );
    return {
      acquire: () => pool.acquire(),
      release: (connection) => pool.release(connection),
      use: (work) => pool.use(work),
      tick: () => pool._evict(),
    };
  },
};
