import { ConnectionPool } from 'nestjs-pools/core';

export const name = 'nestjs-pools';

export const features = [
  'minimum',
  'events',
  'check',
  'asyncCheck',
  'reset',
  'returnCheck',
  'destroy',
  'destroyHook',
  'createTimeout',
  'lifetime',
  'force',
  'use',
  'idleErrors',
  'yields',
];

export function open(hooks, wishes) {
  const { max, min, acquireTimeoutMs, createTimeoutMs, destroyTimeoutMs, idleMs, lifetimeMs, checkTimeoutMs } = wishes;
  const factory = { create: (context) => hooks.create(context), destroy: (resource) => hooks.destroy(resource) };
  if (wishes.check) factory.isHealthy = (resource) => hooks.check(resource);
  if (wishes.reset || wishes.returnCheck) factory.reset = (resource) => hooks.reset(resource);
  const limits = {
    maxConnections: max,
    minConnections: min,
    maxWaiting: wishes.maxWaiting ?? 1_000_000,
    acquireTimeoutMs,
    createTimeoutMs,
    destroyTimeoutMs,
    healthCheckTimeoutMs: checkTimeoutMs,
    resetTimeoutMs: checkTimeoutMs,
    maxIdleTimeMs: idleMs,
    maxLifetimeMs: lifetimeMs,
    validateAfterIdleMs: wishes.check ? 0 : undefined,
    reclaimLeaked: wishes.reclaim,
    detectDeadlock: wishes.nesting,
  };
  // Absent and undefined are the same to it, but for options that a version does not know.
  const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
  const pool = new ConnectionPool({ name: 'ours', factory, ...given });
  const held = (lease) => ({
    resource: lease.connection,
    release: () => lease.release(),
    destroy: () => lease.destroy(),
    discard: () => lease.destroy(),
  });
  const brokenBy = hooks.brokenBy;
  return {
    start: () => void pool.start(),
    acquire: ({ priority } = {}) => pool.acquire(priority === undefined ? {} : { priority }).then(held),
    acquireAbortable: () => {
      const controller = new AbortController();
      return { acquired: pool.acquire({ signal: controller.signal }).then(held), abort: () => controller.abort() };
    },
    onAcquired: (callback) => void pool.acquire().then((lease) => callback(held(lease))),
    use: (work) => pool.use(work),
    close: ({ timeoutMs } = {}) => pool.close(timeoutMs === undefined ? {} : { timeoutMs }),
    size: () => pool.stats().totalConnections,
    idle: () => pool.stats().idleConnections,
    waiting: () => pool.stats().waiting,
    reportDead: (resource) => brokenBy.get(resource)(new Error('dead')),
    listen: (listener) => {
      for (const event of ['create', 'createError', 'acquire', 'release']) pool.on(event, listener);
    },
  };
}
