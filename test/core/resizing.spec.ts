import { PoolClosedError, PoolOptionsError } from 'nestjs-pools/core';
import { counts, destroyedBy, rig, watch } from './rig.js';

async function full(maxConnections: number, limits = {}) {
  const parts = rig({ maxConnections, ...limits });
  const leases = await Promise.all(Array.from({ length: maxConnections }, () => parts.pool.acquire()));
  return { ...parts, leases };
}

describe('resize()', () => {
  it('closes idle connections beyond the new maximum at once, the coldest first (Z01)', async () => {
    const { pool, factory, clock, leases } = await full(4);
    for (const lease of leases) lease.release();
    pool.resize({ maxConnections: 1 });
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ idle: 1 }, { evicted: 3 }]);
    expect(factory.log.slice(4)).toEqual(['destroy 1', 'destroy 2', 'destroy 3']);
  });

  it('lets leased connections go as they come back, and lends nothing until there is room (Z01)', async () => {
    const { pool, clock, leases } = await full(3);
    const waiter = watch(pool.acquire());
    pool.resize({ maxConnections: 1 });
    leases[0]!.release();
    leases[1]!.release();
    await clock.advance(0);
    expect([waiter.is, counts(pool), destroyedBy(pool)]).toEqual([
      'pending',
      { active: 1, waiting: 1 },
      { evicted: 2 },
    ]);
    leases[2]!.release();
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['resolved', { active: 1 }]);
  });

  it('serves those who wait as soon as it grows (Z04)', async () => {
    const { pool, clock } = await full(1);
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    pool.resize({ maxConnections: 2 });
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), pool.stats().maxConnections]).toEqual([['resolved', 'pending'], 2]);
  });

  it('goes down to nothing and up again without losing anybody (S20, Z02)', async () => {
    const { pool, clock, leases } = await full(2);
    pool.resize({ maxConnections: 0 });
    for (const lease of leases) lease.release();
    const waiter = watch(pool.acquire());
    await clock.advance(1_000);
    expect([waiter.is, counts(pool), pool.stats().utilization]).toEqual(['pending', { waiting: 1 }, 0]);
    expect(pool.tryAcquire()).toBeUndefined();
    pool.resize({ maxConnections: 5 });
    await clock.advance(0);
    expect([waiter.is, counts(pool).active]).toEqual(['resolved', 1]);
  });

  it('destroys what a create still brings that there is no room for any more', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 3 });
    factory.hold('create');
    const waiters = [watch(pool.acquire()), watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    pool.resize({ maxConnections: 1 });
    for (let create = 0; create < 3; create += 1) factory.next('create').pass();
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), counts(pool)]).toEqual([
      ['resolved', 'pending', 'pending'],
      { active: 1, waiting: 2 },
    ]);
    expect(destroyedBy(pool)).toEqual({ evicted: 2 });
  });

  it('opens a minimum that was raised, and keeps one that was lowered no longer', async () => {
    const { pool, clock } = rig({ minConnections: 1, maxConnections: 5, maxIdleTimeMs: 100 });
    await pool.ready();
    pool.resize({ minConnections: 3 });
    await clock.advance(0);
    expect(counts(pool)).toEqual({ idle: 3 });
    pool.resize({ minConnections: 0 });
    await clock.advance(500);
    expect(counts(pool)).toEqual({});
  });

  it('lets a minimum that nobody set follow the maximum', () => {
    const { pool } = rig({ minConnections: undefined });
    const sizes = [1, 0, 7].map((maxConnections) => {
      pool.resize({ maxConnections });
      return pool.stats().minConnections;
    });
    expect(sizes).toEqual([1, 0, 2]);
  });

  it.each([
    [{ maxConnections: -1 }, ['maxConnections: expected a whole number from 0, got a negative number']],
    [{ minConnections: 1.5 }, ['minConnections: expected a whole number from 0, got a fraction or an infinite number']],
    [{ minConnections: 9 }, ['minConnections: must not be above maxConnections; lower it in the same call']],
    [{ maxConnections: 2 }, ['minConnections: must not be above maxConnections; lower it in the same call']],
    [
      { maxConections: 2, minConnections: '1' },
      ['maxConections: no such option', 'minConnections: expected a whole number from 0, got a text'],
    ],
    [undefined, ['expected an object of options, got nothing']],
  ])('refuses %j, says what is wrong, and changes nothing', (change, problems) => {
    const { pool } = rig({ minConnections: 3, maxConnections: 5 });
    const resizing = (): void => pool.resize(change as object);
    expect(resizing).toThrow(PoolOptionsError);
    expect(resizing).toThrow(expect.objectContaining({ problems }));
    expect(pool.stats()).toMatchObject({ minConnections: 3, maxConnections: 5 });
  });

  it('is refused after close (X08)', async () => {
    const { pool } = rig();
    await pool.close();
    expect(() => pool.resize({ maxConnections: 1 })).toThrow(PoolClosedError);
  });
});

