import { EventEmitter } from 'node:events';
import PgPool from 'pg-pool';

/**
 * With a client that talks to no server: as much of one as the pool itself touches.
 *
 * @type {import('../adapters.mjs').Adapter}
 */
export const adapter = {
  open({ maxConnections, acquireTimeoutMs, maxIdleTimeMs, create, check, destroy }) {
    if (check !== undefined) throw new TypeError('no check on borrow');

    class Client extends EventEmitter {
      _queryable = true;
      _ending = false;

      connect(callback) {
        void Promise.resolve(create()).then(() => callback());
      }

      end(callback) {
        destroy(this);
        queueMicrotask(callback);
      }

      isConnected() {
        return true;
      }

      ref() {}

      unref() {}
    }

    const pool = new PgPool({
      max: maxConnections,
      connectionTimeoutMillis: acquireTimeoutMs,
      // Else every return sets a timer and every borrow clears one, and that is most of what would be measured.
      idleTimeoutMillis: maxIdleTimeMs ?? 0,
      Client,
    });
    // One timer per idle client: there is no pass over them that could be measured, hence no tick.
    return { acquire: () => pool.connect(), release: (client) => client.release() };
  },
};
