import type { CreateContext } from 'nestjs-pools/core';
import { counts, destroyedBy, failureOf, gate, poolOf, record, rig, watch } from './rig.js';

describe('invariant 9: after close() nothing is left', () => {
  it('closes an unused pool', async () => {
    const { pool, clock } = rig({ minConnections: 2 });
    expect(await pool.close()).toEqual({ tookMs: 0, forced: [], overdue: 0 });
    expect([pool.state, clock.pendingTimers]).toEqual(['closed', 0]);
  });

  it('closes idle connections and ends when their destroys have ended (X05)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    await pool.start();
    factory.hold('destroy');
    const closing = watch(pool.close());
    factory.next('destroy').pass();
    await clock.advance(30);
    expect(closing.is).toBe('pending');
    factory.next('destroy').pass();
    await clock.advance(0);
    expect(closing.value).toEqual({ tookMs: 30, forced: [], overdue: 0 });
    expect([counts(pool), destroyedBy(pool), clock.pendingTimers]).toEqual([{}, { closed: 2 }, 0]);
  });

  it('waits for borrowers, whose connections are closed as they come back (X07)', async () => {
    const { pool, factory, clock } = rig();
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    const closing = watch(pool.close());
    await clock.advance(10);
    a.release();
    await clock.advance(10);
    expect([closing.is, factory.open.map(({ id }) => id), a.signal.aborted]).toEqual(['pending', [2], false]);
    b.release();
    await clock.advance(0);
    expect(closing.value).toEqual({ tookMs: 20, forced: [], overdue: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects waiters at once (N28, X09, X14)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const log = record(pool);
    const lease = await pool.acquire();
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    void pool.close();
    await clock.advance(0);
    expect(waiters.map(({ error }) => (error as { code: string }).code)).toEqual(['POOL_CLOSED', 'POOL_CLOSED']);
    expect([pool.stats().refused.closed, log.slice(-2)]).toEqual([2, ['refuse closed', 'refuse closed']]);
    lease.release();
  });

  it('refuses every later acquire at once and never opens again (N27, X12, X17)', async () => {
    const { pool, factory } = rig({ minConnections: 1 });
    await pool.start();
    await pool.close();
    factory.log.length = 0;
    const error = await failureOf(pool.acquire());
    expect([error.code, error.message]).toEqual(['POOL_CLOSED', 'Pool "test": is closed']);
    expect([factory.log, pool.stats().refused.closed]).toEqual([[], 1]);
  });

  it('tells creates to stop, and closes what they yield all the same (N29, X13)', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    const call = factory.next('create');
    const { signal } = call.context;
    const closing = watch(pool.close());
    await clock.advance(0);
    expect([waiter.is, signal.aborted, closing.is]).toEqual(['rejected', true, 'pending']);
    expect(signal.reason).toMatchObject({ code: 'POOL_CLOSED' });
    call.pass();
    await clock.advance(0);
    expect([closing.is, factory.log, clock.pendingTimers]).toEqual(['resolved', ['create 1', 'destroy 1'], 0]);
  });

  it('gives the signal aborted also to a create that looks at it only after the close', async () => {
    let context!: CreateContext;
    const creating = gate<object>();
    const { pool, clock } = poolOf<object>({
      create: (own) => {
        context = own;
        return creating.promise;
      },
    });
    const waiter = watch(pool.acquire());
    void pool.close();
    await clock.advance(0);
    expect([waiter.is, context.signal.aborted]).toEqual(['rejected', true]);
    expect(context.signal.reason).toMatchObject({ code: 'POOL_CLOSED' });
    creating.fail(new Error('stopped'));
    await clock.advance(0);
    expect(counts(pool)).toEqual({});
  });

  it('right after start leaves nothing alive (X03, X11)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 5 });
    void pool.start();
    await pool.close();
    expect([factory.open, counts(pool), clock.pendingTimers]).toEqual([[], {}, 0]);
  });

  it('is ended by the deadline though a create hangs; its connection is destroyed on arrival (N02)', async () => {
    const { pool, factory, clock } = rig({ createTimeoutMs: Infinity });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    const closing = watch(pool.close({ timeoutMs: 500 }));
    await clock.advance(500);
    expect([waiter.is, closing.value]).toEqual(['rejected', { tookMs: 500, forced: [], overdue: 1 }]);
    expect(clock.pendingTimers).toBe(0);
    factory.next('create').pass();
    await clock.advance(0);
    expect([factory.log, counts(pool), clock.pendingTimers]).toEqual([['create 1', 'destroy 1'], {}, 0]);
  });

  it('is ended by the destroy timeout though a destroy hangs (N12)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, destroyTimeoutMs: 300 });
    await pool.start();
    factory.hold('destroy');
    const closing = watch(pool.close());
    await clock.advance(300);
    expect(closing.value).toEqual({ tookMs: 300, forced: [], overdue: 1 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends while the factory fails and somebody waits (N31)', async () => {
    let creates = 0;
    const { pool, clock } = poolOf<object>(
      {
        create: () => {
          creates += 1;
          throw new Error('refused');
        },
      },
      { minConnections: 2 },
    );
    void pool.start();
    const waiter = watch(pool.acquire());
    await pool.close();
    const before = creates;
    await clock.advance(600_000);
    expect([waiter.is, creates - before, clock.pendingTimers]).toEqual(['rejected', 0, 0]);
  });

  it('waits for checks and resets under way, and closes their connections', async () => {
    const { pool, factory, clock } = rig({ hooks: ['isHealthy', 'reset'], validateAfterIdleMs: 10 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    a.release();
    await clock.advance(11);
    factory.hold('reset');
    factory.hold('isHealthy');
    b.release();
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    const closing = watch(pool.close());
    expect(counts(pool)).toEqual({ checking: 2 });
    while (factory.waiting('reset') > 0) factory.next('reset').pass();
    while (factory.waiting('isHealthy') > 0) factory.next('isHealthy').pass();
    await clock.advance(0);
    expect(waiters.map(({ is }) => is)).toEqual(['rejected', 'rejected']);
    expect([closing.is, factory.open, destroyedBy(pool)]).toEqual(['resolved', [], { closed: 2 }]);
  });

  it('settles every one of twenty acquires, and every create has its destroy (X06)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 5 });
    const acquires = Array.from({ length: 20 }, () => watch(pool.acquire()));
    await clock.advance(0);
    const closing = watch(pool.close());
    for (const { value } of acquires) value?.release();
    await clock.advance(0);
    const tally = (is: string) => acquires.filter((acquire) => acquire.is === is).length;
    expect([tally('resolved'), tally('rejected'), closing.is]).toEqual([5, 15, 'resolved']);
    expect(factory.log.filter((line) => line.startsWith('destroy')).length).toBe(5);
  });

  it('works by await using', async () => {
    const { pool, factory } = rig({ minConnections: 1 });
    {
      await using own = pool;
      await own.start();
    }
    expect([pool.state, factory.open]).toEqual(['closed', []]);
  });

  it('keeps the process alive until it has ended', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity });
    const lease = await pool.acquire();
    const closing = watch(pool.close({ timeoutMs: Infinity }));
    expect(clock.referencedTimers).toBe(1);
    lease.release();
    await clock.advance(0);
    expect([closing.is, clock.pendingTimers]).toEqual(['resolved', 0]);
  });
});