describe('evict()', () => {
  it('closes the idle connections that are picked, the coldest asked first, and says how many (I14, O11)', async () => {
    const { pool, clock, leases } = await full(4);
    for (const lease of leases.slice(0, 3)) lease.release();
    const asked: number[] = [];
    const evicted = pool.evict((connection, info) => {
      expect(connection.id).toBe(info.id);
      asked.push(info.id);
      return info.id !== 2;
    });
    await clock.advance(0);
    expect([evicted, asked, counts(pool), destroyedBy(pool)]).toEqual([
      2,
      [1, 2, 3],
      { idle: 1, active: 1 },
      { evicted: 2 },
    ]);
  });

  it('closes all idle ones without a predicate, and has the minimum restored', async () => {
    const { pool, factory, clock, leases } = await full(3, { minConnections: 2 });
    for (const lease of leases) lease.release();
    expect(pool.evict()).toBe(3);
    await clock.advance(0);
    expect([counts(pool), factory.open.map(({ id }) => id)]).toEqual([{ idle: 2 }, [4, 5]]);
  });

  it('closes nothing when the predicate throws, and hands the error on', async () => {
    const { pool, leases } = await full(2);
    for (const lease of leases) lease.release();
    const mistake = new Error('mine');
    let calls = 0;
    const evicting = (): number =>
      pool.evict(() => {
        if ((calls += 1) > 1) throw mistake;
        return true;
      });
    expect(evicting).toThrow(mistake);
    expect(counts(pool)).toEqual({ idle: 2 });
  });

  it('leaves alone what the predicate itself has lent', async () => {
    const { pool, leases } = await full(2, { order: 'fifo' });
    for (const lease of leases) lease.release();
    const evicted = pool.evict(() => {
      pool.tryAcquire();
      return true;
    });
    expect([evicted, counts(pool)]).toEqual([0, { active: 2 }]);
  });

  it('refuses a predicate that is none', () => {
    expect(() => rig().pool.evict('all' as never)).toThrow(PoolOptionsError);
  });
});

describe('retireAll()', () => {
  it('closes idle ones now, leased ones on return, and lends new ones meanwhile (I13, Reset)', async () => {
    const { pool, factory, clock, leases } = await full(3);
    leases[0]!.release();
    pool.retireAll();
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ active: 2 }, { evicted: 1 }]);
    const fresh = await pool.acquire();
    expect(fresh.connection.id).toBe(4);
    leases[1]!.release();
    fresh.release();
    await clock.advance(0);
    expect([counts(pool), factory.open.map(({ id }) => id)]).toEqual([{ active: 1, idle: 1 }, [3, 4]]);
  });

  it('never lends what was being opened at that time, and serves its waiter by another (failover)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    const old = factory.next('create');
    pool.retireAll();
    expect(old.context.signal.aborted).toBe(true);
    old.pass();
    await clock.advance(0);
    expect([waiter.is, destroyedBy(pool)]).toEqual(['pending', { evicted: 1 }]);
    factory.next('create').pass();
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(2);
  });

  it('lets nobody wait for what it has retired: neither a create that hangs nor a check', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 4, hooks: ['isHealthy'] });
    factory.hold('create');
    const first = watch(pool.acquire());
    await clock.advance(0);
    const hanging = factory.next('create');
    pool.retireAll();
    await clock.advance(0);
    factory.next('create').pass();
    await clock.advance(0);
    expect([first.is, hanging.context.signal.aborted]).toEqual(['resolved', true]);
    first.value!.release();
    await clock.advance(1_000);
    factory.hold('isHealthy');
    const second = watch(pool.acquire());
    await clock.advance(0);
    pool.retireAll();
    await clock.advance(0);
    factory.next('create').pass();
    await clock.advance(0);
    expect([second.is, factory.waiting('isHealthy')]).toEqual(['resolved', 1]);
  });

  it('takes a create that stops by it for no failure', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, downAfter: 1 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    pool.retireAll();
    factory.next('create').fail(new Error('aborted'));
    await clock.advance(0);
    expect([waiter.is, pool.stats()]).toMatchObject([
      'pending',
      { createFailed: 0, down: false, lastCreateError: undefined },
    ]);
    factory.next('create').pass();
    await clock.advance(0);
    expect(waiter.is).toBe('resolved');
  });

  it('closes one that is being reset when that ends', async () => {
    const { pool, factory, clock } = rig({ hooks: ['reset'] });
    factory.hold('reset');
    (await pool.acquire()).release();
    await clock.advance(0);
    pool.retireAll();
    factory.next('reset').pass();
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { evicted: 1 }]);
  });
});

