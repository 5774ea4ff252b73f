import genericPool from 'generic-pool';

export const name = 'generic-pool';

export const features = [
  'minimum',
  'events',
  'check',
  'asyncCheck',
  'returnCheck',
  'destroy',
  'destroyHook',
  'use',
  'yields',
];

export function open(hooks, wishes) {
  const { max, min, acquireTimeoutMs, destroyTimeoutMs, idleMs } = wishes;
  const factory = { create: () => hooks.create(), destroy: (resource) => hooks.destroy(resource) };
  if (wishes.check) factory.validate = (resource) => hooks.check(resource);
  // Its `validate` says yes or no; what a reset does elsewhere, the check on return does here.
  if (wishes.returnCheck)
    factory.validate = (resource) =>
      Promise.resolve(hooks.reset(resource)).then(
        () => true,
        () => false,
      );
  const pool = genericPool.createPool(factory, {
    max,
    min,
    acquireTimeoutMillis: acquireTimeoutMs,
    testOnBorrow: wishes.check === true,
    testOnReturn: wishes.returnCheck === true,
    fifo: false,
    priorityRange: 10,
    ...(destroyTimeoutMs === undefined ? {} : { destroyTimeoutMillis: destroyTimeoutMs }),
    ...(idleMs === undefined
      ? {}
      : { idleTimeoutMillis: idleMs, evictionRunIntervalMillis: 20, numTestsPerEvictionRun: 100 }),
  });
  const held = (resource) => ({
    resource,
    release: () => pool.release(resource),
    destroy: () => pool.destroy(resource),
    discard: () => pool.destroy(resource),
  });
  return {
    start: () => undefined,
    // Its highest priority is 0, ours is 9.
    acquire: ({ priority = 0 } = {}) => pool.acquire(9 - priority).then(held),
    onAcquired: (callback) => void pool.acquire().then((resource) => callback(held(resource))),
    use: (work) => pool.use(work),
    close: () => pool.drain().then(() => pool.clear()),
    size: () => pool.size,
    idle: () => pool.available,
    waiting: () => pool.pending,
    reportDead: (resource) => pool.destroy(resource),
    listen: (listener) => {
      for (const event of ['factoryCreateError', 'factoryDestroyError']) pool.on(event, listener);
    },
  };
}
