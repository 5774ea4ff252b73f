import { counts, destroyedBy, record, rig, watch } from './rig.js';

describe('idle time', () => {
  it('ends a spare connection after maxIdleTimeMs, once (I01)', async () => {
    const { pool, factory, clock } = rig({ maxIdleTimeMs: 1_000 });
    (await pool.acquire()).release();
    await clock.advance(999);
    expect(counts(pool)).toEqual({ idle: 1 });
    await clock.advance(1);
    expect([counts(pool), factory.log, destroyedBy(pool)]).toEqual([{}, ['create 1', 'destroy 1'], { idle: 1 }]);
  });

  it('counts from the return, not from the opening', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: 1_000 });
    const lease = await pool.acquire();
    await clock.advance(1_500);
    lease.release();
    await clock.advance(999);
    expect(counts(pool)).toEqual({ idle: 1 });
    await clock.advance(1);
    expect(counts(pool)).toEqual({});
  });

  it('never goes below the minimum, and never destroys to create again (N36, I02)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxIdleTimeMs: 1_000 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    await clock.advance(60_000);
    expect([counts(pool), destroyedBy(pool), factory.log.length]).toEqual([{ idle: 2 }, { idle: 2 }, 6]);
  });

  it('takes spare ones and leaves those in use (I04, I15)', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: 1_000, maxConnections: 5 });
    const leases = await Promise.all(Array.from({ length: 5 }, () => pool.acquire()));
    for (const lease of leases.slice(1)) lease.release();
    await clock.advance(1_000);
    expect(counts(pool)).toEqual({ active: 1 });
    leases[0]!.release();
    await clock.advance(1_000);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { idle: 5 }]);
  });

  it('shrinks a burst to what is needed: the warm one stays, the cold ones go', async () => {
    const { pool, factory, clock } = rig({ maxIdleTimeMs: 1_000, maxConnections: 5 });
    const leases = await Promise.all(Array.from({ length: 5 }, () => pool.acquire()));
    for (const lease of leases) lease.release();
    for (let round = 0; round < 30; round += 1) {
      await pool.use(() => undefined);
      await clock.advance(100);
    }
    expect([counts(pool), factory.open.map(({ id }) => id)]).toEqual([{ idle: 1 }, [5]]);
  });

  it('leaves no timer when nothing is left (I03)', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: 1_000 });
    (await pool.acquire()).release();
    expect(clock.pendingTimers).toBe(1);
    // One wake for nothing is let happen: the acquire had a deadline, which is never taken off a timer.
    await clock.advance(10_000);
    expect(clock.pendingTimers).toBe(0);
    (await pool.acquire()).release();
    expect(clock.pendingTimers).toBe(1);
  });

  it('of Infinity means for ever (I06)', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity });
    (await pool.acquire()).release();
    await clock.advance(1e10);
    expect([counts(pool), clock.pendingTimers]).toEqual([{ idle: 1 }, 0]);
  });

  it('ends a spare one also when the factory fails to close others', async () => {
    const { pool, factory, clock } = rig({ maxIdleTimeMs: 1_000, destroyTimeoutMs: 500 });
    factory.hold('destroy');
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    await clock.advance(1_500);
    expect(counts(pool)).toEqual({ overdue: 2 });
  });
});

