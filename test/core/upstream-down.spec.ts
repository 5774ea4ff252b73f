import { ConnectionCreateError, NoHealthyConnectionError, PoolDownError, type PoolLimits } from 'nestjs-pools/core';
import { counts, destroyedBy, poolOf, record, rig, watch } from './rig.js';

const refused = (): Error => Object.assign(new Error('secret host'), { code: 'ECONNREFUSED' });

/** A pool that is down: its first two creates were refused, and the next attempt is `retryMs` away at most. */
async function down(limits: PoolLimits = {}) {
  const parts = rig({ downAfter: 2, createRetry: { initialMs: 1_000, factor: 1 }, ...limits });
  const { pool, factory, clock } = parts;
  factory.hold('create');
  for (let failure = 0; failure < 2; failure += 1) {
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(0);
    expect(failing.error).toBeInstanceOf(ConnectionCreateError);
  }
  expect(pool.stats().down).toBe(true);
  return parts;
}

describe('a pool that is down', () => {
  it('turns acquires away at once, with the cause, the numbers and the time of the next attempt', async () => {
    const { pool, clock, factory } = await down();
    const before = Date.now();
    const away = watch(pool.acquire());
    await clock.advance(0);
    const error = away.error as PoolDownError;
    expect(error).toBeInstanceOf(PoolDownError);
    expect(error).toMatchObject({ code: 'POOL_DOWN', retryable: true, cause: { code: 'ECONNREFUSED' }, pool: 'test' });
    expect(error.message).toBe(
      'Pool "test": the upstream is down, 2 failed creates in a row: ECONNREFUSED ' +
        '(0/20 active, 0 waiting; last create error: ECONNREFUSED just now)',
    );
    expect(error.retryAt.getTime() - before).toBeGreaterThanOrEqual(0);
    expect(error.retryAt.getTime() - before).toBeLessThan(1_100);
    expect([pool.stats().refused, factory.waiting('create')]).toEqual([{ full: 0, down: 1, closed: 0 }, 0]);
  });

  it('lets one acquire try again at retryAt, which waits for it, and turns the others away', async () => {
    const { pool, factory, clock } = await down();
    await clock.advance(1_000);
    const probing = watch(pool.acquire());
    const others = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    expect([probing.is, others.map(({ is }) => is), factory.waiting('create')]).toEqual([
      'pending',
      ['rejected', 'rejected'],
      1,
    ]);
    factory.next('create').pass();
    await clock.advance(0);
    expect([probing.is, pool.stats().down]).toEqual(['resolved', false]);
  });

  it('stays down when the probe fails, and waits longer', async () => {
    const { pool, factory, clock } = await down();
    await clock.advance(1_000);
    const probing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    const next = watch(pool.acquire());
    await clock.advance(0);
    expect([probing.error, next.error]).toEqual([expect.any(ConnectionCreateError), expect.any(PoolDownError)]);
    expect([pool.stats().down, pool.stats().createFailuresInRow, counts(pool)]).toEqual([true, 3, {}]);
  });

  it('keeps the probe when the one who waits for it leaves, and lets the next wait for it', async () => {
    const { pool, factory, clock } = await down();
    await clock.advance(1_000);
    const controller = new AbortController();
    const left = watch(pool.acquire({ signal: controller.signal }));
    await clock.advance(0);
    controller.abort();
    const next = watch(pool.acquire());
    await clock.advance(0);
    expect([left.is, next.is, factory.waiting('create')]).toEqual(['rejected', 'pending', 1]);
    factory.next('create').pass();
    await clock.advance(0);
    expect(next.is).toBe('resolved');
  });

  it('still lends what is idle, and takes back what is lent', async () => {
    const { pool, factory, clock } = rig({ downAfter: 1, maxConnections: 3 });
    const lease = await pool.acquire();
    factory.hold('create');
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(0);
    expect([failing.is, pool.stats().down]).toEqual(['rejected', true]);
    lease.release();
    const lent = await pool.acquire();
    expect(lent.connection.id).toBe(1);
    await expect(pool.acquire()).rejects.toBeInstanceOf(PoolDownError);
  });

  it('lets an acquire wait for the check of an idle connection, and turns it away when that fails', async () => {
    const { pool, factory, clock } = rig({ downAfter: 1, hooks: ['isHealthy'], createRetry: { initialMs: 1e6 } });
    const lease = await pool.acquire();
    factory.hold('create');
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(0);
    lease.release();
    await clock.advance(1_000);
    factory.hold('isHealthy');
    const covered = watch(pool.acquire());
    const uncovered = watch(pool.acquire());
    await clock.advance(0);
    expect([failing.is, covered.is, uncovered.is]).toEqual(['rejected', 'pending', 'rejected']);
    factory.next('isHealthy').pass(false);
    await clock.advance(0);
    expect(covered.error).toBeInstanceOf(PoolDownError);
  });

  it('probes by itself only while the minimum is unmet', async () => {
    const { pool, factory, clock } = rig({
      minConnections: 1,
      downAfter: 1,
      createRetry: { initialMs: 100, factor: 1 },
    });
    factory.hold('create');
    void pool.start();
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(100);
    expect([pool.stats().down, factory.waiting('create')]).toEqual([true, 1]);
    factory.next('create').pass();
    await clock.advance(0);
    expect([pool.stats().down, counts(pool)]).toEqual([false, { idle: 1 }]);

    const without = await down({ createRetry: { initialMs: 100, factor: 1 } });
    await without.clock.advance(60_000);
    expect([without.factory.waiting('create'), without.clock.pendingTimers]).toEqual([0, 0]);
  });

  it('rejects all who wait when it goes down: the oldest by the failure, the others as down', async () => {
    const { pool, factory, clock } = rig({ downAfter: 2, maxConnections: 1 });
    factory.hold('create');
    const waiters = Array.from({ length: 4 }, () => watch(pool.acquire()));
    const log = record(pool);
    for (let failure = 0; failure < 2; failure += 1) {
      await clock.advance(0);
      factory.next('create').fail(refused());
    }
    await clock.advance(0);
    expect(waiters.map(({ error }) => (error as Error).name)).toEqual([
      'ConnectionCreateError',
      'ConnectionCreateError',
      'PoolDownError',
      'PoolDownError',
    ]);
    expect(log).toEqual(['createError', 'createError', 'down', 'refuse down', 'refuse down']);
    expect(pool.stats()).toMatchObject({ failed: 2, refused: { down: 2 }, waiting: 0 });
  });

  it('lets the failure of a create from before neither turn away who waits for the probe, nor hold it up', async () => {
    const { pool, factory, clock } = rig({ downAfter: 1, maxConnections: 3, createRetry: { initialMs: 10 } });
    factory.hold('create');
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    const straggler = factory.next('create');
    factory.next('create').fail(refused());
    await clock.advance(10);
    const probing = watch(pool.acquire());
    await clock.advance(0);
    straggler.fail(refused());
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), probing.is]).toEqual([['rejected', 'rejected'], 'pending']);
    factory.next('create').pass();
    await clock.advance(0);
    expect(probing.is).toBe('resolved');
  });

  it('lets acquires wait for a return when it is full, for then it cannot ask whether the upstream is back', async () => {
    const { pool, factory, clock } = rig({ downAfter: 1, maxConnections: 3, createRetry: { initialMs: 10 } });
    const leases = [await pool.acquire(), await pool.acquire()];
    factory.hold('create');
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(1_000);
    pool.resize({ maxConnections: 2 });
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([failing.is, waiter.is, pool.stats().down]).toEqual(['rejected', 'pending', true]);
    leases[0]!.release();
    await clock.advance(0);
    expect(waiter.is).toBe('resolved');
  });

  it('takes a create that comes too late, and is not wanted any more, for the sign of life that it is', async () => {
    const { pool, factory, clock } = rig({ downAfter: 1, createTimeoutMs: 100 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    expect([waiter.is, pool.stats().down]).toEqual(['rejected', true]);
    factory.next('create').pass();
    await clock.advance(0);
    expect([pool.stats().down, factory.log]).toEqual([false, ['create 1', 'destroy 1']]);
  });

  it('tells when it comes up again, and how long it was down', async () => {
    const { pool, factory, clock } = await down();
    const told: unknown[] = [];
    pool.on('up', (event) => told.push(event));
    await clock.advance(2_500);
    const probing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').pass();
    await clock.advance(0);
    expect([probing.is, told]).toEqual(['resolved', [{ downForMs: 2_500 }]]);
  });
});

