import { jest } from '@jest/globals';
import { ConnectionPool } from 'nestjs-pools/core';
import { counts, destroyedBy, poolOf, record, rig, watch } from './rig.js';

describe('a health check at lease', () => {
  const checked = { hooks: ['isHealthy'] as const, validateAfterIdleMs: 500, healthCheckIntervalMs: Infinity };

  it('is left out for a connection idle no longer than validateAfterIdleMs (V10)', async () => {
    const { pool, factory, clock } = rig(checked);
    (await pool.acquire()).release();
    await clock.advance(500);
    (await pool.acquire()).release();
    expect(factory.log).toEqual(['create 1']);
    await clock.advance(501);
    (await pool.acquire()).release();
    expect(factory.log).toEqual(['create 1', 'isHealthy 1']);
  });

  it('is asked after the machine slept, which only the calendar tells, and of each connection once (rule 8)', async () => {
    const log: string[] = [];
    const factory = { create: () => ({}), isHealthy: () => log.push('isHealthy') > 0 };
    const limits = { minConnections: 0, validateAfterIdleMs: 60_000, healthCheckIntervalMs: Infinity };
    const pool = new ConnectionPool({ name: 'asleep', factory, ...limits });
    (await pool.acquire()).release();
    (await pool.acquire()).release();
    expect(log).toEqual([]);
    const asleepMs = 8 * 3_600_000;
    const now = Date.now;
    const calendar = jest.spyOn(Date, 'now').mockImplementation(() => now() + asleepMs);
    (await pool.acquire()).release();
    (await pool.acquire()).release();
    calendar.mockRestore();
    expect(log).toEqual(['isHealthy']);
    await pool.close();
  });

  it('is never asked where validateAfterIdleMs is Infinity (V06)', async () => {
    const { pool, factory, clock } = rig({ ...checked, validateAfterIdleMs: Infinity, maxIdleTimeMs: Infinity });
    (await pool.acquire()).release();
    await clock.advance(1e6);
    await pool.acquire();
    expect(factory.log).toEqual(['create 1']);
  });

  it('is not asked of a connection that was just opened', async () => {
    const { pool, factory } = rig({ ...checked, validateAfterIdleMs: 0 });
    await pool.acquire();
    expect(factory.log).toEqual(['create 1']);
  });

  it.each([
    ['says false (V01)', () => false],
    ['says undefined (N17)', () => undefined as unknown as boolean],
    ['says 1', () => 1 as unknown as boolean],
    ['resolves to false', () => Promise.resolve(false)],
    ['rejects (N15, V03)', () => Promise.reject(new Error('gone'))],
    [
      'throws (N16, V02)',
      () => {
        throw new Error('gone');
      },
    ],
  ])('that %s destroys the connection; the borrower gets another and sees nothing of it', async (_what, isHealthy) => {
    let made = 0;
    const destroyed: number[] = [];
    const { pool, clock } = poolOf(
      { create: () => (made += 1), isHealthy, destroy: (id) => void destroyed.push(id) },
      { maxConnections: 1, validateAfterIdleMs: 500 },
    );
    (await pool.acquire()).release();
    await clock.advance(501);
    expect((await pool.acquire()).connection).toBe(2);
    expect([destroyed, destroyedBy(pool), counts(pool)]).toEqual([[1], { unhealthy: 1 }, { active: 1 }]);
  });

  it('that hangs is cut at healthCheckTimeoutMs, and the acquire is served in time (N14, V04, V11)', async () => {
    const { pool, factory, clock } = rig({ ...checked, maxConnections: 1, healthCheckTimeoutMs: 100 });
    (await pool.acquire()).release();
    await clock.advance(501);
    factory.hold('isHealthy');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    expect([waiter.value?.connection.id, counts(pool)]).toEqual([2, { active: 1 }]);
    const call = factory.next('isHealthy');
    expect(call.context.signal.aborted).toBe(true);
    call.pass(true);
    await clock.advance(0);
    expect([counts(pool), factory.log]).toEqual([{ active: 1 }, ['create 1', 'isHealthy 1', 'destroy 1', 'create 2']]);
  });

  it('that fails tells the event with the error', async () => {
    const { pool, factory, clock } = rig(checked);
    const failures: unknown[] = [];
    pool.on('checkFailed', (event) => failures.push(event));
    (await pool.acquire()).release();
    await clock.advance(501);
    factory.hold('isHealthy');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    factory.next('isHealthy').fail('gone');
    await clock.advance(0);
    expect([waiter.is, failures]).toEqual(['resolved', [{ id: 1, error: 'gone' }]]);
  });

  it('serves a hundred acquires although some fail (V05)', async () => {
    let checks = 0;
    const { pool, clock, factory } = rig({ hooks: ['isHealthy'], validateAfterIdleMs: 0, maxConnections: 3 });
    factory.hold('isHealthy');
    let served = 0;
    for (let round = 0; round < 100; round += 1) {
      const job = pool.use(() => (served += 1));
      while (factory.waiting('isHealthy') > 0) {
        checks += 1;
        factory.next('isHealthy').pass(checks % 10 !== 0);
        await clock.advance(0);
      }
      await job;
      await clock.advance(1);
    }
    expect([served, factory.open.length, pool.stats().totalConnections]).toEqual([100, 1, 1]);
    expect(pool.stats().destroyed.unhealthy).toBe(Math.floor(checks / 10));
    expect(pool.stats().created).toBe(1 + Math.floor(checks / 10));
  });

  it('of a pool whose every connection is dead and cannot be replaced ends in the create error (V08)', async () => {
    const { pool, factory, clock } = rig({ ...checked, maxConnections: 2 });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    await clock.advance(501);
    factory.hold('isHealthy');
    factory.hold('create');
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    factory.next('isHealthy').pass(false);
    factory.next('isHealthy').pass(false);
    await clock.advance(0);
    factory.next('create').fail(new Error('refused'));
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    expect(waiters.map(({ is }) => is)).toEqual(['rejected', 'rejected']);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { unhealthy: 2 }]);
  });

  it('happens after the machine slept, before anything is lent', async () => {
    const { pool, factory, clock } = rig(checked);
    (await pool.acquire()).release();
    clock.stall(60_000);
    factory.hold('isHealthy');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([waiter.is, factory.waiting('isHealthy')]).toEqual(['pending', 1]);
  });
});

