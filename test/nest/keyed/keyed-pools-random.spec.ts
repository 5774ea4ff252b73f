import {
  type ConnectionFactory,
  customPool,
  isPoolError,
  KeyedPools,
  type Lease,
  type PoolErrorCode,
} from 'nestjs-pools';
import { ManualClock } from 'nestjs-pools/testing';
import { seeded } from '../../support/seeded.js';

const STEPS = 2_000;
const KEYS = Array.from({ length: 24 }, (_, index) => `tenant ${index}`);

/** What an acquire may come to; anything else is a fault of ours. */
const EXPECTED: readonly PoolErrorCode[] = [
  'POOL_TOO_MANY',
  'POOL_ACQUIRE_TIMEOUT',
  'POOL_ACQUIRE_ABORTED',
  'POOL_CREATE_FAILED',
  'POOL_CLOSED',
  'POOL_DOWN',
  'POOL_NO_HEALTHY_CONNECTION',
];

interface Session {
  readonly id: number;
}

/**
 * Random use of keyed pools whose upstream is slow, fails and hangs, on a clock that only the test moves. The upstream
 * counts for itself: creates begun, less those failed, less destroys that have ended or been given up.
 */
class Run {
  readonly clock = new ManualClock();
  readonly random;
  readonly pools: KeyedPools<Session>;
  readonly violations: string[] = [];
  readonly leases: Lease<Session>[] = [];
  readonly aborts: AbortController[] = [];
  readonly ends = { served: 0, failed: 0 };
  readonly isEager: boolean;
  asked = 0;
  there = 0;
  most = 0;
  private count = 0;

  constructor(
    seed: number,
    readonly maxPools: number,
    readonly maxTotalConnections: number,
  ) {
    const random = (this.random = seeded(seed));
    // Who rather waits than hears of a failure may have a place in the budget and open nothing for a while.
    this.isEager = seed % 2 === 1;
    this.pools = new KeyedPools<Session>(
      'tenants',
      () =>
        customPool({
          factory: this.factory(),
          maxConnections: 1 + random.below(5),
          acquireTimeoutMs: 200 + random.below(5_000),
          createTimeoutMs: 60,
          destroyTimeoutMs: 60,
          maxIdleTimeMs: 50 + random.below(2_000),
          validateAfterIdleMs: random.pick([0, 100, Infinity]),
          onCreateError: this.isEager ? 'reject' : random.pick(['reject', 'wait']),
          closeTimeoutMs: 300,
        }),
      { clock: this.clock, maxPools, maxTotalConnections, idleMs: 700 },
    );
  }

  async step(): Promise<void> {
    const { random, pools, leases } = this;
    // A few tenants ask for most.
    const key = random.pick(random.chance(0.6) ? KEYS.slice(0, 4) : KEYS);
    const what = random.next();
    if (what < 0.45) this.ask(key);
    else if (what < 0.75) this.giveBack();
    else if (what < 0.78) this.aborts.splice(random.below(this.aborts.length), 1)[0]?.abort();
    else if (what < 0.8) void pools.remove(key, random.chance(0.5) ? {} : { timeoutMs: random.below(50) });
    else if (what < 0.82 && pools.has(key)) void pools.withPool(key, (pool) => pool.retireAll());
    else if (what < 0.83 && pools.has(key)) void pools.withPool(key, (pool) => void pool.evict());
    else await this.pass(random.pick([0, 1, 5, 20, 20, 80, 300]));
    if (leases.length > 3 * this.maxTotalConnections) this.giveBack();
    this.check();
  }

  /** Everybody gives back, nobody asks any more. */
  async finish(): Promise<void> {
    for (let round = 0; round < 400 && this.ends.served + this.ends.failed < this.asked; round += 1) {
      while (this.leases.length > 0) this.giveBack();
      await this.clock.advance(20);
      this.check();
    }
    const closing = this.pools.close();
    while (this.leases.length > 0) this.giveBack();
    await this.clock.advance(1_000);
    await closing;
    // What hung has an end after all.
    await this.clock.advance(100_000);
    this.check();
  }

