import { counts, destroyedBy, failureOf, record, rig, watch } from '../core/rig.js';

describe('closing', () => {
  it('X02: it waits for creates and for returns, tells the waiters, and closes every connection', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    const lease = await pool.acquire();
    factory.hold('create');
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    const closing = watch(pool.close());
    lease.release();
    await clock.advance(0);
    expect([closing.is, waiters.map(({ is }) => is)]).toEqual(['pending', ['rejected', 'rejected']]);
    factory.next('create').pass();
    await clock.advance(0);
    expect([closing.is, factory.open, pool.stats().created]).toEqual(['resolved', [], 2]);
  });

  it('X04: the end of an await using yields nothing', async () => {
    const { pool } = rig();
    expect(await pool[Symbol.asyncDispose]()).toBeUndefined();
  });

  it('X15: it ends unused, with idle ones, and after a drain with all who had asked served', async () => {
    const unused = rig();
    await unused.pool.close();
    const idle = rig({ minConnections: 3 });
    await idle.pool.start();
    await idle.pool.close();
    const busy = rig({ maxConnections: 2 });
    const served = Array.from({ length: 10 }, () => watch(busy.pool.use(({ id }) => id)));
    busy.pool.drain();
    await busy.clock.advance(0);
    await busy.pool.close();
    expect(served.map(({ is }) => is)).toEqual(Array(10).fill('resolved'));
    for (const { pool, clock, factory } of [unused, idle, busy]) {
      expect([counts(pool), clock.pendingTimers, factory.open]).toEqual([{}, 0, []]);
    }
  });

  it('X16: patient, it waits for all work; by force, it takes the connection and fails who waits', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const work = pool.use(() => new Promise<string>((resolve) => void clock.setTimeout(() => resolve('done'), 50)));
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    const closing = watch(pool.close({ timeoutMs: 1_000 }));
    await clock.advance(49);
    expect([closing.is, waiter.is]).toEqual(['pending', 'rejected']);
    await clock.advance(1);
    expect([closing.is, await work]).toEqual(['resolved', 'done']);
  });

  it('X18: after it no timer runs and nothing happens any more', async () => {
    const { pool, factory, clock } = rig({ minConnections: 3, hooks: ['isHealthy'], maxIdleTimeMs: 100 });
    await pool.start();
    await clock.advance(60_000);
    await pool.close();
    expect(clock.pendingTimers).toBe(0);
    const said = factory.log.length;
    await clock.advance(24 * 3_600_000);
    expect([clock.pendingTimers, factory.log.length]).toEqual([0, said]);
  });

  it('X19: a suspended pool takes returns and lends nothing; resumed, it serves those who waited, in order', async () => {
    const { pool, clock } = rig({ maxConnections: 2 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    pool.suspend();
    a.release();
    b.release();
    const order: number[] = [];
    for (const index of [1, 2, 3]) void pool.use(() => void order.push(index));
    await clock.advance(1_000);
    expect([order, counts(pool), pool.tryAcquire(), pool.stats().suspended]).toEqual([
      [],
      { idle: 2, waiting: 3 },
      undefined,
      true,
    ]);
    pool.resume();
    await clock.advance(0);
    expect([order, counts(pool)]).toEqual([[1, 2, 3], { idle: 2 }]);
  });
});

describe('retiring', () => {
  it('I05: after the idle ones are gone, new ones are opened on demand', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: 100 });
    (await pool.acquire()).release();
    await clock.advance(100);
    expect([counts(pool), (await pool.acquire()).connection.id]).toEqual([{}, 2]);
  });

  it('I12: an evicted idle connection ends at once, a held one is left alone', async () => {
    const { pool, factory, clock } = rig();
    const [held, idle] = await Promise.all([pool.acquire(), pool.acquire()]);
    idle.release();
    expect(pool.evict()).toBe(1);
    await clock.advance(0);
    expect([factory.log.at(-1), destroyedBy(pool)]).toEqual(['destroy 2', { evicted: 1 }]);
    held.release();
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('I13: a change of generation ends idle ones now and held ones at their return; new ones are not touched', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 3 });
    const [held, idle] = await Promise.all([pool.acquire(), pool.acquire()]);
    idle.release();
    pool.retireAll();
    const fresh = await pool.acquire();
    expect([fresh.connection.id, held.signal.aborted]).toEqual([3, false]);
    held.release();
    fresh.release();
    await clock.advance(0);
    expect([counts(pool), factory.open.map(({ id }) => id)]).toEqual([{ idle: 1 }, [3]]);
  });

  it('I14: eviction may choose by the connection and by its age, and says how many', async () => {
    const { pool, clock } = rig();
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    await clock.advance(100);
    leases.push(await pool.acquire());
    for (const lease of leases) lease.release();
    expect(pool.evict((_connection, { createdAt }) => clock.now() - createdAt >= 100)).toBe(2);
    expect(pool.evict(({ id }) => id === 1)).toBe(0);
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ idle: 1 }, { evicted: 2 }]);
  });

  it('I17: what is being borrowed is never taken by the idle limit, and every other one is', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: 100 });
    const leases = await Promise.all(Array.from({ length: 4 }, () => pool.acquire()));
    for (const lease of leases) lease.release();
    for (let round = 0; round < 10; round += 1) {
      await clock.advance(50);
      (await pool.acquire()).release();
    }
    expect([counts(pool), destroyedBy(pool), pool.stats().created]).toEqual([{ idle: 1 }, { idle: 3 }, 4]);
  });
});