describe('lifetime', () => {
  it('ends an idle connection in the background (I07)', async () => {
    const { pool, clock } = rig({ maxLifetimeMs: 1_000, lifetimeJitter: 0 });
    (await pool.acquire()).release();
    await clock.advance(1_000);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { lifetime: 1 }]);
  });

  it('ends an idle one in the background also when it was lent from the start and nothing else is watched', async () => {
    const { pool, clock } = rig({ maxLifetimeMs: 1_000, lifetimeJitter: 0, maxIdleTimeMs: Infinity });
    const lease = await pool.acquire();
    await clock.advance(500);
    lease.release();
    await clock.advance(500);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { lifetime: 1 }]);
  });

  it('ends an idle one on time, however short it has been idle', async () => {
    const { pool, clock } = rig({ maxLifetimeMs: 1_000, lifetimeJitter: 0, maxIdleTimeMs: 900 });
    const lease = await pool.acquire();
    await clock.advance(950);
    lease.release();
    await clock.advance(50);
    expect(counts(pool)).toEqual({});
  });

  it('ends one in use when it comes back, not before (I07, I08)', async () => {
    const { pool, clock } = rig({ maxLifetimeMs: 1_000, lifetimeJitter: 0 });
    const lease = await pool.acquire();
    await clock.advance(5_000);
    expect([counts(pool), lease.signal.aborted]).toEqual([{ active: 1 }, false]);
    lease.release();
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { lifetime: 1 }]);
  });

  it('ends one of the minimum too, which is replaced', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, maxLifetimeMs: 1_000, lifetimeJitter: 0 });
    await pool.start();
    await clock.advance(1_000);
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'destroy 1', 'create 2'], { idle: 1 }]);
  });

  it('gives the waiter a fresh connection in place of the expired one', async () => {
    const { pool, clock } = rig({ maxConnections: 1, maxLifetimeMs: 1_000, lifetimeJitter: 0 });
    const lease = await pool.acquire();
    await clock.advance(1_000);
    const waiter = watch(pool.acquire());
    lease.release();
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(2);
  });

  it('of connections opened together is spread by the jitter (N53, I18)', async () => {
    const { pool, clock } = rig({ minConnections: 0, maxLifetimeMs: 10_000, lifetimeJitter: 0.1, maxConnections: 50 });
    const at: number[] = [];
    pool.on('destroy', () => at.push(clock.now()));
    const leases = await Promise.all(Array.from({ length: 50 }, () => pool.acquire()));
    for (const lease of leases) lease.release();
    await clock.advance(10_001);
    expect([at.length, Math.min(...at) >= 9_000, Math.max(...at) <= 10_000]).toEqual([50, true, true]);
    expect(new Set(at.map((time) => Math.floor(time / 100))).size).toBeGreaterThan(5);
  });

  it('is not touched by anything but the given clock (N37)', async () => {
    const { pool, clock } = rig({ maxLifetimeMs: 1_000 });
    (await pool.acquire()).release();
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
    try {
      await clock.advance(100);
      expect(counts(pool)).toEqual({ idle: 1 });
    } finally {
      Date.now = now;
    }
  });
});

describe('maxUses', () => {
  it('ends a connection at its n-th return (I10)', async () => {
    const { pool, factory } = rig({ maxUses: 3 });
    for (let use = 0; use < 7; use += 1) (await pool.acquire()).release();
    expect([factory.log, destroyedBy(pool)]).toEqual([
      ['create 1', 'destroy 1', 'create 2', 'destroy 2', 'create 3'],
      { uses: 2 },
    ]);
  });

  it('gives the waiter a fresh one, and keeps the minimum', async () => {
    const { pool, clock } = rig({ maxUses: 1, minConnections: 1, maxConnections: 1 });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.release();
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(2);
    waiter.value!.release();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ idle: 1 });
  });
});

describe('a draining pool', () => {
  it('closes idle connections and restores no minimum', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    await pool.start();
    const log = record(pool);
    pool.drain();
    await clock.advance(60_000);
    expect([counts(pool), factory.open, pool.state]).toEqual([{}, [], 'draining']);
    expect(log).toEqual(['state draining', 'destroy 1 closed', 'destroy 2 closed']);
  });

  it('still serves those who wait and those who come, and keeps nothing after them', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, minConnections: 1 });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    pool.drain();
    const late = watch(pool.acquire());
    lease.release();
    await clock.advance(0);
    waiter.value!.release();
    await clock.advance(0);
    late.value!.release();
    await clock.advance(0);
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'destroy 1'], {}]);
    expect((await pool.acquire()).connection.id).toBe(2);
  });

  it('resets a returned connection for a waiter only', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, hooks: ['reset'] });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    pool.drain();
    lease.release();
    await clock.advance(0);
    waiter.value!.release();
    await clock.advance(0);
    expect(factory.log).toEqual(['create 1', 'reset 1', 'destroy 1']);
  });

  it('destroys what it has opened when the waiter has left', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    pool.drain();
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 10 }));
    await clock.advance(10);
    factory.next('create').pass();
    await clock.advance(0);
    expect([waiter.is, factory.log, counts(pool)]).toEqual(['rejected', ['create 1', 'destroy 1'], {}]);
  });

  it('drains once, and not any more when it is closed', async () => {
    const { pool } = rig();
    const log = record(pool);
    pool.drain();
    pool.drain();
    await pool.close();
    pool.drain();
    expect([log, pool.state]).toEqual([['state draining', 'state closed'], 'closed']);
  });
});
