import { ConnectionCreateError, type CreateContext } from 'nestjs-pools/core';
import { counts, destroyedBy, failureOf, poolOf, record, rig, watch } from './rig.js';

const refused = (): Error => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });

describe('a create that fails', () => {
  it.each([
    ['rejects', () => Promise.reject(refused())],
    [
      'throws (N06, C19)',
      () => {
        throw refused();
      },
    ],
  ])('rejects the oldest waiter at once with its error as cause, when it %s', async (_what, create) => {
    const { pool } = poolOf<object>({ create });
    const error = await failureOf(pool.acquire());
    expect(error).toBeInstanceOf(ConnectionCreateError);
    expect(error).toMatchObject({ cause: { code: 'ECONNREFUSED' }, retryable: true });
    expect(error.message).toBe(
      'Pool "test": could not open a connection: ECONNREFUSED (0/20 active, 0 waiting; last create error: ECONNREFUSED just now)',
    );
    expect([counts(pool), pool.stats().createFailed]).toEqual([{}, 1]);
  });

  it('hands the very error object on (N05, C02)', async () => {
    const mine = refused();
    const { pool } = poolOf<object>({ create: () => Promise.reject(mine) });
    expect((await failureOf(pool.acquire())).cause).toBe(mine);
  });

  it.each([
    ['undefined', undefined],
    ['null', null],
  ])('is one that yields %s (N08, C20)', async (_what, nothing) => {
    const { pool } = poolOf<unknown>({ create: () => nothing });
    const error = await failureOf(pool.acquire());
    expect(error.message).toContain('could not open a connection: TypeError');
    expect((error.cause as Error).message).toBe(`the factory's create() of pool "test" yielded ${nothing}`);
    expect(counts(pool)).toEqual({});
  });

  it.each([undefined, null])('is one that rejects with %p (N09, C20)', async (reason) => {
    // oxlint-disable-next-line prefer-promise-reject-errors
    const { pool } = poolOf<object>({ create: () => Promise.reject(reason) });
    const error = await failureOf(pool.acquire());
    expect([error.code, (error.cause as Error).message]).toEqual([
      'POOL_CREATE_FAILED',
      'the factory failed without a reason',
    ]);
  });

  it.each([
    ['a text', 'down', 'string'],
    ['an error that says it is not retryable', Object.assign(refused(), { retryable: false }), 'ECONNREFUSED'],
    ['an object with a number for its code', { code: 61 }, 'Error'],
  ])('may reject with %s', async (_what, reason, named) => {
    const { pool } = poolOf<object>({ create: () => Promise.reject(reason) });
    const error = await failureOf(pool.acquire());
    expect(error.message).toContain(`could not open a connection: ${named} (`);
    expect(error).toMatchObject({ cause: reason, retryable: (reason as { retryable?: boolean }).retryable ?? true });
  });

  it('is no use trying again where the factory says so of its error', async () => {
    const { pool } = poolOf<object>({ create: () => Promise.reject(refused()), retryable: () => false });
    expect(await failureOf(pool.acquire())).toMatchObject({ code: 'POOL_CREATE_FAILED', retryable: false });
  });

  it('may reject with an error that cannot be read, and nobody is lost', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const { pool, clock } = poolOf<object>({ create: () => Promise.reject(proxy) });
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['rejected', {}]);
    expect(pool.stats()).toMatchObject({ createFailed: 1, createFailuresInRow: 1 });
  });

  it('is one that yields a connection which the pool has; its borrower is not disturbed (N10, C09)', async () => {
    const only = {};
    const destroyed: unknown[] = [];
    const { pool } = poolOf<object>({ create: () => only, destroy: (one) => void destroyed.push(one) });
    const lease = await pool.acquire();
    const error = await failureOf(pool.acquire());
    expect((error.cause as Error).message).toContain('a connection that the pool has already');
    expect([lease.connection, lease.signal.aborted, destroyed, counts(pool)]).toEqual([only, false, [], { active: 1 }]);
  });

  it('lets a connection that was detached or destroyed come back', async () => {
    const only = {};
    const { pool } = poolOf<object>({ create: () => only });
    (await pool.acquire()).detach();
    (await pool.acquire()).destroy();
    expect((await pool.acquire()).connection).toBe(only);
  });

  it('starts the create of the next waiter at once (C05, C15)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const [first, second] = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(0);
    expect([first.is, second.is, factory.waiting('create')]).toEqual(['rejected', 'pending', 1]);
    factory.next('create').pass();
    await clock.advance(0);
    expect(second.is).toBe('resolved');
  });

  it('again and again rejects a hundred waiters by a hundred creates, never more (N04)', async () => {
    let creates = 0;
    const factory = {
      create: async (): Promise<object> => {
        creates += 1;
        await Promise.resolve();
        throw refused();
      },
    };
    const { pool, clock } = poolOf<object>(factory, { downAfter: Infinity });
    const waiters = Array.from({ length: 100 }, () => watch(pool.acquire()));
    await clock.advance(1_000);
    expect([new Set(waiters.map(({ is }) => is)), creates, counts(pool)]).toEqual([new Set(['rejected']), 100, {}]);
  });

  it('a thousand times over leaves nothing behind (C16)', async () => {
    const { pool, clock } = poolOf<object>({ create: () => Promise.reject(refused()) });
    for (let round = 0; round < 1_000; round += 1) await failureOf(pool.acquire());
    expect([counts(pool), clock.pendingTimers <= 1]).toEqual([{}, true]);
    await pool.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('alternates with success: each waiter gets the answer of one attempt (C18)', async () => {
    let made = 0;
    const { pool } = poolOf({
      create: () => {
        if ((made += 1) % 2 === 1) throw refused();
        return { id: made };
      },
    });
    const codes = [];
    for (let round = 0; round < 6; round += 1) {
      const outcome = watch(pool.acquire());
      await Promise.resolve();
      await Promise.resolve();
      codes.push(outcome.is);
    }
    expect(codes).toEqual(['rejected', 'resolved', 'rejected', 'resolved', 'rejected', 'resolved']);
    expect(counts(pool)).toEqual({ active: 3 });
  });
});

