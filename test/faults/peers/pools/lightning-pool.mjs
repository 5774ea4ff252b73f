import { createPool } from 'lightning-pool';

export const name = 'lightning-pool';

export const features = [
  'minimum',
  'events',
  'check',
  'asyncCheck',
  'reset',
  'returnCheck',
  'destroy',
  'destroyHook',
  'force',
  'yields',
];

export function open(hooks, wishes) {
  const { max, min, acquireTimeoutMs, idleMs } = wishes;
  const factory = { create: () => hooks.create(), destroy: (resource) => hooks.destroy(resource) };
  if (wishes.check) factory.validate = (resource) => hooks.check(resource);
  if (wishes.reset || wishes.returnCheck) factory.reset = (resource) => hooks.reset(resource);
  const pool = createPool(factory, {
    max,
    min,
    acquireTimeoutMillis: acquireTimeoutMs,
    fifo: false,
    maxQueue: wishes.maxWaiting ?? 1_000_000,
    validation: wishes.check === true,
    ...(idleMs === undefined ? {} : { idleTimeoutMillis: idleMs, houseKeepInterval: 20 }),
  });
  const held = (resource) => ({
    resource,
    release: () => pool.release(resource),
    destroy: () => pool.destroy(resource),
    discard: () => pool.destroy(resource),
  });
  return {
    start: () => pool.start(),
    acquire: () => pool.acquire().then(held),
    onAcquired: (callback) => pool.acquire((error, resource) => error || callback(held(resource))),
    close: ({ timeoutMs } = {}) => pool.closeAsync(timeoutMs),
    size: () => pool.size,
    idle: () => pool.available,
    waiting: () => pool.pending,
    reportDead: (resource) => pool.destroy(resource),
    listen: (listener) => {
      for (const event of ['create', 'error', 'acquire', 'return']) pool.on(event, listener);
    },
  };
}