describe('closing by force', () => {
  it('destroys at the deadline what is still out, and tells the borrower before that (N25, N26, X10)', async () => {
    const { pool, factory, clock } = rig({ closeTimeoutMs: 1_000 });
    const lease = await pool.acquire();
    const order: string[] = [];
    lease.signal.addEventListener('abort', () => order.push(`lost, ${factory.open.length} open`));
    pool.on('destroy', ({ cause }) => order.push(`destroy ${cause}, ${factory.open.length} open`));
    const closing = watch(pool.close());
    await clock.advance(999);
    expect([closing.is, order]).toEqual(['pending', []]);
    await clock.advance(1);
    expect(order).toEqual(['lost, 1 open', 'destroy closed, 1 open']);
    expect(closing.value).toEqual({
      tookMs: 1_000,
      forced: [{ id: 1, createdAt: 0, lastUsedAt: 0, usageCount: 1 }],
      overdue: 0,
    });
    expect([factory.open, clock.pendingTimers]).toEqual([[], 0]);
  });

  it('gives the borrower a reason, and no connection any more', async () => {
    const { pool } = rig();
    const lease = await pool.acquire();
    await pool.close({ timeoutMs: 0 });
    expect(lease.signal.reason).toMatchObject({ code: 'POOL_CONNECTION_LOST', cause: { code: 'POOL_CLOSED' } });
    expect(() => lease.connection).toThrow('the lease of connection #1 has ended');
    expect(() => lease.detach()).toThrow('the lease of connection #1 has ended');
  });

  it.each(['release', 'destroy'] as const)('makes the later %s of the borrower a no-op, and no misuse', async (end) => {
    const { pool, factory, clock } = rig();
    const log = record(pool);
    const lease = await pool.acquire();
    await pool.close({ timeoutMs: 0 });
    log.length = 0;
    lease[end]();
    await clock.advance(0);
    expect([log, factory.log, counts(pool)]).toEqual([[], ['create 1', 'destroy 1'], {}]);
  });

  it('takes the connection from under a use(), whose result still counts', async () => {
    const { pool, clock } = rig();
    const work = gate<string>();
    const used = watch(pool.use(() => work.promise));
    await clock.advance(0);
    await pool.close({ timeoutMs: 0 });
    work.open('done');
    await clock.advance(0);
    expect(used.value).toBe('done');
  });

  it('stops checks and resets that hang', async () => {
    const { pool, factory, clock } = rig({ hooks: ['isHealthy', 'reset'], validateAfterIdleMs: 10 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    a.release();
    await clock.advance(11);
    factory.hold('isHealthy');
    factory.hold('reset');
    b.release();
    // Two waiters, so that the reset alone does not serve them and the idle one is checked too.
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    expect([waiters.length, counts(pool)]).toEqual([2, { checking: 2, waiting: 2 }]);
    const closing = watch(pool.close({ timeoutMs: 100 }));
    await clock.advance(100);
    expect([closing.value?.tookMs, factory.open, counts(pool)]).toEqual([100, [], {}]);
    const calls = [factory.next('isHealthy'), factory.next('reset')];
    expect(calls.map(({ context }) => context.signal.aborted)).toEqual([true, true]);
    calls[0]!.pass();
    calls[1]!.fail(new Error('late'));
    await clock.advance(0);
    expect([factory.log.filter((line) => line.startsWith('destroy')).length, clock.pendingTimers]).toEqual([2, 0]);
  });

  it('with a timeout of 0 waits for nobody but the destroys', async () => {
    const { pool, factory, clock } = rig({ destroyTimeoutMs: 200 });
    await pool.acquire();
    factory.hold('destroy');
    const closing = watch(pool.close({ timeoutMs: 0 }));
    await clock.advance(199);
    expect([closing.is, counts(pool)]).toEqual(['pending', { destroying: 1 }]);
    await clock.advance(1);
    expect(closing.value).toMatchObject({ tookMs: 200, overdue: 1, forced: [{ id: 1 }] });
  });

  it('waits for ever with a timeout of Infinity', async () => {
    const { pool, clock } = rig();
    const lease = await pool.acquire();
    const closing = watch(pool.close({ timeoutMs: Infinity }));
    await clock.advance(1e8);
    expect(closing.is).toBe('pending');
    lease.release();
    await clock.advance(0);
    expect(closing.value?.forced).toEqual([]);
  });
});

describe('closing again', () => {
  it('yields the same promise (N32, X08)', async () => {
    const { pool } = rig();
    expect(pool.close()).toBe(pool.close());
    const done = pool.close();
    await done;
    expect(pool.close({ timeoutMs: 5 })).toBe(done);
  });

  it('with a shorter timeout shortens the wait', async () => {
    const { pool, clock } = rig();
    await pool.acquire();
    const closing = watch(pool.close({ timeoutMs: 10_000 }));
    await clock.advance(100);
    void pool.close({ timeoutMs: 50 });
    await clock.advance(50);
    expect(closing.value).toMatchObject({ tookMs: 150, forced: [{ id: 1 }] });
  });

  it('with a longer timeout does not lengthen it', async () => {
    const { pool, clock } = rig();
    await pool.acquire();
    const closing = watch(pool.close({ timeoutMs: 100 }));
    void pool.close({ timeoutMs: 10_000 });
    void pool.close();
    await clock.advance(100);
    expect(closing.is).toBe('resolved');
  });

  it('after the force keeps the report whole', async () => {
    const { pool, factory, clock } = rig();
    await pool.acquire();
    factory.hold('destroy');
    const closing = watch(pool.close({ timeoutMs: 0 }));
    await clock.advance(10);
    void pool.close({ timeoutMs: 0 });
    void pool.close({ timeoutMs: 5 });
    await clock.advance(10);
    factory.next('destroy').pass();
    await clock.advance(0);
    expect(closing.value).toMatchObject({ tookMs: 20, forced: [{ id: 1 }] });
    expect(clock.pendingTimers).toBe(0);
  });

  it('by force ends a patient close at once', async () => {
    const { pool, clock } = rig();
    await pool.acquire();
    const closing = watch(pool.close({ timeoutMs: Infinity }));
    await clock.advance(5);
    void pool.close({ timeoutMs: 0 });
    await clock.advance(0);
    expect(closing.value).toMatchObject({ tookMs: 5, forced: [{ id: 1 }] });
  });

  it('follows a drain that has served everybody (X01)', async () => {
    const { pool, factory } = rig({ maxConnections: 2 });
    const served: number[] = [];
    const jobs = Array.from({ length: 5 }, (_, index) => pool.use(() => void served.push(index)));
    pool.drain();
    await Promise.all(jobs);
    expect(await pool.close()).toMatchObject({ forced: [] });
    expect([served, factory.open]).toEqual([[0, 1, 2, 3, 4], []]);
  });
});
