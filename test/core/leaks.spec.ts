import { jest } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ConnectionPool, PoolEventMap } from 'nestjs-pools/core';
import { counts, destroyedBy, poolOf, record, rig, watch } from './rig.js';

type Leak = PoolEventMap['leak'];

function leaksOf(pool: Pick<ConnectionPool<unknown>, 'on'>): Leak[] {
  const leaks: Leak[] = [];
  pool.on('leak', (leak) => leaks.push(leak));
  return leaks;
}

describe('leakWarnAfterMs', () => {
  it('tells once of a lease that is held for so long, and once more of its late return (E09)', async () => {
    const { pool, clock } = rig({ leakWarnAfterMs: 1_000 });
    const leaks = leaksOf(pool);
    const lease = await pool.acquire();
    await clock.advance(999);
    expect(leaks).toEqual([]);
    await clock.advance(1);
    await clock.advance(10_000);
    expect(leaks).toEqual([{ id: 1, heldMs: 1_000, stack: undefined, isReturned: false }]);
    lease.release();
    await clock.advance(0);
    expect(leaks[1]).toEqual({ id: 1, heldMs: 11_000, stack: undefined, isReturned: true });
    expect(pool.stats().leakWarnings).toBe(1);
  });

  it('tells of each at its own time, however they overlap with short ones', async () => {
    const { pool, clock } = rig({ leakWarnAfterMs: 1_000 });
    const told: string[] = [];
    pool.on('leak', ({ id, heldMs }) => told.push(`#${id} after ${heldMs} at ${clock.now()}`));
    for (let at = 0; at < 3_000; at += 250) {
      const lease = await pool.acquire();
      if (at !== 500 && at !== 750) lease.release();
      await clock.advance(250);
    }
    expect(told).toEqual(['#1 after 1000 at 1500', '#2 after 1000 at 1750']);
  });

  it('sets no timer while nothing is lent for long, and none after the last warning', async () => {
    const { pool, clock } = rig({ leakWarnAfterMs: 1_000, maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity });
    const lease = await pool.acquire();
    expect(clock.pendingTimers).toBe(1);
    // The acquire's own deadline still stands, and passes for nothing.
    await clock.advance(10_000);
    expect(clock.pendingTimers).toBe(0);
    lease.release();
    (await pool.acquire()).release();
    await clock.advance(1_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('says where it was acquired, when every stack is kept, of one that waited too', async () => {
    const { pool, clock } = rig({ maxConnections: 1, leakWarnAfterMs: 100, leakStackSampleRate: 1 });
    const leaks = leaksOf(pool);
    async function forgetful(): Promise<void> {
      await pool.acquire();
    }
    const first = await pool.acquire();
    void forgetful();
    first.release();
    await clock.advance(100);
    expect(leaks).toEqual([expect.objectContaining({ stack: expect.stringContaining('forgetful') })]);
    // It begins with the borrower, not with the pool's own frames.
    expect(leaks[0]!.stack!.split('\n')[0]).toContain('leaks.spec');
  });

  it('keeps no stack when none is asked for, and about as many as asked', async () => {
    const { pool, clock } = rig({ maxConnections: 400, leakWarnAfterMs: 100, leakStackSampleRate: 0.25 });
    const leaks = leaksOf(pool);
    await Promise.all(Array.from({ length: 400 }, () => pool.acquire()));
    await clock.advance(100);
    const kept = leaks.filter(({ stack }) => stack !== undefined).length;
    expect(leaks.length).toBe(400);
    expect([kept > 40, kept < 160]).toEqual([true, true]);
  });
});

// A collection of all that other tests of this worker have left behind takes its time.
jest.setTimeout(30_000);

describe('reclaimLeaked', () => {
  let collect: () => void;

  beforeAll(() => {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  });

  /** The registry's callbacks run some turns of the loop after the collection; a few rounds are enough to show that none does. */
  async function collected(isDone: () => boolean, rounds = 50): Promise<void> {
    for (let round = 0; round < rounds && !isDone(); round += 1) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('frees the slot of a lease that nobody can give back any more, and tells where it was acquired (rule 11)', async () => {
    const { pool, clock } = rig({
      maxConnections: 1,
      reclaimLeaked: true,
      leakWarnAfterMs: 60_000,
      leakStackSampleRate: 1,
    });
    const log = record(pool);
    const told: PoolEventMap['reclaim'][] = [];
    pool.on('reclaim', (event) => told.push(event));
    const forgetful = async (): Promise<number> => (await pool.acquire()).info.id;
    expect(await forgetful()).toBe(1);
    const waiter = watch(pool.acquire());
    await clock.advance(1_000);
    await collected(() => told.length > 0);
    await clock.advance(0);
    expect([waiter.is, counts(pool), destroyedBy(pool)]).toEqual(['resolved', { active: 1 }, { leaked: 1 }]);
    expect(told).toEqual([{ id: 1, heldMs: 1_000, stack: expect.stringContaining('forgetful') }]);
    expect(log.filter((line) => /reclaim|destroy/.test(line))).toEqual(['reclaim 1', 'destroy 1 leaked']);
    expect(pool.stats().leaksReclaimed).toBe(1);
  });

  it('frees one that was acquired inside of other work, also where deadlocks are looked for', async () => {
    const { pool, clock } = rig({ maxConnections: 2, reclaimLeaked: true, detectDeadlock: true });
    const held = await pool.acquire();
    const forgetful = pool.use(async () => (await pool.acquire()).info.id);
    await clock.advance(0);
    held.release();
    expect(await forgetful).toBe(1);
    await clock.advance(2_000);
    await collected(() => pool.stats().leaksReclaimed > 0);
    expect([pool.stats().leaksReclaimed, destroyedBy(pool)]).toEqual([1, { leaked: 1 }]);
  });

  it('leaves alone a lease that somebody holds, and takes it back as ever', async () => {
    const { pool, clock } = rig({ reclaimLeaked: true });
    const lease = await pool.acquire();
    await clock.advance(5_000);
    await collected(() => pool.stats().leaksReclaimed > 0, 3);
    expect([counts(pool), lease.connection.id]).toEqual([{ active: 1 }, 1]);
    lease.release();
    lease.release();
    expect([counts(pool), pool.stats().leaksReclaimed]).toEqual([{ idle: 1 }, 0]);
  });

  it('tells a borrower of a lost connection, and takes it away by force, also when its lease is watched', async () => {
    const { pool, factory, clock } = rig({ reclaimLeaked: true });
    const lease = await pool.acquire();
    await clock.advance(5_000);
    factory.open[0]!.context.broken(new Error('reset by peer'));
    expect(lease.signal.aborted).toBe(true);
    const { forced } = await pool.close({ timeoutMs: 0 });
    expect([forced.map(({ id }) => id), () => lease.connection]).toEqual([[1], expect.any(Function)]);
    expect(() => lease.connection).toThrow('has ended');
  });

  it('does not reclaim after close', async () => {
    const { pool, clock } = rig({ reclaimLeaked: true });
    const forgetful = async (): Promise<number> => (await pool.acquire()).info.id;
    await forgetful();
    await clock.advance(1_000);
    await pool.close({ timeoutMs: 0 });
    await collected(() => false, 3);
    expect([pool.stats().leaksReclaimed, clock.pendingTimers]).toEqual([0, 0]);
  });
});

describe('detectDeadlock', () => {
  const limits = { maxConnections: 2, detectDeadlock: true };

  it('ends work that waits for itself, at once and with what to do (rule 12, N49)', async () => {
    const { pool, clock } = rig({ maxConnections: 1, detectDeadlock: true });
    const outer = watch(pool.use(async () => pool.use(async () => 'never')));
    await clock.advance(0);
    expect(outer.error).toMatchObject({
      code: 'POOL_DEADLOCK',
      retryable: false,
      message:
        'Pool "test": deadlock: all connections are held by callers that wait for another one of this pool ' +
        '(1/1 active, 0 waiting); use the connection that you hold',
    });
    expect((outer.error as Error).stack).toContain('leaks.spec');
    expect([counts(pool), pool.stats().failed]).toEqual([{ idle: 1 }, 1]);
  });

  it('ends only the one that closes the circle, and the others go on', async () => {
    const { pool, clock } = rig(limits);
    const nested = (): Promise<string> =>
      pool.use(async () => {
        await Promise.resolve();
        return pool.use(async () => 'done');
      });
    const works = [watch(nested()), watch(nested())];
    await clock.advance(0);
    expect(works.map(({ is, value, error }) => [is, value, (error as Error | undefined)?.name])).toEqual([
      ['resolved', 'done', undefined],
      ['rejected', undefined, 'PoolDeadlockError'],
    ]);
    expect(counts(pool)).toEqual({ idle: 2 });
  });

  it('finds it three deep, through a bare acquire and across other pools', async () => {
    const { pool, clock } = rig(limits);
    const other = rig({ maxConnections: 5, detectDeadlock: true });
    const deep = watch(pool.use(() => other.pool.use(() => pool.use(() => pool.acquire()))));
    await clock.advance(0);
    expect([(deep.error as Error).name, counts(pool), counts(other.pool)]).toEqual([
      'PoolDeadlockError',
      { idle: 2 },
      { idle: 1 },
    ]);
  });

  it('leaves alone who waits while somebody else will give back', async () => {
    const { pool, clock } = rig(limits);
    const lease = await pool.acquire();
    const nested = watch(pool.use(async () => pool.use(async () => 'done')));
    await clock.advance(5_000);
    expect([nested.is, counts(pool)]).toEqual(['pending', { active: 2, waiting: 1 }]);
    lease.release();
    await clock.advance(0);
    expect(nested.value).toBe('done');
  });

  it('leaves alone siblings that only began in one tick, and work that holds nothing any more', async () => {
    const { pool, clock } = rig({ maxConnections: 1, detectDeadlock: true });
    const siblings = Array.from({ length: 5 }, () => watch(pool.use(async () => clock.now())));
    const later = watch(
      pool.use(async (_connection, lease) => {
        lease.release();
        return pool.use(async () => 'done');
      }),
    );
    await clock.advance(0);
    expect([...siblings, later].map(({ is }) => is)).toEqual(Array<string>(6).fill('resolved'));
  });

  it('finds it when a shrinking pool takes away the last way out', async () => {
    const { pool, clock } = rig(limits);
    const lease = await pool.acquire();
    const nested = watch(pool.use(async () => pool.use(async () => 'done')));
    pool.resize({ maxConnections: 1 });
    await clock.advance(0);
    lease.release();
    await clock.advance(0);
    expect((nested.error as Error).name).toBe('PoolDeadlockError');
  });

  it('is off unless asked for', async () => {
    const { pool, clock } = poolOf({ create: () => ({}) }, { maxConnections: 1, acquireTimeoutMs: 1_000 });
    const outer = watch(pool.use(async () => pool.use(async () => 'never')));
    await clock.advance(1_000);
    expect(outer.error).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
  });
});
