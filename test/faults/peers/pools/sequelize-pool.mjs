import sequelizePool from 'sequelize-pool';

export const name = 'sequelize-pool';

export const features = ['minimum', 'check', 'destroy', 'destroyHook', 'yields'];

export function open(hooks, wishes) {
  const { max, min, acquireTimeoutMs, idleMs } = wishes;
  const pool = new sequelizePool.Pool({
    create: () => hooks.create(),
    destroy: (resource) => hooks.destroy(resource),
    validate: (resource) => (wishes.check ? hooks.check(resource) : true),
    max,
    min,
    acquireTimeoutMillis: acquireTimeoutMs,
    ...(idleMs === undefined ? {} : { idleTimeoutMillis: idleMs, reapIntervalMillis: 20 }),
  });
  const held = (resource) => ({
    resource,
    release: () => pool.release(resource),
    destroy: () => pool.destroy(resource),
    discard: () => pool.destroy(resource),
  });
  return {
    start: () => undefined,
    acquire: () => pool.acquire().then(held),
    onAcquired: (callback) => void pool.acquire().then((resource) => callback(held(resource))),
    close: () => pool.drain().then(() => pool.destroyAllNow()),
    size: () => pool.size,
    idle: () => pool.available,
    waiting: () => pool.waiting,
    reportDead: (resource) => pool.destroy(resource),
  };
}