describe("onCreateError: 'wait'", () => {
  it('tells nobody of a failed create, and serves by a later one, after the pause', async () => {
    const { pool, factory, clock } = rig({ onCreateError: 'wait', createRetry: { initialMs: 100, factor: 1 } });
    factory.hold('create');
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    factory.next('create').fail(refused());
    factory.next('create').fail(refused());
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), factory.waiting('create')]).toEqual([['pending', 'pending'], 0]);
    factory.letPass('create');
    await clock.advance(100);
    expect(waiters.map(({ is }) => is)).toEqual(['resolved', 'resolved']);
  });

  it('ends with the waiter’s own deadline and the last cause (T16)', async () => {
    const { pool, clock } = poolOf(
      { create: () => Promise.reject(refused()) },
      { onCreateError: 'wait', acquireTimeoutMs: 5_000 },
    );
    const waiter = watch(pool.acquire());
    await clock.advance(5_000);
    expect(waiter.error).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT', cause: { code: 'ECONNREFUSED' } });
    expect(pool.stats().createFailed).toBeLessThan(60);
  });

  it('turns waiters away when it goes down all the same, where both are asked for', async () => {
    const limits = { onCreateError: 'wait', downAfter: 3, createRetry: { initialMs: 10, factor: 1 } } as const;
    const { pool, clock } = poolOf({ create: () => Promise.reject(refused()) }, limits);
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    expect([waiter.error, pool.stats().createFailed]).toEqual([expect.any(PoolDownError), 3]);
  });
});