  private async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    const { starving, totalConnections } = this.pools.stats();
    if (this.isEager && starving > 0 && totalConnections < this.maxTotalConnections)
      this.violations.push(`${starving} starve beside ${this.maxTotalConnections - totalConnections} connections`);
  }

  private ask(key: string): void {
    const { random } = this;
    const controller = new AbortController();
    if (random.chance(0.2)) this.aborts.push(controller);
    this.asked += 1;
    this.pools.acquire(key, { signal: controller.signal, priority: random.below(3) }).then(
      (lease) => {
        this.ends.served += 1;
        this.leases.push(lease);
      },
      (error: unknown) => {
        this.ends.failed += 1;
        if (!isPoolError(error) || !EXPECTED.includes(error.code)) this.violations.push(String(error));
      },
    );
  }

  private giveBack(): void {
    const { random } = this;
    const lease = this.leases.splice(random.below(this.leases.length), 1)[0];
    if (lease === undefined) return;
    const how = random.next();
    if (how < 0.85) lease.release();
    else if (how < 0.95) lease.destroy();
    else if (lease.isHeld) {
      this.there -= 1;
      lease.detach();
    }
  }

  private check(): void {
    const stats = this.pools.stats();
    if (stats.pools > this.maxPools) this.violations.push(`${stats.pools} pools`);
    if (stats.totalConnections > this.maxTotalConnections)
      this.violations.push(`${stats.totalConnections} in all pools`);
    if (this.there > this.maxTotalConnections) this.violations.push(`${this.there} at the upstream`);
    if (this.violations.length > 0) throw new Error(this.violations.join('; '));
  }

  private factory(): ConnectionFactory<Session> {
    const { random } = this;
    const pause = (): Promise<void> => {
      const delayMs = random.chance(0.03) ? 1_000 + random.below(2_000) : random.pick([0, 1, 10, 40, 70]);
      return new Promise((resolve) => void this.clock.setTimeout(resolve, delayMs));
    };
    return {
      create: async () => {
        this.there += 1;
        this.most = Math.max(this.most, this.there);
        if (random.chance(0.7)) await pause();
        if (random.chance(0.05)) {
          this.there -= 1;
          throw new Error('refused');
        }
        return { id: (this.count += 1) };
      },
      reset: random.chance(0.3) ? () => (random.chance(0.5) ? pause() : undefined) : undefined,
      isHealthy: random.chance(0.5) ? async () => (await pause(), random.chance(0.9)) : undefined,
      destroy: async (_connection, { signal }) => {
        let isThere = true;
        const gone = (): void => {
          if (isThere) this.there -= 1;
          isThere = false;
        };
        // Past its time limit the pool takes it for gone.
        signal.addEventListener('abort', gone);
        if (random.chance(0.7)) await pause();
        gone();
        if (random.chance(0.1)) throw new Error('will not close');
      },
    } as ConnectionFactory<Session>;
  }
}

describe('keyed pools at random', () => {
  it.each([
    [1, 6, 10],
    [2, 24, 5],
    [3, 3, 8],
    [4, 12, 1],
    [5, 24, 20],
    [6, 8, 3],
    [7, 1, 2],
    [8, 20, 16],
    [9, 24, 2],
    [10, 12, 13],
    [11, 2, 5],
    [12, 24, 3],
  ])(
    'keep every bound and settle every acquire (seed %i, %i pools, %i connections)',
    async (seed, pools, connections) => {
      const run = new Run(seed, pools, connections);
      for (let step = 0; step < STEPS; step += 1) await run.step();
      await run.finish();
      const { asked, ends, there, clock } = run;
      expect({ settled: ends.served + ends.failed, there, timers: clock.pendingTimers }).toEqual({
        settled: asked,
        there: 0,
        timers: 0,
      });
      expect(run.most).toBe(connections);
      expect(ends.served).toBeGreaterThan(asked / 20);
    },
  );
});