describe('a create that hangs', () => {
  it('ends at createTimeoutMs: the waiter hears of it, the slot is free, the signal aborted (N01)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, createTimeoutMs: 100 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    const { context } = factory.next('create');
    expect(waiter).toMatchObject({ is: 'rejected', error: { cause: { code: 'HOOK_TIMEOUT' } } });
    expect((waiter.error as Error & { cause: Error }).cause.message).toBe('create did not end within 100 ms');
    expect([context.signal.aborted, (context.signal.reason as Error).name]).toEqual([true, 'HookTimeoutError']);
    expect(counts(pool)).toEqual({ overdue: 1 });
  });

  it('and yields late is adopted where a waiter wants it', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2, createTimeoutMs: 100 });
    factory.hold('create');
    const first = watch(pool.acquire());
    await clock.advance(100);
    const late = factory.next('create');
    const second = watch(pool.acquire());
    await clock.advance(0);
    late.pass();
    await clock.advance(0);
    expect([first.is, second.value?.connection.id, counts(pool)]).toEqual(['rejected', 1, { active: 1, creating: 1 }]);
  });

  it('and yields late is adopted where the minimum wants it', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, createTimeoutMs: 100, createRetry: { initialMs: 9e9 } });
    factory.hold('create');
    void pool.start();
    await clock.advance(100);
    factory.next('create').pass();
    await clock.advance(0);
    expect([counts(pool), factory.log]).toEqual([{ idle: 1 }, ['create 1']]);
    await pool.close();
    expect(factory.open).toEqual([]);
  });

  it('and yields late for nobody is destroyed, once (T08)', async () => {
    const { pool, factory, clock } = rig({ createTimeoutMs: 100 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    factory.next('create').pass();
    await clock.advance(0);
    expect([waiter.is, factory.log, counts(pool)]).toEqual(['rejected', ['create 1', 'destroy 1'], {}]);
  });

  it('and yields late is destroyed where the pool is full by then', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, createTimeoutMs: 100 });
    factory.hold('create');
    const first = watch(pool.acquire());
    await clock.advance(100);
    const late = factory.next('create');
    factory.letPass('create');
    await pool.acquire();
    const waiter = watch(pool.acquire());
    late.pass();
    await clock.advance(0);
    expect([first.is, waiter.is, factory.log]).toEqual(['rejected', 'pending', ['create 1', 'create 2', 'destroy 1']]);
    expect(counts(pool)).toEqual({ active: 1, waiting: 1 });
  });

  it('and fails late leaves nothing behind, not even a rejection', async () => {
    const { pool, factory, clock } = rig({ createTimeoutMs: 100 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    factory.next('create').fail(refused());
    await clock.advance(0);
    expect([waiter.is, counts(pool), pool.stats().createFailed]).toEqual(['rejected', {}, 1]);
  });

  it('and is adopted late tells how long it really took', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, createTimeoutMs: 100, downAfter: Infinity });
    factory.hold('create');
    const first = watch(pool.acquire());
    await clock.advance(100);
    const late = factory.next('create');
    factory.letPass('create');
    const took: number[] = [];
    pool.on('create', ({ tookMs }) => took.push(tookMs));
    pool.suspend();
    const second = watch(pool.acquire());
    await clock.advance(400);
    late.pass();
    await clock.advance(0);
    pool.resume();
    await clock.advance(0);
    expect([first.is, second.value?.connection.id, took]).toEqual(['rejected', 1, [500]]);
  });

  it('and yields much later has its connection closed within the whole of its time limit', async () => {
    const { pool, factory, clock } = rig({ createTimeoutMs: 100, destroyTimeoutMs: 1_000 });
    factory.hold('create');
    factory.hold('destroy');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    await clock.advance(60_000);
    factory.next('create').pass();
    await clock.advance(999);
    const closing = factory.next('destroy');
    expect([waiter.is, closing.context.signal.aborted]).toEqual(['rejected', false]);
    await clock.advance(1);
    expect(closing.context.signal.aborted).toBe(true);
    closing.pass();
    await clock.advance(0);
  });

  it('counts as overdue while the late connection is being closed', async () => {
    const { pool, factory, clock } = rig({ createTimeoutMs: 100 });
    factory.hold('create');
    factory.hold('destroy');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    factory.next('create').pass();
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['rejected', { overdue: 1 }]);
    factory.next('destroy').pass();
    await clock.advance(0);
    expect(counts(pool)).toEqual({});
  });

  it('gives its signal aborted also to a create that looks at it late', async () => {
    let context!: CreateContext;
    const { pool, clock } = poolOf<object>(
      {
        create: (own) => {
          context = own;
          return new Promise(() => undefined);
        },
      },
      { createTimeoutMs: 100 },
    );
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    expect([waiter.is, context.signal.aborted]).toEqual(['rejected', true]);
  });

  it('may hang for ever where createTimeoutMs is Infinity; waiters still have their deadline', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, createTimeoutMs: Infinity });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(10_000);
    expect([waiter.is, counts(pool)]).toEqual(['rejected', { creating: 1 }]);
  });
});