describe('a failure that will not mend by itself', () => {
  const wrongPassword = (): Error => Object.assign(new Error('denied'), { retryable: false });

  it.each([
    ['the error says so', { create: () => Promise.reject(wrongPassword()) }],
    ['the factory says so', { create: () => Promise.reject(refused()), retryable: () => false }],
  ])('is not tried again in the background until an acquire asks, when %s', async (_how, hooks) => {
    let creates = 0;
    const factory = { ...hooks, create: () => ((creates += 1), hooks.create()) as Promise<object> };
    const { pool, clock } = poolOf(factory, { minConnections: 1, downAfter: Infinity });
    await pool.start();
    await clock.advance(600_000);
    expect(creates).toBe(1);
    await expect(pool.acquire()).rejects.toBeInstanceOf(ConnectionCreateError);
    await clock.advance(600_000);
    expect([creates, clock.pendingTimers]).toEqual([2, 0]);
  });

  it('is waited for by nobody, also where failures are waited out', async () => {
    const { pool, clock } = poolOf({ create: () => Promise.reject(wrongPassword()) }, { onCreateError: 'wait' });
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    expect(waiters.map(({ error }) => (error as Error).name)).toEqual([
      'ConnectionCreateError',
      'ConnectionCreateError',
    ]);
  });

  it('mends when a create succeeds, and a factory that cannot say counts as one that says yes', async () => {
    const factory = {
      answers: [wrongPassword(), undefined, refused()],
      create: () => {
        const error = factory.answers.shift();
        return error === undefined ? Promise.resolve({}) : Promise.reject(error);
      },
      retryable: () => {
        throw new Error('cannot say');
      },
    };
    const { pool, clock } = poolOf<object>(factory, { minConnections: 1 });
    await pool.start();
    const lease = await pool.acquire();
    lease.destroy();
    await clock.advance(200_000);
    expect([factory.answers, counts(pool)]).toEqual([[], { idle: 1 }]);
  });
});

describe('a failed create in the background', () => {
  it('rejects nobody whom a check under way will serve', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxConnections: 3, hooks: ['isHealthy'] });
    await pool.ready();
    await clock.advance(1_000);
    factory.hold('create');
    factory.hold('isHealthy');
    pool.evict(({ id }) => id === 1);
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(refused());
    await clock.advance(0);
    expect(waiter.is).toBe('pending');
    factory.next('isHealthy').pass(true);
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(2);
  });

  it('that a close has stopped is no failure, and takes no pool down', async () => {
    const { pool, factory, clock } = rig({ minConnections: 3, downAfter: 1 });
    factory.hold('create');
    void pool.start();
    await clock.advance(0);
    const log = record(pool);
    const closed = pool.close();
    for (let create = 0; create < 3; create += 1) factory.next('create').fail(refused());
    await clock.advance(0);
    await closed;
    expect([log, pool.stats().createFailed, pool.stats().down]).toEqual([['state closed'], 0, false]);
  });

  it('is waited out once, however many connections died in the same blow', async () => {
    const { pool, factory, clock } = rig({ minConnections: 10, createRetry: { initialMs: 100, factor: 2 } });
    await pool.ready();
    for (const { context } of Array.from(factory.open)) context.broken(new Error('restarted'));
    await clock.advance(100);
    expect(counts(pool)).toEqual({ idle: 10 });
  });
});

