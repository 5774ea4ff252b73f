import { setTimeout as sleep } from 'node:timers/promises';
import { HEALTH_CHECK_INTERVAL_MS } from './limits.mjs';

/**
 * How long it takes after a fault until the first borrower succeeds, and until full service: until every worker has. Only
 * what a worker began after the end of the fault counts.
 */
export class Recovery {
  /** Every fault with what came after it. */
  faults = [];
  #workers;
  #current;

  constructor(workers) {
    this.#workers = workers;
  }

  /** Told by a worker that has succeeded. */
  success(worker, beganAt, endedAt) {
    const current = this.#current;
    if (current === undefined || beganAt < current.since) return;
    current.firstMs ??= endedAt - current.since;
    current.served.add(worker);
    if (current.served.size === this.#workers) {
      current.fullMs = endedAt - current.since;
      current.done();
    }
  }

  /** The fault is over now. Resolves at full service, or well after the time for that has passed. */
  async after(fault) {
    const done = new AbortController();
    const current = { since: performance.now(), served: new Set(), done: () => done.abort() };
    this.#current = current;
    await sleep(3 * HEALTH_CHECK_INTERVAL_MS, undefined, { signal: done.signal }).catch(() => undefined);
    this.#current = undefined;
    const { firstMs, fullMs, served } = current;
    this.faults.push({
      fault,
      firstMs: rounded(firstMs),
      fullMs: rounded(fullMs),
      unserved: this.#workers - served.size,
    });
  }
}

function rounded(ms) {
  return ms === undefined ? Infinity : Math.round(ms);
}
