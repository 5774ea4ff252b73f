import { jest } from '@jest/globals';
import { AcquireTimeoutError, PoolExhaustedError } from 'nestjs-pools/core';
import type { GatedConnection } from 'nestjs-pools/testing';
import { counts, failureOf, poolOf, record, rig, watch } from './rig.js';

describe('invariant 4: waiters are served in order', () => {
  it('gives a released connection to the oldest waiter, not to a newcomer (O05)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const order: string[] = [];
    const note = (name: string) => (served: { connection: GatedConnection }) =>
      void order.push(`${name} ${served.connection.id}`);
    void pool.acquire().then(note('waiter'));
    lease.release();
    void pool.acquire().then(note('newcomer'));
    await clock.advance(0);
    expect(order).toEqual(['waiter 1']);
  });

  it('serves 100 waiters in the order of their arrival (O04)', async () => {
    const { pool } = rig({ maxConnections: 10 });
    const order: number[] = [];
    const work = Array.from({ length: 100 }, (_, index) => pool.use(() => void order.push(index)));
    await Promise.all(work);
    expect(order).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('hands the very connections over that are returned, and opens none (S05)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 3 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    const waiters = [watch(pool.acquire()), watch(pool.acquire()), watch(pool.acquire())];
    for (const index of [1, 2, 0]) leases[index]!.release();
    await clock.advance(0);
    expect(waiters.map((waiter) => waiter.value?.connection.id)).toEqual([2, 3, 1]);
    expect(factory.log).toEqual(['create 1', 'create 2', 'create 3']);
  });

  it('lets no newcomer overtake a waiter while a connection is being destroyed (O07, N44)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('destroy');
    const lease = await pool.acquire();
    const order: string[] = [];
    void pool.acquire().then(() => order.push('waiter'));
    lease.destroy();
    void pool.acquire().then(() => order.push('newcomer'));
    factory.next('destroy').pass();
    await clock.advance(0);
    expect([order, counts(pool)]).toEqual([['waiter'], { active: 1, waiting: 1 }]);
  });

  it('keeps the order when the candidates of several waiters fail their checks together (O06, N43)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 3, hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    await clock.advance(11);
    factory.hold('isHealthy');
    factory.hold('create');
    const order: number[] = [];
    for (const index of [1, 2, 3]) void pool.acquire().then(() => order.push(index));
    await clock.advance(0);
    for (const _ of [1, 2, 3]) factory.next('isHealthy').pass(false);
    await clock.advance(0);
    for (const _ of [1, 2, 3]) factory.next('create').pass();
    await clock.advance(0);
    expect(order).toEqual([1, 2, 3]);
  });

  it('skips a waiter that timed out between two others (O10, T04)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const order: string[] = [];
    void pool.use(() => void order.push('first'));
    const second = watch(pool.acquire({ acquireTimeoutMs: 10 }));
    const third = pool.use(() => void order.push('third'));
    await clock.advance(10);
    lease.release();
    await third;
    expect([order, second.is]).toEqual([['first', 'third'], 'rejected']);
  });

  it('hands 100 000 times over through one connection, with no recursion (F04, N41)', async () => {
    const { pool } = poolOf({ create: () => ({}) }, { maxConnections: 1, maxWaiting: Infinity });
    let served = 0;
    const all = Array.from({ length: 100_000 }, () =>
      pool.acquire().then((lease) => {
        served += 1;
        lease.release();
      }),
    );
    await Promise.all(all);
    expect([served, counts(pool)]).toEqual([100_000, { idle: 1 }]);
  });
});