describe('background checks', () => {
  const background = { hooks: ['isHealthy'] as const, healthCheckIntervalMs: 1_000, validateAfterIdleMs: Infinity };

  it('look at each idle connection once per interval, spread over its last quarter', async () => {
    const { pool, factory, clock } = rig({ ...background, minConnections: 20 });
    await pool.start();
    await clock.advance(749);
    expect(factory.log.length).toBe(20);
    const at = new Set<number>();
    for (let passed = 0; passed < 251; passed += 1) {
      const before = factory.log.length;
      await clock.advance(1);
      if (factory.log.length > before) at.add(clock.now());
    }
    const checks = factory.log.slice(20).map((line) => Number(line.split(' ')[1]));
    expect(checks.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(at.size).toBeGreaterThan(5);
  });

  it('leave connections in use alone', async () => {
    const { pool, factory, clock } = rig({ ...background, minConnections: 2 });
    await pool.start();
    await pool.acquire();
    await clock.advance(5_000);
    const lent = 2;
    expect(factory.log.includes(`isHealthy ${lent}`)).toBe(false);
    expect(factory.log.filter((line) => line === 'isHealthy 1').length).toBeGreaterThanOrEqual(5);
  });

  it('replace a dead connection of the minimum (I11)', async () => {
    const { pool, factory, clock } = rig({ ...background, minConnections: 1 });
    await pool.start();
    (await pool.acquire()).release();
    factory.hold('isHealthy');
    await clock.advance(1_000);
    factory.next('isHealthy').pass(false);
    await clock.advance(0);
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'isHealthy 1', 'destroy 1', 'create 2'], { idle: 1 }]);
  });

  it('go on after one that throws (V12)', async () => {
    let made = 0;
    const { pool, clock } = poolOf(
      {
        create: () => (made += 1),
        isHealthy: (id) => {
          if (id === 1) throw new Error('gone');
          return true;
        },
      },
      { minConnections: 2, healthCheckIntervalMs: 1_000 },
    );
    await pool.start();
    await clock.advance(2_000);
    expect([made, counts(pool), destroyedBy(pool)]).toEqual([3, { idle: 2 }, { unhealthy: 1 }]);
  });

  it('prove a connection, so that a lease soon after needs no check', async () => {
    const { pool, factory, clock } = rig({ ...background, minConnections: 1, validateAfterIdleMs: 300 });
    await pool.start();
    factory.hold('isHealthy');
    await clock.advance(1_000);
    factory.next('isHealthy').pass();
    await clock.advance(0);
    factory.log.length = 0;
    expect([pool.tryAcquire()?.connection.id, factory.log]).toEqual([1, []]);
  });

  it('lend to a waiter what they have just found healthy', async () => {
    const { pool, factory, clock } = rig({ ...background, maxConnections: 1 });
    (await pool.acquire()).release();
    factory.hold('isHealthy');
    await clock.advance(1_000);
    const waiter = watch(pool.acquire());
    factory.next('isHealthy').pass();
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(1);
  });

  it('are not made without an isHealthy', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, healthCheckIntervalMs: 10, maxIdleTimeMs: Infinity });
    await pool.start();
    await clock.advance(10_000);
    expect([factory.log, pool.stats().idleConnections]).toEqual([['create 1'], 1]);
  });
});

