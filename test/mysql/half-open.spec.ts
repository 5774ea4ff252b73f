import { FaultProxy } from '../support/fault-proxy.mjs';
import { describeWith, findMysql } from '../support/services.js';
import { addressOf, closeAll, poolOf, rowsOf } from './rig.js';

describeWith(await findMysql(), 'a MySQL connection that the network has forgotten', (server) => {
  afterEach(closeAll);

  it('keeps nobody waiting whose transaction was aborted, and is replaced', async () => {
    const proxy = await FaultProxy.start(server);
    try {
      const { host, port } = proxy;
      const limits = { maxConnections: 1, destroyTimeoutMs: 300 };
      const pool = poolOf({ ...addressOf(server), host, port, reset: 'transactions', ...limits });
      await pool.query('select 1');
      proxy.mode = 'half-open';
      proxy.mode = 'ok';
      const began = performance.now();
      const signal = AbortSignal.timeout(100);
      const transaction = pool.transaction((connection) => rowsOf(connection, 'select 1 as one'), { signal });
      expect(await transaction.catch((error: unknown) => error)).toBe(signal.reason);
      // Long before what is done behind it is given up: the statement that was killed is waited for, five seconds.
      expect(performance.now() - began).toBeLessThan(2_000);
      expect(await pool.use((connection) => rowsOf(connection, 'select 1 as one'))).toEqual([{ one: 1 }]);
      expect(pool.stats()).toMatchObject({ created: 2, totalConnections: 1 });
      await closeAll();
    } finally {
      await proxy.stop();
    }
  }, 20_000);
});