describe('unhealthyAfter', () => {
  it('counts no failure of a connection that was retired already against those that came after', async () => {
    const limits = { minConnections: 0, maxConnections: 9, unhealthyAfter: 3, hooks: ['isHealthy'] as const };
    const { pool, factory, clock } = rig(limits);
    const leases = await Promise.all(Array.from({ length: 6 }, () => pool.acquire()));
    for (const lease of leases) lease.release();
    await clock.advance(1_000);
    factory.hold('isHealthy');
    const waiters = Array.from({ length: 6 }, () => watch(pool.acquire()));
    await clock.advance(0);
    const checks = Array.from({ length: 6 }, () => factory.next('isHealthy'));
    for (const check of checks.slice(0, 3)) check.pass(false);
    await clock.advance(0);
    for (const { value } of waiters) value?.release();
    const fresh = counts(pool).idle;
    for (const check of checks.slice(3)) check.pass(false);
    await clock.advance(0);
    expect([fresh, counts(pool)]).toEqual([6, { idle: 6 }]);
  });

  it('retires the whole generation when so many checks in a row have failed', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 5, hooks: ['isHealthy'], unhealthyAfter: 2 });
    const leases = await Promise.all(Array.from({ length: 5 }, () => pool.acquire()));
    for (const lease of leases.slice(1)) lease.release();
    await clock.advance(1_000);
    factory.hold('isHealthy');
    const served = watch(pool.acquire());
    for (let failure = 0; failure < 2; failure += 1) {
      await clock.advance(0);
      factory.next('isHealthy').pass(false);
    }
    await clock.advance(0);
    expect([served.value?.connection.id, destroyedBy(pool)]).toEqual([6, { unhealthy: 4 }]);
    leases[0]!.release();
    await clock.advance(0);
    expect(destroyedBy(pool)).toEqual({ unhealthy: 5 });
  });

  it('counts anew after a check that passes', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, hooks: ['isHealthy'], unhealthyAfter: 2 });
    factory.hold('isHealthy');
    const seen: number[] = [];
    for (const answer of [false, true, false]) {
      (await pool.acquire({ acquireTimeoutMs: Infinity })).release();
      await clock.advance(1_000);
      const served = watch(pool.acquire());
      await clock.advance(0);
      factory.next('isHealthy').pass(answer);
      await clock.advance(0);
      served.value!.release();
      seen.push(pool.stats().destroyed.unhealthy);
    }
    expect(seen).toEqual([1, 1, 2]);
  });
});

describe('NoHealthyConnectionError', () => {
  it('tells a pool whose connections are sick from one that is too small', async () => {
    const { pool, factory, clock } = rig({
      maxConnections: 1,
      hooks: ['isHealthy'],
      unhealthyAfter: Infinity,
      maxCreating: 1,
    });
    (await pool.acquire()).release();
    await clock.advance(1_000);
    factory.hold('isHealthy');
    factory.hold('create');
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 100 }));
    await clock.advance(10);
    factory.next('isHealthy').fail(Object.assign(new Error('secret'), { code: 'ECONNRESET' }));
    await clock.advance(90);
    const error = waiter.error as NoHealthyConnectionError;
    expect(error).toBeInstanceOf(NoHealthyConnectionError);
    expect(error).toMatchObject({ retryable: true, cause: { code: 'ECONNRESET' } });
    expect(error.message).toBe(
      'Pool "test": no healthy connection within 100 ms: 1 health checks in a row failed, the last by ECONNRESET ' +
        '(0/1 active, 1 opening, 1 waiting)',
    );
    const later = watch(pool.acquire({ acquireTimeoutMs: 100 }));
    await clock.advance(100);
    expect([later.error, pool.stats().timedOut]).toEqual([
      expect.objectContaining({ code: 'POOL_ACQUIRE_TIMEOUT' }),
      2,
    ]);
  });
});
