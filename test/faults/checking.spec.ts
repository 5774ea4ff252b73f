import { counts, destroyedBy, poolOf, rig, watch } from '../core/rig.js';

describe('a check or a reset that goes wrong', () => {
  it('N14: a check that hangs is cut, its connection destroyed and the place given to the waiter', async () => {
    const limits = { maxConnections: 1, validateAfterIdleMs: 10, healthCheckTimeoutMs: 100 };
    const { pool, factory, clock } = rig({ ...limits, hooks: ['isHealthy'] });
    (await pool.acquire()).release();
    await clock.advance(11);
    factory.hold('isHealthy');
    const waiter = watch(pool.acquire());
    await clock.advance(99);
    expect([waiter.is, counts(pool)]).toEqual(['pending', { checking: 1, waiting: 1 }]);
    await clock.advance(1);
    expect([waiter.value?.connection.id, counts(pool), destroyedBy(pool)]).toEqual([
      2,
      { active: 1 },
      { unhealthy: 1 },
    ]);
    factory.next('isHealthy').pass(); // too late to be heard
    await clock.advance(0);
    expect([counts(pool), factory.log]).toEqual([{ active: 1 }, ['create 1', 'isHealthy 1', 'destroy 1', 'create 2']]);
  });

  it('N16: a check that throws is a failed check, not an exception in the borrower', async () => {
    let made = 0;
    const { pool, clock } = poolOf(
      {
        create: () => (made += 1),
        isHealthy: () => {
          throw new Error('cannot ask');
        },
      },
      { maxConnections: 1, validateAfterIdleMs: 10 },
    );
    (await pool.acquire()).release();
    await clock.advance(11);
    const lease = await pool.acquire();
    expect([lease.connection, counts(pool), destroyedBy(pool)]).toEqual([2, { active: 1 }, { unhealthy: 1 }]);
  });

  it.each([undefined, null, 1, 'yes', {}])(
    'N17: a check that yields %p is a failed one: only true is healthy',
    async (answer) => {
      let made = 0;
      const { pool, clock } = poolOf(
        { create: () => (made += 1), isHealthy: () => answer as boolean },
        { maxConnections: 1, validateAfterIdleMs: 10 },
      );
      (await pool.acquire()).release();
      await clock.advance(11);
      expect([(await pool.acquire()).connection, destroyedBy(pool)]).toEqual([2, { unhealthy: 1 }]);
    },
  );

  it('N18: the check on return is really made, and what fails it is never lent again', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, hooks: ['reset'] });
    (await pool.acquire()).release();
    expect(factory.log).toEqual(['create 1', 'reset 1']);
    await clock.advance(0);
    factory.hold('reset');
    (await pool.acquire()).release();
    factory.next('reset').fail(new Error('a transaction is open'));
    expect((await pool.acquire()).connection.id).toBe(2);
    expect([destroyedBy(pool), factory.log.includes('destroy 1')]).toEqual([{ reset: 1 }, true]);
  });

  it('N19: a reset that hangs is cut, its connection destroyed and the place given to the waiter', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, hooks: ['reset'], resetTimeoutMs: 100 });
    factory.hold('reset');
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.release();
    await clock.advance(99);
    expect([waiter.is, counts(pool)]).toEqual(['pending', { checking: 1, waiting: 1 }]);
    await clock.advance(1);
    expect([waiter.value?.connection.id, counts(pool), destroyedBy(pool)]).toEqual([2, { active: 1 }, { reset: 1 }]);
  });

  it('N43: checks that fail together do not change the order of those who wait', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 3, hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    await clock.advance(11);
    factory.hold('isHealthy');
    const order: number[] = [];
    for (const index of [1, 2, 3]) void pool.acquire().then(() => order.push(index));
    await clock.advance(0);
    for (const _ of order.length === 0 ? [1, 2, 3] : []) factory.next('isHealthy').pass(false);
    await clock.advance(0);
    expect([order, destroyedBy(pool)]).toEqual([[1, 2, 3], { unhealthy: 3 }]);
  });
});
