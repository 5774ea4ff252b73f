import tarn from 'tarn';

export const name = 'tarn';

export const features = ['minimum', 'events', 'check', 'asyncCheck', 'destroyHook', 'createTimeout', 'yields'];

export function open(hooks, wishes) {
  const { max, min, acquireTimeoutMs, createTimeoutMs, destroyTimeoutMs, idleMs } = wishes;
  // It cannot destroy one that is held. Its users mark it, give it back, and have `validate` refuse it (knex does so).
  const discarded = new Set();
  const pool = new tarn.Pool({
    create: () => hooks.create(),
    destroy: (resource) => hooks.destroy(resource),
    validate: (resource) => !discarded.has(resource) && (wishes.check ? hooks.check(resource) : true),
    max,
    min,
    acquireTimeoutMillis: acquireTimeoutMs,
    ...(createTimeoutMs === undefined ? {} : { createTimeoutMillis: createTimeoutMs }),
    ...(destroyTimeoutMs === undefined ? {} : { destroyTimeoutMillis: destroyTimeoutMs }),
    ...(idleMs === undefined ? {} : { idleTimeoutMillis: idleMs, reapIntervalMillis: 20 }),
  });
  const held = (resource) => ({
    resource,
    release: () => pool.release(resource),
    discard: () => {
      discarded.add(resource);
      pool.release(resource);
    },
  });
  return {
    start: () => undefined,
    acquire: () => pool.acquire().promise.then(held),
    acquireAbortable: () => {
      const pending = pool.acquire();
      return { acquired: pending.promise.then(held), abort: () => pending.abort() };
    },
    onAcquired: (callback) => void pool.acquire().promise.then((resource) => callback(held(resource))),
    close: () => pool.destroy(),
    size: () => pool.numUsed() + pool.numFree(),
    idle: () => pool.numFree(),
    waiting: () => pool.numPendingAcquires(),
    listen: (listener) => {
      for (const event of ['createSuccess', 'createFail', 'acquireSuccess', 'release']) pool.on(event, listener);
    },
  };
}
