import { openWarmPool } from './warm-pool.mjs';

/** As many as a whole burst of the smallest size: enough to compile what a burst runs. */
const WARM_UP_SIZE = 1_000;

/** All acquires in one turn of the loop, each returned as soon as it is served; over when the last is back. */
function burst(pool, size) {
  return new Promise((resolve, reject) => {
    let left = size;
    const served = (loan) => {
      pool.release(loan);
      left -= 1;
      if (left === 0) resolve(size);
    };
    for (let index = 0; index < size; index += 1) pool.acquire().then(served, reject);
  });
}

export const bursts = (size, wishes) => async (adapter) => {
  const pool = await openWarmPool(adapter, wishes);
  return { pool, run: () => burst(pool, size), warmUp: () => burst(pool, WARM_UP_SIZE) };
};

function useBurst(pool, size) {
  const work = async () => undefined;
  return Promise.all(Array.from({ length: size }, () => pool.use(work))).then(() => size);
}

export const useBursts = (size) => async (adapter) => {
  const pool = await openWarmPool(adapter);
  return { pool, run: () => useBurst(pool, size), warmUp: () => useBurst(pool, WARM_UP_SIZE) };
};