describe('the context of a create', () => {
  it('tells the pool, the attempt and a signal, and nothing of the borrower (A09)', async () => {
    const { pool, factory, clock } = rig({ downAfter: Infinity });
    factory.hold('create');
    const controller = new AbortController();
    const attempts = [];
    for (let round = 0; round < 3; round += 1) {
      const waiter = watch(pool.acquire({ signal: controller.signal, acquireTimeoutMs: 1_000 }));
      await clock.advance(0);
      const call = factory.next('create');
      attempts.push((call.context as CreateContext).attempt);
      call.fail(refused());
      await clock.advance(0);
      expect([waiter.is, call.context.pool]).toEqual(['rejected', 'test']);
    }
    expect(attempts).toEqual([1, 2, 3]);
    const last = watch(pool.acquire({ signal: controller.signal }));
    controller.abort();
    await clock.advance(0);
    const call = factory.next('create');
    expect([last.is, call.context.signal.aborted]).toEqual(['rejected', false]);
    call.pass();
    await clock.advance(0);
    await pool.acquire();
    const fresh = watch(pool.acquire());
    await clock.advance(0);
    expect([fresh.is, (factory.next('create').context as CreateContext).attempt]).toEqual(['pending', 1]);
  });
});

describe('the minimum', () => {
  it('is restored with no acquire when its connections are destroyed (S13, N35b)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    await pool.start();
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.destroy();
    await clock.advance(0);
    expect([counts(pool), factory.log.length]).toEqual([{ idle: 2 }, 6]);
  });

  it('counts leased connections: borrowing does not open spare ones', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    await pool.start();
    await Promise.all([pool.acquire(), pool.acquire()]);
    await clock.advance(60_000);
    expect(factory.log).toEqual(['create 1', 'create 2']);
  });

  it('is tried again and again while the factory fails, with growing pauses, and is there in the end (N35)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, createRetry: { initialMs: 100, maxMs: 1_000 } });
    const random = Math.random;
    Math.random = () => 0.999999;
    try {
      factory.hold('create');
      const started = watch(pool.start());
      const at: number[] = [];
      while (at.length < 7) {
        await clock.advance(1);
        if (factory.waiting('create') === 0) continue;
        at.push(clock.now());
        factory.next('create').fail(refused());
      }
      expect(at.map((time, index) => (index === 0 ? 0 : time - at[index - 1]!))).toEqual([
        0, 100, 200, 400, 800, 1_000, 1_000,
      ]);
      factory.letPass('create');
      await clock.advance(1_100);
      expect([started.is, counts(pool)]).toEqual(['resolved', { idle: 1 }]);
    } finally {
      Math.random = random;
    }
  });

  it('pauses no longer after one blow that failed ten creates than after one that failed one', async () => {
    const { pool, factory, clock } = rig({ minConnections: 10, createRetry: { initialMs: 100 } });
    factory.hold('create');
    void pool.start();
    await clock.advance(0);
    for (let index = 0; index < 10; index += 1) factory.next('create').fail(refused());
    await clock.advance(0);
    factory.letPass('create');
    await clock.advance(100);
    expect(counts(pool)).toEqual({ idle: 10 });
  });

  it('is restored at once when an acquire shows that the upstream is back', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, createRetry: { initialMs: 1e9, maxMs: 1e9 } });
    factory.hold('create');
    void pool.start();
    await clock.advance(0);
    for (let index = 0; index < 2; index += 1) factory.next('create').fail(refused());
    factory.letPass('create');
    await clock.advance(0);
    await pool.acquire();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ active: 1, idle: 1 });
  });

  it('never spins while creates fail at once: timers and deadlines run (N03)', async () => {
    let creates = 0;
    const { pool, clock } = poolOf<object>(
      {
        create: () => {
          creates += 1;
          throw refused();
        },
      },
      { minConnections: 2 },
    );
    await pool.start();
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 100 }));
    await clock.advance(60_000);
    expect([waiter.is, creates < 60]).toEqual(['rejected', true]);
    await pool.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('is not dialled without a pause by an upstream that accepts and hangs up', async () => {
    let creates = 0;
    const { pool, clock } = poolOf<object>(
      {
        create: ({ broken }) => {
          creates += 1;
          queueMicrotask(() => broken(new Error('hung up')));
          return Promise.resolve({});
        },
      },
      { minConnections: 2, createRetry: { initialMs: 1_000, factor: 1 } },
    );
    await pool.start();
    await clock.advance(30_000);
    expect(creates).toBeLessThan(400);
    expect(creates).toBeGreaterThan(20);
    void pool.close({ timeoutMs: 0 });
  });

  it('is not dialled without a pause either by two connections that hang up in turn', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, createRetry: { initialMs: 1_000, factor: 1 } });
    await pool.start();
    // Each is lost while the other is being opened: no success of the one may cut the other's pause short.
    factory.hold('create');
    for (let step = 0; step < 1_000; step += 1) {
      factory.open[0]?.context.broken(new Error('hung up'));
      await clock.advance(5);
      if (factory.waiting('create') > 0) factory.next('create').pass();
      await clock.advance(5);
    }
    expect(factory.log.filter((line) => line.startsWith('create')).length).toBeLessThan(100);
  });

  it('is no longer restored by a retry once nobody wants it (C08)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 0 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(600_000);
    expect([waiter.is, factory.log, clock.pendingTimers]).toEqual(['rejected', ['create 1'], 0]);
  });

  it('and an acquire race for the last place: the maximum holds, the acquire is served (S18)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxConnections: 2 });
    await pool.start();
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    factory.hold('create');
    a.destroy();
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect(counts(pool)).toEqual({ active: 1, creating: 1, waiting: 1 });
    b.destroy();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ creating: 2, waiting: 1 });
    factory.next('create').pass();
    factory.next('create').pass();
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['resolved', { active: 1, idle: 1 }]);
  });
});

