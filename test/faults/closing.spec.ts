import { counts, destroyedBy, failureOf, rig, watch } from '../core/rig.js';

describe('a close that something stands in the way of', () => {
  it('N02: a create that hangs holds it up no longer than its deadline', async () => {
    const { pool, factory, clock } = rig({ createTimeoutMs: Infinity });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    const closing = watch(pool.close({ timeoutMs: 500 }));
    await clock.advance(500);
    expect([waiter.is, closing.is, clock.pendingTimers]).toEqual(['rejected', 'resolved', 0]);
    factory.next('create').pass();
    await clock.advance(0);
    expect([factory.open, counts(pool)]).toEqual([[], {}]);
  });

  it('N12: a destroy that hangs holds it up no longer than the time limit of a destroy', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, destroyTimeoutMs: 300 });
    await pool.start();
    factory.hold('destroy');
    const closing = watch(pool.close());
    await clock.advance(299);
    expect(closing.is).toBe('pending');
    await clock.advance(1);
    expect([closing.value, clock.pendingTimers]).toEqual([{ tookMs: 300, forced: [], overdue: 1 }, 0]);
  });

  it('N25: a borrower that never returns holds it up no longer than its deadline', async () => {
    const { pool, clock } = rig();
    const lease = await pool.acquire();
    const closing = watch(pool.close({ timeoutMs: 500 }));
    await clock.advance(499);
    expect([closing.is, lease.signal.aborted]).toEqual(['pending', false]);
    await clock.advance(1);
    expect(closing.value).toMatchObject({ tookMs: 500, forced: [{ id: 1 }] });
    expect([lease.signal.aborted, clock.pendingTimers]).toEqual([true, 0]);
  });

  it('N26: what is still out at the deadline is destroyed, once, and a late return is harmless', async () => {
    const { pool, factory, clock } = rig();
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    await pool.close({ timeoutMs: 0 });
    expect([factory.open, destroyedBy(pool)]).toEqual([[], { closed: 2 }]);
    for (const lease of leases) lease.release();
    await clock.advance(0);
    expect(factory.log.filter((line) => line.startsWith('destroy'))).toEqual(['destroy 1', 'destroy 2']);
  });

  it('N27: an acquire after it is refused at once, and opens nothing', async () => {
    const { pool, factory } = rig();
    await pool.close();
    expect((await failureOf(pool.acquire())).code).toBe('POOL_CLOSED');
    expect(pool.tryAcquire()).toBeUndefined();
    expect([factory.log, pool.state]).toEqual([[], 'closed']);
  });

  it('N28: those who wait in the queue are told at once, not when the last borrower returns', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const waiters = [watch(pool.acquire()), watch(pool.use(() => 'never'))];
    const closing = watch(pool.close());
    await clock.advance(0);
    for (const waiter of waiters) expect(waiter.error).toMatchObject({ code: 'POOL_CLOSED' });
    expect(closing.is).toBe('pending');
    lease.release();
    await clock.advance(0);
    expect(closing.is).toBe('resolved');
  });

  it('N29: an acquire whose create is running is told at once; the connection is closed when it comes', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    const closing = watch(pool.close());
    await clock.advance(0);
    expect([(waiter.error as { code?: string }).code, closing.is]).toEqual(['POOL_CLOSED', 'pending']);
    factory.next('create').pass();
    await clock.advance(0);
    expect([closing.is, factory.log]).toEqual(['resolved', ['create 1', 'destroy 1']]);
  });

  it('N30: it ends when all are back, no sooner, whatever waited, left or was served meanwhile', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const first = await pool.acquire();
    const late = watch(pool.acquire({ acquireTimeoutMs: 10 }));
    const patient = watch(pool.acquire({ priority: 0 }));
    const urgent = watch(pool.acquire({ priority: 9 }));
    await clock.advance(10);
    expect(late.is).toBe('rejected');
    pool.drain();
    first.release();
    await clock.advance(0);
    expect([urgent.is, patient.is]).toEqual(['resolved', 'pending']);
    urgent.value!.release();
    await clock.advance(0);
    const last = patient.value!;
    const closing = watch(pool.close({ timeoutMs: Infinity }));
    await clock.advance(3_600_000);
    expect([closing.is, counts(pool)]).toEqual(['pending', { active: 1 }]);
    last.release();
    await clock.advance(0);
    expect([closing.is, counts(pool)]).toEqual(['resolved', {}]);
  });

  it('N31: a factory that fails for ever and a waiter in the queue do not hold it up, and creating stops', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxConnections: 2, maxCreating: 1 });
    factory.hold('create');
    void pool.start();
    const waiters = Array.from({ length: 3 }, () => watch(pool.acquire()));
    await clock.advance(0);
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    const closing = watch(pool.close());
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    expect([closing.is, waiters.map(({ is }) => is)]).toEqual(['resolved', ['rejected', 'rejected', 'rejected']]);
    const tries = factory.log.length;
    await clock.advance(60_000);
    expect([factory.log.length, clock.pendingTimers]).toEqual([tries, 0]);
  });

  it('N32: two at once end alike', async () => {
    const { pool } = rig({ minConnections: 1 });
    await pool.start();
    const [one, two] = [pool.close(), pool.close()];
    expect(await one).toBe(await two);
    expect(await pool.close()).toBe(await one);
  });
});
