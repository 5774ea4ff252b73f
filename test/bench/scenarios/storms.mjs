import { setTimeout as sleep } from 'node:timers/promises';
import { cpuClock } from '../cpu-clock.mjs';
import { longestBlock } from './longest-block.mjs';
import { borrow, MAX_CONNECTIONS, openWarmPool } from './warm-pool.mjs';

const PATIENCE_MS = 50;
const WARM_UP_SIZE = 2_000;

/** Waiters that all give up. Resolves when the last has been told. */
function giveUp(pool, size) {
  return new Promise((resolve, reject) => {
    let left = size;
    const served = () => reject(new Error('served although nothing came back'));
    const refused = () => {
      left -= 1;
      if (left === 0) resolve();
    };
    for (let index = 0; index < size; index += 1) pool.acquire().then(served, refused);
  });
}

async function stillServes(pool, loans) {
  for (const loan of loans) pool.release(loan);
  const loan = await Promise.race([pool.acquire().catch(() => undefined), sleep(1_000)]);
  if (loan === undefined) return false;
  pool.release(loan);
  return true;
}

/** Measures `around` a storm of that size over a pool of its own, and looks whether the pool survived. */
async function storm(adapter, size, around) {
  const pool = await openWarmPool(adapter, { acquireTimeoutMs: PATIENCE_MS });
  const loans = await borrow(pool, MAX_CONNECTIONS);
  const result = await around(() => giveUp(pool, size));
  return { result, flaw: (await stillServes(pool, loans)) ? undefined : 'refuses everybody afterwards' };
}

async function processorTime(work) {
  const clock = cpuClock();
  const cpuBefore = clock.now();
  const wallBefore = performance.now();
  await work();
  return { figure: (clock.now() - cpuBefore) / 1e6, wall: performance.now() - wallBefore };
}

/** The processor time of a storm, and whether the pool outlives it. */
export const timeouts = (size) => async (adapter) => {
  const prepared = {
    warmUp: () => storm(adapter, WARM_UP_SIZE, (rage) => rage()),
    run: async () => {
      const { result, flaw } = await storm(adapter, size, (rage) => processorTime(rage));
      prepared.flaw ??= flaw;
      return result;
    },
  };
  return prepared;
};

/** The longest time without a turn of the loop. */
export const timeoutsBlock = (size) => async (adapter) => ({
  warmUp: () => storm(adapter, WARM_UP_SIZE, (rage) => rage()),
  run: async () => (await storm(adapter, size, (rage) => longestBlock(rage()))).result,
});
