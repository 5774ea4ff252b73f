import { createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { borrow, borrowAndReturn, MAX_CONNECTIONS, openPool, openWarmPool } from './warm-pool.mjs';

const ACQUIRE_TIMEOUT_MS = 10_000;

function liveBytes() {
  // Twice: what a first pass finalizes, a second one frees.
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

/** What one waiting acquire keeps alive: the promise, whatever settles it and its place in the queue. */
export const heapPerWaiter = (size) => async (adapter) => ({
  run: async () => {
    const pool = await openWarmPool(adapter, { acquireTimeoutMs: ACQUIRE_TIMEOUT_MS });
    await borrow(pool, MAX_CONNECTIONS);
    const before = liveBytes();
    for (let index = 0; index < size; index += 1) void pool.acquire();
    const bytes = (liveBytes() - before) / size;
    // The pool must outlive the reading, or the collector may take it with all its waiters.
    pool.acquire = undefined;
    return bytes;
  },
});

/** Follows the timers that are set from here on. */
class TimerWatch {
  wakes = 0;
  #live = new Set();
  #hook = createHook({
    init: (id, type) => {
      if (type === 'Timeout') this.#live.add(id);
    },
    before: (id) => {
      if (this.#live.has(id)) this.wakes += 1;
    },
    destroy: (id) => this.#live.delete(id),
  }).enable();

  get live() {
    return this.#live.size;
  }

  /** Sleeps by a timer that is not counted. */
  sleep(ms) {
    this.#hook.disable();
    const slept = sleep(ms);
    this.#hook.enable();
    return slept;
  }
}

const IDLE = { acquireTimeoutMs: ACQUIRE_TIMEOUT_MS, maxIdleTimeMs: 60_000 };

/** How often the timers of a pool that nobody uses wake the process. */
export const idleWakes = async (adapter) => ({
  run: async () => {
    const seconds = 2;
    const watch = new TimerWatch();
    await borrowAndReturn(openPool(adapter, IDLE), MAX_CONNECTIONS);
    await watch.sleep(100);
    watch.wakes = 0;
    await watch.sleep(seconds * 1_000);
    return watch.wakes / seconds;
  },
});

/** How many timers are pending for that many pools, each with one idle connection. */
export const idleTimers = (pools) => async (adapter) => ({
  run: async () => {
    const watch = new TimerWatch();
    for (let index = 0; index < pools; index += 1) await borrowAndReturn(openPool(adapter, IDLE), 1);
    await watch.sleep(100);
    return watch.live;
  },
});