describe('what a pool tells', () => {
  it('E07: waits, uses, creates and timeouts are measured', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 100 });
    factory.hold('create');
    const first = watch(pool.acquire());
    await clock.advance(50);
    factory.next('create').pass();
    await clock.advance(0);
    const late = watch(pool.acquire());
    await clock.advance(100);
    first.value!.release();
    const { createTimeMs, waitTimeMs, useTimeMs, timedOut } = pool.stats();
    expect([late.is, timedOut, createTimeMs.count, waitTimeMs.count, useTimeMs.count]).toEqual([
      'rejected',
      1,
      1,
      1,
      1,
    ]);
    for (const [time, ms] of [
      [createTimeMs, 50],
      [waitTimeMs, 50],
      [useTimeMs, 100],
    ] as const) {
      expect(time.max).toBeGreaterThanOrEqual(ms * 0.93);
      expect(time.p50).toBeLessThanOrEqual(ms * 1.07);
    }
  });

  it('E08: the longest wait is told apart from the usual one', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    for (let round = 0; round < 20; round += 1) (await pool.acquire()).release();
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    await clock.advance(500);
    lease.release();
    await clock.advance(0);
    const { p50, max, count } = pool.stats().waitTimeMs;
    expect([waiter.is, count, p50]).toEqual(['resolved', 22, 0]);
    expect(max).toBeGreaterThan(460);
  });

  it('E09: one held for too long is told once, with the stack of its borrower, and once more when it comes back', async () => {
    const { pool, clock } = rig({ leakWarnAfterMs: 1_000, leakStackSampleRate: 1 });
    const leaks: { id: number; heldMs: number; stack: string | undefined; isReturned: boolean }[] = [];
    pool.on('leak', (leak) => leaks.push({ ...leak }));
    const theCulprit = () => pool.acquire();
    const lease = await theCulprit();
    await clock.advance(10_000);
    expect(leaks).toMatchObject([{ id: 1, isReturned: false }]);
    expect(leaks[0]!.stack).toContain('theCulprit');
    lease.release();
    expect([leaks.length, leaks[1]!.isReturned, leaks[1]!.heldMs]).toEqual([2, true, 10_000]);
    expect(pool.stats().leakWarnings).toBe(1);
  });

  it('E10: what fails in the background reaches one place', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2, hooks: ['reset'] });
    const log = record(pool);
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    factory.hold('reset');
    factory.hold('destroy');
    pool.on('release', () => {
      throw new Error('in a listener');
    });
    leases[0]!.destroy();
    leases[1]!.release();
    factory.next('destroy').fail(new Error('half closed'));
    factory.next('reset').fail(new Error('cannot'));
    await clock.advance(0);
    expect(log.filter((line) => line.startsWith('hookError')).toSorted()).toEqual([
      'hookError',
      'hookError',
      'hookError 1',
      'hookError 2',
    ]);
  });

  it('E11: the numbers are exact while a queue stands', async () => {
    const { pool, clock } = rig({ maxConnections: 2, maxWaiting: 3 });
    await Promise.all([pool.acquire(), pool.acquire()]);
    const waiters = Array.from({ length: 3 }, () => watch(pool.acquire()));
    expect((await failureOf(pool.acquire())).code).toBe('POOL_EXHAUSTED');
    const { waiting, utilization, refused, activeConnections } = pool.stats();
    expect([waiting, utilization, refused.full, activeConnections]).toEqual([3, 1, 1, 2]);
    await clock.advance(10_000);
    expect([waiters.map(({ is }) => is), pool.stats().waiting]).toEqual([Array(3).fill('rejected'), 0]);
  });
});