describe('a reset on return', () => {
  it('runs before the next borrower, who waits for it', async () => {
    const { pool, factory, clock } = rig({ hooks: ['reset'], maxConnections: 1 });
    factory.hold('reset');
    (await pool.acquire()).release();
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['pending', { checking: 1, waiting: 1 }]);
    factory.next('reset').pass();
    await clock.advance(0);
    expect([waiter.value?.connection.id, factory.log]).toEqual([1, ['create 1', 'reset 1']]);
  });

  it.each([
    ['rejects (R01)', () => Promise.reject(new Error('dirty'))],
    [
      'throws (R07)',
      () => {
        throw new Error('dirty');
      },
    ],
  ])('that %s destroys the connection; the waiter is served by another (R09)', async (_what, reset) => {
    let made = 0;
    const { pool, clock } = poolOf({ create: () => (made += 1), reset }, { maxConnections: 1 });
    const failures: unknown[] = [];
    pool.on('hookError', ({ hook, id }) => failures.push([hook, id]));
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.release();
    await clock.advance(0);
    expect([waiter.value?.connection, failures, destroyedBy(pool)]).toEqual([2, [['reset', 1]], { reset: 1 }]);
  });

  it('that hangs is cut at resetTimeoutMs and the place comes back (N19)', async () => {
    const { pool, factory, clock } = rig({ hooks: ['reset'], maxConnections: 1, resetTimeoutMs: 100 });
    factory.hold('reset');
    (await pool.acquire()).release();
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    expect([waiter.value?.connection.id, destroyedBy(pool)]).toEqual([2, { reset: 1 }]);
    expect(factory.next('reset').context.signal.aborted).toBe(true);
  });

  it('is left out for a connection that will not be kept', async () => {
    const { pool, factory, clock } = rig({ hooks: ['reset'], maxUses: 1 });
    (await pool.acquire()).release();
    await clock.advance(0);
    expect(factory.log).toEqual(['create 1', 'destroy 1']);
  });

  it('may answer synchronously', async () => {
    const resets: number[] = [];
    const { pool } = poolOf({ create: () => 1, reset: (id) => void resets.push(id) });
    (await pool.acquire()).release();
    expect([resets, counts(pool)]).toEqual([[1], { idle: 1 }]);
  });

  it('counts as use: idle time begins when it has ended', async () => {
    const { pool, factory, clock } = rig({ hooks: ['reset'], maxIdleTimeMs: 1_000 });
    factory.hold('reset');
    (await pool.acquire()).release();
    await clock.advance(900);
    factory.next('reset').pass();
    await clock.advance(999);
    expect(counts(pool)).toEqual({ idle: 1 });
    await clock.advance(1);
    expect(counts(pool)).toEqual({});
  });
});