describe('invariant 7: creates belong to the pool', () => {
  it('serves a waiter by a return that comes before the create (T13)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    const lease = await pool.acquire();
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(250);
    lease.release();
    await clock.advance(0);
    expect([waiter.value?.connection.id, counts(pool)]).toEqual([1, { active: 1, creating: 1 }]);
    factory.next('create').pass();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ active: 1, idle: 1 });
  });

  it('gives the oldest waiter the connection that was opened for a later one', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    factory.hold('create');
    const first = watch(pool.acquire());
    const second = watch(pool.acquire());
    await clock.advance(0);
    const [early, late] = [factory.next('create'), factory.next('create')];
    late.pass();
    await clock.advance(0);
    expect([first.value?.connection.id, second.is]).toEqual([2, 'pending']);
    early.pass();
    await clock.advance(0);
    expect(second.value?.connection.id).toBe(1);
  });

  it('keeps the connection of a borrower that timed out, for the next one (T07, A02)', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 20 }));
    await clock.advance(20);
    expect(waiter.is).toBe('rejected');
    const call = factory.next('create');
    expect(call.context.signal.aborted).toBe(false);
    call.pass();
    await clock.advance(0);
    expect([counts(pool), (await pool.acquire()).connection.id]).toEqual([{ idle: 1 }, 1]);
  });

  it('does not open for waiters that have left', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 10, maxCreating: 1 });
    factory.hold('create');
    const waiters = Array.from({ length: 5 }, () => watch(pool.acquire({ acquireTimeoutMs: 10 })));
    await clock.advance(10);
    factory.next('create').pass();
    await clock.advance(0);
    expect(waiters.map(({ is }) => is)).toEqual(Array<string>(5).fill('rejected'));
    expect([factory.log, counts(pool)]).toEqual([['create 1'], { idle: 1 }]);
  });
});

describe('the deadline of an acquire', () => {
  it('rejects at that time, not before and not much later (T03)', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 100 });
    await pool.acquire();
    const waiter = watch(pool.acquire());
    await clock.advance(99);
    expect(waiter.is).toBe('pending');
    await clock.advance(1);
    expect(waiter.error).toBeInstanceOf(AcquireTimeoutError);
  });

  it('is the own one of a call where that gives one', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 100 });
    await pool.acquire();
    const settled: string[] = [];
    const add = (name: string, acquireTimeoutMs?: number) =>
      void pool.acquire({ acquireTimeoutMs }).catch(() => settled.push(`${name} at ${clock.now()}`));
    add('a');
    add('b', 300);
    add('c', 50);
    add('d', 100.5);
    add('e', 200);
    await clock.advance(300);
    expect(settled).toEqual(['c at 50', 'a at 100', 'd at 101', 'e at 200', 'b at 300']);
  });

  it('covers a create that never ends (T01, N01)', async () => {
    const { pool, factory, clock } = rig({ acquireTimeoutMs: 20 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(20);
    expect(waiter.error).toBeInstanceOf(AcquireTimeoutError);
  });

  it('covers check after check after create (T10, T11)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2, hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    await clock.advance(11);
    factory.hold('isHealthy');
    factory.hold('create');
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 100 }));
    for (const _ of [1, 2]) {
      await clock.advance(40);
      factory.next('isHealthy').pass(false);
    }
    await clock.advance(19);
    expect([waiter.is, counts(pool)]).toEqual(['pending', { creating: 1, waiting: 1 }]);
    await clock.advance(1);
    expect(waiter.is).toBe('rejected');
  });

  it('leaves no trace of a timed-out waiter: all can be borrowed again (T06, N40)', async () => {
    const { pool, clock } = rig({ maxConnections: 2, acquireTimeoutMs: 10 });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    const waiters = Array.from({ length: 15 }, () => watch(pool.acquire()));
    await clock.advance(10);
    expect(new Set(waiters.map(({ is }) => is))).toEqual(new Set(['rejected']));
    for (const lease of leases) lease.release();
    expect(counts(pool)).toEqual({ idle: 2 });
    await Promise.all([pool.acquire(), pool.acquire()]);
    expect(counts(pool)).toEqual({ active: 2 });
  });

  it('is gone once the acquire is served: no late rejection (T02)', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 10 });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    await clock.advance(9);
    lease.release();
    await clock.advance(100);
    expect(waiter.is).toBe('resolved');
    expect(pool.stats().timedOut).toBe(0);
  });

  it('of 0 takes a ready connection', async () => {
    const { pool } = rig();
    (await pool.acquire()).release();
    expect((await pool.acquire({ acquireTimeoutMs: 0 })).connection.id).toBe(1);
  });

  it('of 0 rejects at once where nothing is ready, though one could be opened (T09)', async () => {
    const { pool, factory } = rig();
    expect((await failureOf(pool.acquire({ acquireTimeoutMs: 0 }))).code).toBe('POOL_ACQUIRE_TIMEOUT');
    expect([factory.log, counts(pool)]).toEqual([[], {}]);
  });

  it.each([3e9, 2 ** 31, Number.MAX_SAFE_INTEGER, Infinity])(
    'may be %p ms away (T15, N51)',
    async (acquireTimeoutMs) => {
      const { pool, clock } = rig({ maxConnections: 1 });
      const lease = await pool.acquire();
      const waiter = watch(pool.acquire({ acquireTimeoutMs }));
      await clock.advance(2 ** 31 - 2);
      expect(waiter.is).toBe('pending');
      lease.release();
      await clock.advance(0);
      expect(waiter.is).toBe('resolved');
    },
  );

  it('beyond the longest timer is kept to the millisecond', async () => {
    const { pool, clock } = rig({ maxConnections: 1, maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity });
    await pool.acquire();
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 5e9 }));
    await clock.advance(5e9 - 1);
    expect(waiter.is).toBe('pending');
    await clock.advance(1);
    expect(waiter.is).toBe('rejected');
  });

  it('tells the situation in its error: numbers, queue and the last create error (T16)', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1 user=root'), { code: 'ECONNREFUSED' });
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    await pool.acquire();
    factory.hold('create');
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused);
    await clock.advance(3_000);
    expect(failing.error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: refused });
    const waiters = [watch(pool.acquire({ acquireTimeoutMs: 2_000 })), watch(pool.acquire())];
    await clock.advance(2_000);
    const error = waiters[0]!.error as AcquireTimeoutError;
    expect(error.message).toBe(
      'Pool "test": no connection within 2000 ms ' +
        '(1/2 active, 1 opening, 2 waiting; last create error: ECONNREFUSED 5 s ago)',
    );
    expect(error).toMatchObject({ cause: refused, retryable: true, pool: 'test', stats: { waiting: 2 } });
  });

  it('has no cause once creates succeed again', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(new Error('refused'));
    factory.letPass('create');
    await pool.acquire();
    const late = await failureOf(pool.acquire({ acquireTimeoutMs: 0 }));
    expect([failing.is, late.cause]).toEqual(['rejected', undefined]);
  });

  it('costs little more for 50 000 waiters than for each alone (N38)', async () => {
    const { pool, clock } = poolOf({ create: () => ({}) }, { maxConnections: 1, maxWaiting: Infinity });
    await pool.acquire();
    let timedOut = 0;
    for (let index = 0; index < 50_000; index += 1) void pool.acquire().catch(() => (timedOut += 1));
    await clock.advance(10_000);
    expect([timedOut, counts(pool), clock.pendingTimers]).toEqual([50_000, { active: 1 }, 1]);
  });
});

