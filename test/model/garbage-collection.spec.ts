import v8 from 'node:v8';
import vm from 'node:vm';
import { ConnectionPool, type Lease } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import { type Random, seeded } from '../support/seeded.js';

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc') as () => void;

/** A lease is watched from its first second on. */
const WATCHED_MS = 1_000;
const MOST_TURNS = 200;

interface Item {
  readonly serial: number;
}

/** Leases that are kept, or forgotten without a release; nobody but this knows of them. */
class Pockets {
  readonly kept: Lease<Item>[] = [];
  private readonly forgotten: Lease<Item>[] = [];
  readonly forgottenIds = new Set<number>();

  /** In a function of its own: no variable of the test may hold on to the lease. */
  async take(pool: ConnectionPool<Item>, isForgotten: boolean): Promise<void> {
    const lease = await pool.acquire();
    if (isForgotten) this.forgottenIds.add(lease.info.id);
    (isForgotten ? this.forgotten : this.kept).push(lease);
  }

  /** From here on they are garbage. */
  empty(): void {
    this.forgotten.length = 0;
  }
}

async function run(random: Random): Promise<number> {
  const clock = new ManualClock();
  const max = 1 + random.below(6);
  const alive = new Set<Item>();
  let opened = 0;
  const factory = {
    create: () => {
      const item = { serial: (opened += 1) };
      alive.add(item);
      return item;
    },
    destroy: (item: Item) => void alive.delete(item),
  };
  const pool = new ConnectionPool<Item>({
    name: 'garbage',
    factory,
    clock,
    minConnections: random.below(max + 1),
    maxConnections: max,
    acquireTimeoutMs: Infinity,
    reclaimLeaked: true,
    leakWarnAfterMs: random.pick([500, Infinity]),
  });
  const reclaimed: number[] = [];
  pool.on('reclaim', ({ id, heldMs }) => {
    expect(heldMs).toBeGreaterThanOrEqual(WATCHED_MS);
    reclaimed.push(id);
  });

  let forgotten = 0;
  for (let round = 0; round < 3; round += 1) {
    const pockets = new Pockets();
    const count = 1 + random.below(max);
    for (let at = 0; at < count; at += 1) await pockets.take(pool, random.chance(0.5));
    // Some come back before they are watched, and some after.
    if (random.chance(0.5)) pockets.kept.pop()?.release();
    const isForgottenEarly = random.chance(0.5);
    if (isForgottenEarly) pockets.empty();
    await clock.advance(WATCHED_MS);
    if (random.chance(0.5)) pockets.kept.pop()?.release();
    pockets.empty();
    // Whoever waits for what was forgotten is served.
    const waiter = pool.stats().activeConnections === max && pockets.forgottenIds.size > 0 ? pool.acquire() : undefined;
    forgotten += pockets.forgottenIds.size;
    for (let turn = 0; turn < MOST_TURNS && reclaimed.length < forgotten; turn += 1) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const told = reclaimed.slice(forgotten - pockets.forgottenIds.size);
    expect(new Set(told)).toEqual(pockets.forgottenIds);
    if (waiter !== undefined) (await waiter).release();
    const stats = pool.stats();
    expect([stats.leaksReclaimed, stats.destroyed.leaked]).toEqual([forgotten, forgotten]);
    expect(stats.activeConnections).toBe(pockets.kept.length);
    for (const lease of pockets.kept) lease.release();
    expect([pool.stats().activeConnections, pool.stats().totalConnections]).toEqual([0, alive.size]);
  }
  await pool.close();
  expect([alive.size, clock.pendingTimers]).toEqual([0, 0]);
  return forgotten;
}

it('rule 11: what is lent, forgotten and collected is reported and its slot freed; nothing else is', async () => {
  let forgotten = 0;
  for (let seed = 1; seed <= 15; seed += 1) forgotten += await run(seeded(seed));
  expect(forgotten).toBeGreaterThan(30);
}, 60_000);
