import { setImmediate as turn } from 'node:timers/promises';

export const MAX_CONNECTIONS = 10;

let lastId = 0;
/** An object of its own each time: most pools know what they lent by identity. */
const create = () => ({ id: (lastId += 1) });
const destroy = () => undefined;

/**
 * @param {import('../adapters.mjs').Adapter} adapter
 * @param {Partial<import('../adapters.mjs').Wishes>} [wishes]
 */
export function openPool(adapter, wishes) {
  return adapter.open({ maxConnections: MAX_CONNECTIONS, create, destroy, ...wishes });
}

/** A pool with every connection open and idle. */
export async function openWarmPool(adapter, wishes) {
  const pool = openPool(adapter, wishes);
  await borrowAndReturn(pool, wishes?.maxConnections ?? MAX_CONNECTIONS);
  return pool;
}

export async function borrowAndReturn(pool, count) {
  for (const loan of await borrow(pool, count)) pool.release(loan);
  // What a pool puts off until after a return is no part of what comes next.
  await turn();
}

export function borrow(pool, count) {
  return Promise.all(Array.from({ length: count }, () => pool.acquire()));
}