describe('suspend()', () => {
  it('lets acquires wait, takes returns, and resume() serves in order (X19)', async () => {
    const { pool, clock, leases } = await full(2);
    pool.suspend();
    const waiters = [watch(pool.acquire()), watch(pool.acquire()), watch(pool.acquire())];
    leases[0]!.release();
    await clock.advance(0);
    expect(pool.tryAcquire()).toBeUndefined();
    expect([pool.stats().suspended, counts(pool)]).toEqual([true, { active: 1, idle: 1, waiting: 3 }]);
    pool.resume();
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), pool.stats().suspended]).toEqual([['resolved', 'pending', 'pending'], false]);
  });

  it('opens nothing for those who wait, but keeps the minimum', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, maxConnections: 5 });
    pool.suspend();
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    expect([factory.log, counts(pool)]).toEqual([['create 1'], { idle: 1, waiting: 2 }]);
    pool.resume();
    await clock.advance(0);
    expect(waiters.map(({ is }) => is)).toEqual(['resolved', 'resolved']);
  });

  it('does not stop deadlines, aborts or a close', async () => {
    const { pool, clock } = rig({ acquireTimeoutMs: 100 });
    pool.suspend();
    const controller = new AbortController();
    const late = watch(pool.acquire());
    const aborted = watch(pool.acquire({ signal: controller.signal }));
    controller.abort();
    await clock.advance(100);
    const closed = watch(pool.acquire());
    await pool.close();
    expect([late, aborted, closed].map(({ error }) => (error as { code: string }).code)).toEqual([
      'POOL_ACQUIRE_TIMEOUT',
      'POOL_ACQUIRE_ABORTED',
      'POOL_CLOSED',
    ]);
  });

  it('keeps nothing in a draining pool once nobody waits for it', async () => {
    const { pool, clock, leases } = await full(1);
    pool.suspend();
    pool.drain();
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 50 }));
    leases[0]!.release();
    expect(counts(pool)).toEqual({ idle: 1, waiting: 1 });
    await clock.advance(50);
    expect([waiter.is, counts(pool), destroyedBy(pool)]).toEqual(['rejected', {}, { closed: 1 }]);
  });
});

describe('priorities', () => {
  it('are served from the highest, and in order within each (O03)', async () => {
    const { pool, clock, leases } = await full(1);
    const served: string[] = [];
    const ask = (name: string, priority?: number): void =>
      void pool.acquire(priority === undefined ? {} : { priority }).then((lease) => {
        served.push(name);
        lease.release();
      });
    for (const name of ['a', 'b']) ask(name);
    for (const name of ['c', 'd']) ask(name, 9);
    for (const name of ['e', 'f']) ask(name, 4);
    ask('g', 0);
    leases[0]!.release();
    await clock.advance(0);
    expect(served).toEqual(['c', 'd', 'e', 'f', 'a', 'b', 'g']);
  });

  it('expire each by its own deadline, whatever stands before them', async () => {
    const { pool, clock } = await full(1, { acquireTimeoutMs: 100 });
    const settled: string[] = [];
    const ask = (name: string, options: object): void =>
      void pool.acquire(options).catch(() => settled.push(`${name} at ${clock.now()}`));
    ask('low', { acquireTimeoutMs: Infinity });
    ask('low, short', { acquireTimeoutMs: 30 });
    ask('high', { priority: 5 });
    ask('high, short', { priority: 5, acquireTimeoutMs: 20 });
    ask('high, long', { priority: 5, acquireTimeoutMs: 200 });
    await clock.advance(1_000);
    expect(settled).toEqual(['high, short at 20', 'low, short at 30', 'high at 100', 'high, long at 200']);
    expect(counts(pool)).toEqual({ active: 1, waiting: 1 });
  });

  it.each([-1, 10, 0.5, '3', NaN])('refuse %p', async (priority) => {
    await expect(rig().pool.acquire({ priority: priority as number })).rejects.toMatchObject({
      code: 'POOL_OPTIONS',
      problems: [expect.stringMatching(/^priority: expected a whole number from 0 to 9, got /)],
    });
  });
});
