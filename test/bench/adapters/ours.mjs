import { subscribe } from 'node:diagnostics_channel';

const CORE = new URL('../../../dist/core/index.js', import.meta.url);

/**
 * Our pool as people get it: its defaults, so an acquire timeout of 10 s, statistics and histograms, whatever the
 * scenario asks of the others. Only limits that the scenario's size needs are set.
 *
 * @param {object} extras what this variant switches on
 * @param {{ attach?: (pool: object) => void, heard?: () => number }} [audience] who listens, and how much of it came
 * @returns {Promise<import('../adapters.mjs').Adapter>}
 */
export async function ours(extras = {}, { attach = () => undefined, heard } = {}) {
  const { ConnectionPool } = await import(CORE.href);
  return {
    open({ maxConnections, acquireTimeoutMs, maxIdleTimeMs, create, check, destroy, ticksByHand }) {
      const clock = ticksByHand ? new HandClock() : undefined;
      const pool = new ConnectionPool({
        name: 'bench',
        factory: { create, isHealthy: check, destroy },
        minConnections: 0,
        maxConnections,
        maxCreating: maxConnections,
        maxWaiting: Infinity,
        acquireTimeoutMs,
        maxIdleTimeMs,
        validateAfterIdleMs: check === undefined ? undefined : 0,
        clock,
        ...extras,
      });
      attach(pool);
      return {
        acquire: () => pool.acquire(),
        release: (lease) => lease.release(),
        use: (work) => pool.use(work),
        tick: () => clock.fire(),
        heard,
      };
    },
  };
}

/** Listeners of the two events of every borrow. */
export function withEvents() {
  let heard = 0;
  const listen = () => {
    heard += 1;
  };
  const attach = (pool) => {
    pool.on('acquire', listen);
    pool.on('release', listen);
  };
  return ours({}, { attach, heard: () => heard });
}

/** A subscriber of the diagnostics channel. */
export function withChannel() {
  let heard = 0;
  subscribe('nestjs-pools:acquire', () => {
    heard += 1;
  });
  return ours({}, { heard: () => heard });
}

/** The machine's time, but a timer that only fires when it is told to, so that one wake can be measured. */
class HandClock {
  #callback = () => undefined;

  now() {
    return performance.now();
  }

  setTimeout(callback) {
    this.#callback = callback;
    return this;
  }

  clearTimeout() {}

  fire() {
    this.#callback();
  }
}
