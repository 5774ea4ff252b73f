import { AsyncLocalStorage } from 'node:async_hooks';
import { openWarmPool } from './warm-pool.mjs';

const LOOPS = 10_000;
/** Awaited, it costs one turn of the microtasks and nothing else. */
const MICROTASK = Promise.resolve();

async function borrowInTurn(pool, loops) {
  for (let loop = 0; loop < loops; loop += 1) {
    const loan = await pool.acquire();
    pool.release(loan);
  }
  return loops;
}

async function holdForMicrotask(pool, loops) {
  for (let loop = 0; loop < loops; loop += 1) {
    const loan = await pool.acquire();
    await MICROTASK;
    pool.release(loan);
  }
}

async function holdForImmediate(pool, loops) {
  for (let loop = 0; loop < loops; loop += 1) {
    const loan = await pool.acquire();
    await new Promise(setImmediate);
    pool.release(loan);
  }
}

async function useForMicrotask(pool, loops) {
  const work = async () => {
    await MICROTASK;
  };
  for (let loop = 0; loop < loops; loop += 1) await pool.use(work);
}

async function useInTurn(pool) {
  const work = async () => undefined;
  for (let loop = 0; loop < LOOPS; loop += 1) await pool.use(work);
  return LOOPS;
}

/** That many tasks, each borrowing several times, so that nearly all of them wait nearly always. */
async function contend(pool, tasks, task) {
  const loops = Math.max(3, Math.ceil((2 * LOOPS) / tasks));
  await Promise.all(Array.from({ length: tasks }, () => task(pool, loops)));
  return tasks * loops;
}

/** @returns {(adapter: import('../adapters.mjs').Adapter) => Promise<import('../measure.mjs').Prepared>} */
export const uncontended = (wishes) => async (adapter) => {
  const pool = await openWarmPool(adapter, wishes);
  return { pool, run: () => borrowInTurn(pool, LOOPS) };
};

export const contended = (tasks, wishes) => async (adapter) => {
  const pool = await openWarmPool(adapter, wishes);
  return { pool, run: () => contend(pool, tasks, holdForMicrotask) };
};

export const contendedImmediate = (tasks) => async (adapter) => {
  const pool = await openWarmPool(adapter);
  return { pool, run: () => contend(pool, tasks, holdForImmediate) };
};

export const useUncontended = async (adapter) => {
  const pool = await openWarmPool(adapter);
  return { pool, run: () => useInTurn(pool) };
};

export const useContended = (tasks) => async (adapter) => {
  const pool = await openWarmPool(adapter);
  return { pool, run: () => contend(pool, tasks, useForMicrotask) };
};

/** The same inside of `AsyncLocalStorage.run()`, as under every web framework that traces requests. */
export const insideContext = (prepare) => async (adapter) => {
  const { pool, run } = await prepare(adapter);
  const storage = new AsyncLocalStorage();
  return { pool, run: () => storage.run({ request: 1 }, run) };
};

/** Counts the checks: a pool that spares some would be compared with those that make them all. */
export const validated = async (adapter) => {
  let checks = 0;
  const check = () => {
    checks += 1;
    return Promise.resolve(true);
  };
  const pool = await openWarmPool(adapter, { check });
  const run = async () => {
    checks = 0;
    const borrowed = await borrowInTurn(pool, LOOPS);
    if (checks < borrowed) throw new Error(`${checks} checks in ${borrowed} borrows`);
    return borrowed;
  };
  return { pool, run };
};