describe('invariant 13: hooks and listeners never run inside a transition', () => {
  it('sees the whole state from every hook', async () => {
    const seen: unknown[] = [];
    const see = (hook: string) => seen.push([hook, counts(pool)]);
    const { pool, clock } = poolOf<object>(
      {
        create: () => {
          see('create');
          return {};
        },
        isHealthy: () => {
          see('isHealthy');
          return true;
        },
        reset: () => void see('reset'),
        destroy: () => void see('destroy'),
      },
      { maxConnections: 1, validateAfterIdleMs: 10 },
    );
    (await pool.acquire()).release();
    await clock.advance(11);
    (await pool.acquire()).destroy();
    expect(seen).toEqual([
      ['create', { creating: 1, waiting: 1 }],
      ['reset', { checking: 1 }],
      ['isHealthy', { checking: 1, waiting: 1 }],
      ['destroy', { destroying: 1 }],
    ]);
  });

  it('lets create acquire from its own pool', async () => {
    const inner: { is: string }[] = [];
    let made = 0;
    const { pool, clock } = poolOf(
      {
        create: () => {
          made += 1;
          if (made < 3) inner.push(watch(pool.acquire()));
          return made;
        },
      },
      { maxConnections: 3 },
    );
    const outer = watch(pool.acquire());
    await clock.advance(0);
    expect([outer.is, inner.map(({ is }) => is), counts(pool)]).toEqual([
      'resolved',
      ['resolved', 'resolved'],
      { active: 3 },
    ]);
  });

  it('lets create close its own pool (gracefully)', async () => {
    const destroyed: unknown[] = [];
    let closed: { is: string } | undefined;
    const { pool, clock } = poolOf(
      {
        create: () => {
          closed = watch(pool.close());
          return 'late';
        },
        destroy: (one) => void destroyed.push(one),
      },
      { minConnections: 1 },
    );
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([waiter.is, closed!.is, destroyed, clock.pendingTimers]).toEqual(['rejected', 'resolved', ['late'], 0]);
  });

  it.each(['plain value', 'promise'])('lets create close its own pool by force (%s)', async (kind) => {
    const destroyed: unknown[] = [];
    let closed: { is: string } | undefined;
    const { pool, clock } = poolOf<string>({
      create: () => {
        closed = watch(pool.close({ timeoutMs: 0 }));
        return kind === 'promise' ? Promise.resolve('late') : 'late';
      },
      destroy: (one) => void destroyed.push(one),
    });
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([waiter.is, closed!.is, destroyed, counts(pool)]).toEqual(['rejected', 'resolved', ['late'], {}]);
  });

  it('lets destroy acquire', async () => {
    const acquired: { is: string }[] = [];
    const { pool, clock } = poolOf<object>(
      { create: () => ({}), destroy: () => void acquired.push(watch(pool.acquire())) },
      { maxConnections: 1 },
    );
    (await pool.acquire()).destroy();
    await clock.advance(0);
    expect([acquired.map(({ is }) => is), counts(pool)]).toEqual([['resolved'], { active: 1 }]);
  });

  it('lets a listener release, acquire and close; the events come in order', async () => {
    const { pool, clock } = rig({ maxConnections: 2 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    const log = record(pool);
    let waiter: { is: string } | undefined;
    const stop = pool.on('release', () => {
      stop();
      b.release();
      waiter = watch(pool.acquire());
      void pool.close();
    });
    a.release();
    await clock.advance(0);
    expect(log).toEqual(['release 1', 'release 2', 'acquire 2', 'state closed', 'destroy 1 closed']);
    expect([waiter!.is, counts(pool)]).toEqual(['resolved', { active: 1 }]);
  });

  it('calls no hook that was told to stop before it began', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    const lease = await pool.acquire();
    // The listener runs before the create that the same step wants.
    pool.on('detach', () => void pool.close({ timeoutMs: 0 }));
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    factory.hold('create');
    await clock.advance(0);
    factory.log.length = 0;
    lease.detach();
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), factory.log.filter((line) => line.startsWith('create'))]).toEqual([
      ['resolved', 'rejected'],
      [],
    ]);
  });
});
