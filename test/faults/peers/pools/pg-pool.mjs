import { EventEmitter } from 'node:events';
import PgPool from 'pg-pool';

export const name = 'pg-pool';

export const features = ['minimum', 'events', 'destroy', 'lifetime', 'idleErrors'];

export function open(hooks, wishes) {
  const { max, min, acquireTimeoutMs, idleMs, lifetimeMs } = wishes;

  /** What pg-pool asks of `pg.Client`, on our hooks. Like that one, it fails a connect whose socket is destroyed. */
  class FakeClient extends EventEmitter {
    _queryable = true;
    _ending = false;
    connection = { stream: { destroy: () => this.stop?.(new Error('Connection terminated')) } };

    connect(callback) {
      const stopped = new Promise((_, reject) => (this.stop = reject));
      stopped.catch(() => undefined);
      void Promise.race([hooks.create(), stopped]).then(
        (resource) => {
          this.resource = resource;
          callback();
        },
        (error) => callback(error),
      );
    }

    end(callback) {
      this._ending = true;
      void Promise.resolve(hooks.destroy(this.resource)).finally(() => {
        this.emit('end');
        callback?.();
      });
    }

    ref() {}
    unref() {}
  }

  const pool = new PgPool({
    Client: FakeClient,
    max,
    min,
    connectionTimeoutMillis: acquireTimeoutMs,
    allowExitOnIdle: true,
    ...(idleMs === undefined ? {} : { idleTimeoutMillis: idleMs }),
    ...(lifetimeMs === undefined ? {} : { maxLifetimeSeconds: lifetimeMs / 1000 }),
  });
  // Without it every error of an idle client is thrown; its documentation asks for it. N34 is about leaving it out.
  if (!wishes.isUnwatched) pool.on('error', () => undefined);
  const clients = new Map();
  const held = (client) => {
    clients.set(client.resource, client);
    return {
      resource: client.resource,
      release: () => client.release(),
      destroy: () => client.release(new Error('destroy')),
      discard: () => client.release(new Error('discard')),
    };
  };
  return {
    start: () => undefined,
    acquire: () => pool.connect().then(held),
    onAcquired: (callback) => void pool.connect((error, client) => error || callback(held(client))),
    close: () => pool.end(),
    size: () => pool.totalCount,
    idle: () => pool.idleCount,
    waiting: () => pool.waitingCount,
    reportDead: (resource) => clients.get(resource).emit('error', new Error('dead')),
    listen: (listener) => {
      for (const event of ['connect', 'acquire', 'release']) pool.on(event, listener);
    },
  };
}