describe('maxWaiting', () => {
  it('refuses the next acquire at once and keeps those that wait (A queue of 2)', async () => {
    const { pool } = rig({ maxConnections: 1, maxWaiting: 2 });
    const lease = await pool.acquire();
    const waiters = [pool.acquire(), pool.acquire()];
    const error = await failureOf(pool.acquire());
    expect(error).toBeInstanceOf(PoolExhaustedError);
    expect(error).toMatchObject({ code: 'POOL_EXHAUSTED', retryable: true });
    expect(error.message).toBe('Pool "test": too many acquires are waiting (1/1 active, 2 waiting)');
    lease.release();
    (await waiters[0]!).release();
    (await waiters[1]!).release();
    expect(pool.stats().refused).toEqual({ full: 1, down: 0, closed: 0 });
  });

  it('of 0 still lets acquires wait for creates that will serve them', async () => {
    const { pool, clock } = rig({ maxConnections: 2, maxWaiting: 0 });
    const acquires = [1, 2, 3].map(() => watch(pool.acquire()));
    await clock.advance(0);
    expect(acquires.map(({ is }) => is)).toEqual(['resolved', 'resolved', 'rejected']);
    expect(acquires[2]!.error).toBeInstanceOf(PoolExhaustedError);
  });

  it('of 0 still lets an acquire wait for the check of an idle connection', async () => {
    const { pool, clock } = rig({ maxConnections: 1, maxWaiting: 0, hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    (await pool.acquire()).release();
    await clock.advance(11);
    expect((await pool.acquire()).connection.id).toBe(1);
  });

  it('does not count waiters that have left', async () => {
    const { pool, clock } = rig({ maxConnections: 1, maxWaiting: 1 });
    await pool.acquire();
    const first = watch(pool.acquire({ acquireTimeoutMs: 10 }));
    await clock.advance(10);
    const second = watch(pool.acquire());
    await clock.advance(0);
    expect([first.is, second.is]).toEqual(['rejected', 'pending']);
  });
});

describe('an abort signal', () => {
  it('aborted already rejects, and nothing is opened (A01)', async () => {
    const { pool, factory } = rig();
    const log = record(pool);
    const reason = new Error('gone');
    const error = await failureOf(pool.acquire({ signal: AbortSignal.abort(reason) }));
    expect([error.code, error.cause, factory.log]).toEqual(['POOL_ACQUIRE_ABORTED', reason, []]);
    expect([pool.stats().aborted, log]).toEqual([1, ['abort']]);
  });

  it('aborted already rejects even where a connection is ready', async () => {
    const { pool } = rig();
    (await pool.acquire()).release();
    expect((await failureOf(pool.acquire({ signal: AbortSignal.abort() }))).code).toBe('POOL_ACQUIRE_ABORTED');
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('ends the wait at once; the create goes on and its connection is kept (A02, A03)', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const controller = new AbortController();
    const waiter = watch(pool.acquire({ signal: controller.signal }));
    await clock.advance(0);
    controller.abort('gone');
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['rejected', { creating: 1 }]);
    factory.next('create').pass();
    await clock.advance(0);
    expect([counts(pool), factory.log, pool.stats().aborted]).toEqual([{ idle: 1 }, ['create 1'], 1]);
  });

  it('takes one waiter out of the queue; the others keep their order (A06)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const controller = new AbortController();
    const order: number[] = [];
    for (const index of [1, 2, 3]) {
      const served = pool.acquire(index === 2 ? { signal: controller.signal } : {});
      void served.then(
        (own) => {
          order.push(index);
          own.release();
        },
        () => order.push(-index),
      );
    }
    controller.abort();
    lease.release();
    await clock.advance(0);
    expect(order).toEqual([-2, 1, 3]);
  });

  it('during a check rejects at once; the connection goes back to idle (A04, A05)', async () => {
    const { pool, factory, clock } = rig({ hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    (await pool.acquire()).release();
    await clock.advance(11);
    factory.hold('isHealthy');
    const controller = new AbortController();
    const waiter = watch(pool.acquire({ signal: controller.signal }));
    controller.abort();
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['rejected', { checking: 1 }]);
    factory.next('isHealthy').pass();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('aborted before the hand-off in the same tick wins: the connection is idle', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const controller = new AbortController();
    const waiter = watch(pool.acquire({ signal: controller.signal }));
    controller.abort();
    lease.release();
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['rejected', { idle: 1 }]);
  });

  it('aborted after the hand-off in the same tick comes too late: the lease counts (A11)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const controller = new AbortController();
    const waiter = watch(pool.acquire({ signal: controller.signal }));
    lease.release();
    controller.abort();
    await clock.advance(0);
    expect([waiter.is, counts(pool), pool.stats().aborted]).toEqual(['resolved', { active: 1 }, 0]);
  });

  it('aborted from inside create wins, though create then succeeds', async () => {
    const controller = new AbortController();
    const { pool, clock } = poolOf({
      create: () => {
        controller.abort('mine');
        return {};
      },
    });
    const waiter = watch(pool.acquire({ signal: controller.signal }));
    await clock.advance(0);
    expect(waiter).toMatchObject({ is: 'rejected', error: { code: 'POOL_ACQUIRE_ABORTED', cause: 'mine' } });
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('aborted while a dead connection is being cleared away wins, too', async () => {
    const controller = new AbortController();
    let isAlive = true;
    const { pool, clock } = poolOf({
      create: () => ({}),
      looksAlive: () => isAlive,
      destroy: () => controller.abort('mine'),
    });
    (await pool.acquire()).release();
    isAlive = false;
    const waiter = watch(pool.acquire({ signal: controller.signal }));
    await clock.advance(0);
    expect(waiter).toMatchObject({ is: 'rejected', error: { code: 'POOL_ACQUIRE_ABORTED', cause: 'mine' } });
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('may be shared by many waiters, which all leave by one abort', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    await pool.acquire();
    const controller = new AbortController();
    const waiters = Array.from({ length: 50 }, () => watch(pool.acquire({ signal: controller.signal })));
    controller.abort();
    await clock.advance(0);
    expect([new Set(waiters.map(({ is }) => is)), counts(pool)]).toEqual([new Set(['rejected']), { active: 1 }]);
  });

  it('lives long without gathering listeners: 100 000 acquires leave none (A12)', async () => {
    const { pool } = poolOf({ create: () => ({}) }, { maxConnections: 1 });
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    let most = 0;
    for (let round = 0; round < 25_000; round += 1) {
      const leases = [1, 2, 3, 4].map(() => pool.acquire({ signal }).then((lease) => lease.release()));
      most = Math.max(most, listeners);
      await Promise.all(leases);
    }
    expect([listeners, most <= 4, most > 0]).toEqual([0, true, true]);
  });

  it('is no longer listened to after a timeout or a close', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    await pool.acquire();
    const { signal } = new AbortController();
    const removed = jest.spyOn(signal, 'removeEventListener');
    const first = watch(pool.acquire({ signal, acquireTimeoutMs: 10 }));
    await clock.advance(10);
    expect([first.is, removed.mock.calls.length]).toEqual(['rejected', 1]);
    const second = watch(pool.acquire({ signal }));
    await pool.close({ timeoutMs: 0 });
    expect([second.is, removed.mock.calls.length]).toEqual(['rejected', 2]);
  });
});

describe('invariant 5: nobody waits beside an idle connection', () => {
  it('serves a waiter by whatever comes first of a return, a create and a check', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 3, hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    a.release();
    await clock.advance(11);
    factory.hold('isHealthy');
    factory.hold('create');
    const waiters = [1, 2, 3].map(() => watch(pool.acquire()));
    await clock.advance(0);
    expect(counts(pool)).toEqual({ active: 1, checking: 1, creating: 1, waiting: 3 });
    b.release();
    factory.next('create').pass();
    await clock.advance(0);
    factory.next('isHealthy').pass();
    await clock.advance(0);
    expect(waiters.map((waiter) => waiter.value?.connection.id)).toEqual([2, 3, 1]);
  });

  it('opens another for a waiter as soon as a place comes free', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.detach();
    await clock.advance(0);
    expect([waiter.value?.connection.id, factory.log]).toEqual([2, ['create 1', 'create 2']]);
  });

  it('checks no more idle connections than there are waiters', async () => {
    const { pool, factory, clock } = rig({ minConnections: 5, hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    await pool.start();
    await clock.advance(11);
    factory.hold('isHealthy');
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    expect([waiters.length, counts(pool)]).toEqual([2, { idle: 3, checking: 2, waiting: 2 }]);
  });
});

describe('a pool that is waited for', () => {
  it('keeps the process alive until the waiter is served, and an idle one does not (N46)', async () => {
    const { pool, clock } = rig({ minConnections: 1, maxConnections: 1 });
    await pool.start();
    expect([clock.pendingTimers, clock.referencedTimers]).toEqual([1, 0]);
    const lease = await pool.acquire();
    expect(clock.referencedTimers).toBe(0);
    const waiter = watch(pool.acquire());
    expect(clock.referencedTimers).toBe(1);
    lease.release();
    expect(clock.referencedTimers).toBe(0);
    await clock.advance(0);
    expect(waiter.is).toBe('resolved');
  });

  it.each(['times out', 'is aborted', 'fails'])('lets the process go when the last waiter %s', async (how) => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const controller = new AbortController();
    const waiter = watch(pool.acquire({ signal: controller.signal, acquireTimeoutMs: 100 }));
    await clock.advance(0);
    expect(clock.referencedTimers).toBe(1);
    if (how === 'fails') factory.next('create').fail(new Error('refused'));
    if (how === 'is aborted') controller.abort();
    await clock.advance(how === 'times out' ? 100 : 0);
    expect([waiter.is, clock.referencedTimers]).toEqual(['rejected', 0]);
  });

  it('keeps the process alive also for a waiter without a deadline', async () => {
    const { pool, clock } = rig({ maxConnections: 1, maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity });
    const lease = await pool.acquire();
    void pool.acquire({ acquireTimeoutMs: Infinity });
    expect(clock.referencedTimers).toBe(1);
    await clock.advance(2 ** 31);
    expect(clock.referencedTimers).toBe(1);
    lease.release();
    expect(clock.referencedTimers).toBe(0);
  });
});
