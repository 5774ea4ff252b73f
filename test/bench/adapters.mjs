import { readFileSync } from 'node:fs';

/**
 * What a scenario wants of a pool. What it leaves out is the pool's own default.
 *
 * @typedef {object} Wishes
 * @property {number} maxConnections
 * @property {number} [acquireTimeoutMs]
 * @property {number} [maxIdleTimeMs]
 * @property {() => unknown} create
 * @property {(connection: unknown) => void} destroy
 * @property {(connection: unknown) => Promise<boolean>} [check] on every borrow
 * @property {boolean} [ticksByHand] the scenario calls `tick()` itself
 */

/**
 * Every pool in the same words. A method that a pool has no equal of is missing.
 *
 * @typedef {object} BenchPool
 * @property {() => Promise<unknown>} acquire resolves to what `release` takes
 * @property {(loan: unknown) => unknown} release
 * @property {(work: (connection: unknown) => Promise<unknown>) => Promise<unknown>} [use]
 * @property {() => void} [tick] one pass that looks for expired idle connections
 * @property {() => number} [heard] how many events came, where the point is to measure them
 */

/** @typedef {{ open(wishes: Wishes): BenchPool }} Adapter */

const LEAK_WATCH = { leakWarnAfterMs: 60_000, reclaimLeaked: true };

/** One process loads one of these, so that no pool shares a heap or an inline cache with another. */
const LOADERS = {
  noop: async () => (await import('./adapters/noop.mjs')).noop,
  floor: async () => (await import('./adapters/floor.mjs')).floor,
  'floor+timeout': async () => (await import('./adapters/floor.mjs')).floorWithTimeout,
  ours: async () => (await import('./adapters/ours.mjs')).ours(),
  'generic-pool': async () => (await import('./adapters/generic-pool.mjs')).adapter,
  tarn: async () => (await import('./adapters/tarn.mjs')).adapter,
  'lightning-pool': async () => (await import('./adapters/lightning-pool.mjs')).adapter,
  'pg-pool': async () => (await import('./adapters/pg-pool.mjs')).adapter,
  'sequelize-pool': async () => (await import('./adapters/sequelize-pool.mjs')).adapter,
  'ours+events': async () => (await import('./adapters/ours.mjs')).withEvents(),
  'ours+channel': async () => (await import('./adapters/ours.mjs')).withChannel(),
  'ours+leaks': async () => (await import('./adapters/ours.mjs')).ours(LEAK_WATCH),
  'ours+stacks': async () => (await import('./adapters/ours.mjs')).ours({ ...LEAK_WATCH, leakStackSampleRate: 1 }),
  'ours+deadlock': async () => (await import('./adapters/ours.mjs')).ours({ detectDeadlock: true }),
};

export const PEERS = ['generic-pool', 'tarn', 'lightning-pool', 'pg-pool', 'sequelize-pool'];

/** Each of our options that costs something, switched on. */
export const VARIANTS = ['ours+events', 'ours+channel', 'ours+leaks', 'ours+stacks', 'ours+deadlock'];

export const ADAPTERS = Object.keys(LOADERS);

/** @returns {Promise<Adapter>} */
export async function loadAdapter(name) {
  if (!ADAPTERS.includes(name)) throw new Error(`no adapter ${name}; there are ${ADAPTERS.join(', ')}`);
  return LOADERS[name]();
}

/** @returns {Record<string, string>} the peers' versions, as installed */
export function peerVersions() {
  const versions = PEERS.map((peer) => {
    const manifest = new URL(`../../node_modules/${peer}/package.json`, import.meta.url);
    return [peer, JSON.parse(readFileSync(manifest, 'utf8')).version];
  });
  return Object.fromEntries(versions);
}
