import { setTimeout as sleep } from 'node:timers/promises';
import { longestBlock } from './longest-block.mjs';
import { borrow, borrowAndReturn, openPool, openWarmPool } from './warm-pool.mjs';

export const BIG = 10_000;
/** Long enough to fill the slowest peer's pool, and not to expire meanwhile. */
const FAR_OFF_MS = 600_000;
const SOON_MS = 300;

/** The same order at every run and for every pool. */
function shuffled(count) {
  const order = Array.from({ length: count }, (_, index) => index);
  let seed = 1;
  for (let index = count - 1; index > 0; index -= 1) {
    seed = (seed * 48_271) % 2_147_483_647;
    const other = seed % (index + 1);
    [order[index], order[other]] = [order[other], order[index]];
  }
  return order;
}

/** Borrows every connection at once and returns them in no order. */
export const allBorrowed = async (adapter) => {
  const pool = await openWarmPool(adapter, { maxConnections: BIG });
  const order = shuffled(BIG);
  const run = async () => {
    const loans = await borrow(pool, BIG);
    for (const index of order) pool.release(loans[index]);
    return BIG;
  };
  return { pool, run };
};

/** One pass over idle connections none of which has expired. */
export const tick = async (adapter) => {
  const pool = await openWarmPool(adapter, { maxConnections: BIG, maxIdleTimeMs: FAR_OFF_MS, ticksByHand: true });
  if (pool.tick === undefined) throw new TypeError('a timer for each connection, no pass');
  const ticks = 100;
  const run = async () => {
    for (let index = 0; index < ticks; index += 1) pool.tick();
    return ticks;
  };
  return { pool, run };
};

/** All idle connections expire together. */
export const massEvict = async (adapter) => ({
  run: async () => {
    let destroyed = 0;
    const destroy = () => {
      destroyed += 1;
    };
    const pool = openPool(adapter, { maxConnections: BIG, maxIdleTimeMs: SOON_MS, destroy });
    await borrowAndReturn(pool, BIG);
    const gone = async () => {
      while (destroyed < BIG) await sleep(20);
    };
    return longestBlock(gone());
  },
});

const COLD = 100;
const CREATE_MS = 5;

/** Everybody at once on a pool without a connection: the time until the last is served. */
export const coldCreate = async (adapter) => ({
  run: async () => {
    const create = () => sleep(CREATE_MS, {});
    const began = performance.now();
    const pool = openPool(adapter, { maxConnections: COLD, create });
    const loans = await borrow(pool, COLD);
    const tookMs = performance.now() - began;
    for (const loan of loans) pool.release(loan);
    return tookMs;
  },
});

const CALLERS = 1_000;
const SERVICE_MS = 1;

/** The wait that one borrower in a hundred exceeds. */
export const latency = async (adapter) => {
  const pool = await openWarmPool(adapter);
  const run = async () => {
    const waits = [];
    const call = async () => {
      const began = performance.now();
      const loan = await pool.acquire();
      waits.push(performance.now() - began);
      await sleep(SERVICE_MS);
      pool.release(loan);
    };
    await Promise.all(Array.from({ length: CALLERS }, call));
    return waits.sort((one, other) => one - other)[Math.floor(0.99 * CALLERS)];
  };
  return { pool, run };
};