describe('broken()', () => {
  const brokenOf = (factory: ReturnType<typeof rig>['factory'], index = 0) => factory.open[index]!.context.broken;

  it('retires an idle connection at once and has the minimum restored (N33, I16)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1 });
    await pool.start();
    (await pool.acquire()).release();
    const log = record(pool);
    brokenOf(factory)(new Error('reset by peer'));
    await clock.advance(0);
    expect(log).toEqual(['broken 1', 'destroy 1 broken', 'create 2']);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ idle: 1 }, { broken: 1 }]);
  });

  it('is never lent afterwards', async () => {
    const { pool, factory } = rig();
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    a.release();
    b.release();
    brokenOf(factory, 1)();
    expect((await pool.acquire()).connection.id).toBe(1);
  });

  it('tells the borrower by its signal; the connection is destroyed when it comes back', async () => {
    const { pool, factory, clock } = rig();
    const lease = await pool.acquire();
    const reasons: unknown[] = [];
    pool.on('destroy', ({ reason }) => reasons.push(reason));
    const lost = new Error('reset by peer');
    brokenOf(factory)(lost);
    expect(lease.signal.aborted).toBe(true);
    expect(lease.signal.reason).toMatchObject({ code: 'POOL_CONNECTION_LOST', cause: lost, retryable: true });
    expect([lease.connection.id, counts(pool)]).toEqual([1, { active: 1 }]);
    lease.release();
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool), reasons]).toEqual([{}, { broken: 1 }, [lost]]);
  });

  it('said before create has ended fails that create, and the connection is closed', async () => {
    const destroyed: unknown[] = [];
    const { pool, clock } = poolOf<object>({
      create: ({ broken }) => {
        broken(refused());
        return { id: 1 };
      },
      destroy: (one) => void destroyed.push(one),
    });
    const error = await failureOf(pool.acquire());
    await clock.advance(0);
    expect([error.code, destroyed, counts(pool)]).toEqual(['POOL_CREATE_FAILED', [{ id: 1 }], {}]);
  });

  it('said without an error is still seen in the stats as a failed create', async () => {
    const { pool, clock } = poolOf<object>({
      create: ({ broken }) => {
        broken();
        return {};
      },
    });
    await failureOf(pool.acquire());
    await clock.advance(0);
    expect(pool.stats().lastCreateError).toMatchObject({ name: 'Error' });
  });

  it('said during a reset or a check destroys the connection when that has ended', async () => {
    const { pool, factory, clock } = rig({ hooks: ['reset'] });
    factory.hold('reset');
    const lease = await pool.acquire();
    lease.release();
    brokenOf(factory)();
    factory.next('reset').pass();
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { broken: 1 }]);
  });

  it('said twice, or of a connection that is gone, is nothing', async () => {
    const { pool, factory, clock } = rig();
    const lease = await pool.acquire();
    const broken = brokenOf(factory);
    const log = record(pool);
    broken('first');
    broken('second');
    lease.release();
    await clock.advance(0);
    broken('late');
    expect(log).toEqual(['broken 1', 'release 1', 'destroy 1 broken']);
  });

  it('said of a detached connection is nothing', async () => {
    const { pool, factory } = rig();
    const lease = await pool.acquire();
    lease.detach();
    brokenOf(factory)();
    expect([lease.signal.aborted, counts(pool), destroyedBy(pool)]).toEqual([false, {}, {}]);
  });
});

describe('destroying', () => {
  it.each([
    [
      'throws (N11, D02)',
      () => {
        throw new Error('half closed');
      },
    ],
    ['rejects', () => Promise.reject(new Error('half closed'))],
  ])('is told as an error and the place is free when destroy %s', async (_what, destroy) => {
    const { pool, clock } = poolOf<object>({ create: () => ({}), destroy }, { maxConnections: 1 });
    const failures: unknown[] = [];
    pool.on('hookError', ({ hook, id, error }) => failures.push([hook, id, (error as Error).message]));
    (await pool.acquire()).destroy();
    await clock.advance(0);
    expect([failures, counts(pool)]).toEqual([[['destroy', 1, 'half closed']], {}]);
    await pool.acquire();
  });

  it('that hangs gives the place back at destroyTimeoutMs, and counts as overdue until it ends (T14, D03)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, destroyTimeoutMs: 100 });
    const log = record(pool);
    factory.hold('destroy');
    (await pool.acquire()).destroy();
    const waiter = watch(pool.acquire());
    await clock.advance(99);
    expect(counts(pool)).toEqual({ destroying: 1, waiting: 1 });
    await clock.advance(1);
    expect([waiter.is, counts(pool)]).toEqual(['resolved', { active: 1, overdue: 1 }]);
    const call = factory.next('destroy');
    expect(call.context.signal.aborted).toBe(true);
    call.pass();
    await clock.advance(0);
    expect([counts(pool), log.filter((event) => event === 'hookError 1')]).toEqual([{ active: 1 }, ['hookError 1']]);
  });

  it('does not delay an acquire while there is room (L10)', async () => {
    const { pool, factory } = rig({ maxConnections: 2 });
    factory.hold('destroy');
    (await pool.acquire()).destroy();
    expect((await pool.acquire()).connection.id).toBe(2);
  });

  it('needs no destroy hook', async () => {
    const { pool } = poolOf<object>({ create: () => ({}) });
    (await pool.acquire()).destroy();
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { error: 1 }]);
  });
});
