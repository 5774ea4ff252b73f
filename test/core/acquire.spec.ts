import { jest } from '@jest/globals';
import { type Clock, type ClockTimer, type ConnectionFactory, ConnectionPool } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import { counts, failureOf, gate, poolOf, record, rig, watch } from './rig.js';

describe('a new pool', () => {
  it('opens nothing and sets no timer until it is started or asked', async () => {
    const { factory, clock } = rig({ minConnections: 2 });
    await clock.advance(60_000);
    expect([factory.log, clock.pendingTimers]).toEqual([[], 0]);
  });

  it('opens its minimum when it is started', async () => {
    const { pool, factory } = rig({ minConnections: 3 });
    await pool.start();
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'create 2', 'create 3'], { idle: 3 }]);
  });

  it('opens its minimum at the first acquire', async () => {
    const { pool, clock } = rig({ minConnections: 3 });
    await pool.acquire();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ idle: 2, active: 1 });
  });

  it('opens nothing without a minimum until the first acquire', async () => {
    const { pool, factory } = rig({ minConnections: 0 });
    await pool.start();
    expect(factory.log).toEqual([]);
    await pool.acquire();
    expect(factory.log).toEqual(['create 1']);
  });

  it('survives a create that throws while the minimum is opened (N07)', async () => {
    const { pool } = poolOf<object>(
      {
        create: () => {
          throw new Error('refused');
        },
      },
      { minConnections: 2 },
    );
    await pool.start();
    expect(counts(pool)).toEqual({});
    await pool.close();
  });
});

describe('start()', () => {
  it('waits for the first attempt to end and does not reject for it', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    factory.hold('create');
    const started = watch(pool.start());
    await clock.advance(0);
    expect(started.is).toBe('pending');
    factory.next('create').fail(new Error('refused'));
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    expect(started.is).toBe('resolved');
    await pool.close();
  });

  it('ends although some creates fail at once and others hang, round after round', async () => {
    const { pool, factory, clock } = rig({
      minConnections: 2,
      downAfter: Infinity,
      createRetry: { initialMs: 10, factor: 1 },
    });
    factory.hold('create');
    const started = watch(pool.start());
    for (let round = 0; round < 20; round += 1) {
      // One is refused at once, the other hangs: at no time is nothing being opened.
      while (factory.waiting('create') > 1) factory.next('create').fail(new Error('refused'));
      await clock.advance(400);
      expect(factory.waiting('create')).toBe(2);
    }
    expect(started.is).toBe('resolved');
    void pool.close({ timeoutMs: 0 });
  });

  it('may be called again and opens nothing twice', async () => {
    const { pool, factory } = rig({ minConnections: 2 });
    await Promise.all([pool.start(), pool.start()]);
    await pool.start();
    expect(factory.log).toEqual(['create 1', 'create 2']);
  });

  it('ends on a closed pool without opening anything', async () => {
    const { pool, factory } = rig({ minConnections: 2 });
    await pool.close();
    await pool.start();
    expect(factory.log).toEqual([]);
  });
});

describe('ready()', () => {
  it('resolves when the minimum is open, not when the first attempt has failed', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, createRetry: { initialMs: 10, factor: 1 } });
    factory.hold('create');
    const ready = watch(pool.ready());
    await clock.advance(0);
    factory.next('create').pass();
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    expect(ready.is).toBe('pending');
    factory.letPass('create');
    await clock.advance(10);
    expect([ready.is, counts(pool)]).toEqual(['resolved', { idle: 2 }]);
  });

  it('resolves at once when there is no minimum', async () => {
    const { pool } = rig();
    await pool.ready({ timeoutMs: 0 });
  });

  it('rejects at its deadline, with the create error as cause', async () => {
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const { pool, factory, clock } = rig({ minConnections: 1 });
    factory.hold('create');
    const ready = watch(pool.ready({ timeoutMs: 50 }));
    await clock.advance(0);
    factory.next('create').fail(refused);
    await clock.advance(50);
    expect(ready).toMatchObject({ is: 'rejected', error: { code: 'POOL_ACQUIRE_TIMEOUT', cause: refused } });
    await pool.close({ timeoutMs: 0 });
  });

  it('rejects when its signal is aborted, and lets the process go', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, createTimeoutMs: Infinity });
    factory.hold('create');
    const controller = new AbortController();
    const ready = watch(pool.ready({ signal: controller.signal, timeoutMs: Infinity }));
    await clock.advance(0);
    expect(clock.referencedTimers).toBe(1);
    controller.abort('enough');
    await clock.advance(0);
    expect(ready).toMatchObject({ is: 'rejected', error: { code: 'POOL_ACQUIRE_ABORTED', cause: 'enough' } });
    expect(clock.referencedTimers).toBe(0);
  });

  it('rejects at once for a signal that is aborted already, and opens nothing', async () => {
    const { pool, factory } = rig({ minConnections: 1 });
    const error = await failureOf(pool.ready({ signal: AbortSignal.abort('enough') }));
    expect([error.code, factory.log]).toEqual(['POOL_ACQUIRE_ABORTED', []]);
  });

  it('rejects when the pool closes, and when it is closed', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1 });
    factory.hold('create');
    const ready = watch(pool.ready({ timeoutMs: Infinity }));
    void pool.close({ timeoutMs: 0 });
    await clock.advance(0);
    expect(ready).toMatchObject({ is: 'rejected', error: { code: 'POOL_CLOSED' } });
    expect((await failureOf(pool.ready())).code).toBe('POOL_CLOSED');
  });
});

describe('invariant 1: never more than maxConnections', () => {
  it.each([
    ['promises', (id: number) => Promise.resolve({ id })],
    ['plain values', (id: number) => ({ id })],
  ])('opens as many as are asked for, up to the maximum, when create yields %s', async (_what, make) => {
    let made = 0;
    const { pool, clock } = poolOf({ create: () => make((made += 1)) }, { maxConnections: 3 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    const fourth = watch(pool.acquire());
    await clock.advance(0);
    expect(leases.map((lease) => lease.connection.id)).toEqual([1, 2, 3]);
    expect([fourth.is, counts(pool)]).toEqual(['pending', { active: 3, waiting: 1 }]);
  });

  it('counts a connection whose slow destroy has not ended (N13)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    factory.hold('destroy');
    const [first] = await Promise.all([pool.acquire(), pool.acquire()]);
    first.destroy();
    const next = watch(pool.acquire());
    await clock.advance(0);
    expect([next.is, counts(pool)]).toEqual(['pending', { active: 1, destroying: 1, waiting: 1 }]);
    factory.next('destroy').pass();
    await clock.advance(0);
    expect([next.is, counts(pool)]).toEqual(['resolved', { active: 2 }]);
  });

  it('counts a create whose borrower has left', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const first = watch(pool.acquire({ acquireTimeoutMs: 10 }));
    await clock.advance(10);
    const second = watch(pool.acquire());
    await clock.advance(0);
    expect([first.is, second.is, factory.log]).toEqual(['rejected', 'pending', ['create 1']]);
    expect(counts(pool)).toEqual({ creating: 1, waiting: 1 });
  });

  it('opens at most maxCreating at the same time (N52)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 100, maxCreating: 4 });
    factory.hold('create');
    const acquires = Array.from({ length: 100 }, () => watch(pool.acquire()));
    let most = 0;
    while (factory.waiting('create') > 0) {
      most = Math.max(most, factory.waiting('create'));
      factory.next('create').pass();
      await clock.advance(0);
    }
    expect([most, acquires.every(({ is }) => is === 'resolved')]).toEqual([4, true]);
  });

  it('opens no more than a burst needs: returns serve it too (S16)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 20, maxCreating: 2 });
    factory.hold('create');
    let done = 0;
    const jobs = Array.from({ length: 50 }, () => pool.use(() => (done += 1)));
    await clock.advance(0);
    factory.next('create').pass();
    await Promise.all(jobs);
    expect(done).toBe(50);
    expect(factory.log.length).toBeLessThan(5);
  });

  it('works with a minimum that is the maximum', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxConnections: 2 });
    await pool.start();
    factory.hold('destroy');
    const lease = await pool.acquire();
    lease.destroy();
    await clock.advance(0);
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'create 2', 'destroy 2'], { idle: 1, destroying: 1 }]);
    factory.next('destroy').pass();
    await clock.advance(0);
    expect(counts(pool)).toEqual({ idle: 2 });
  });
});

describe('an idle connection', () => {
  it('is reused', async () => {
    const { pool, factory } = rig();
    (await pool.acquire()).release();
    const again = await pool.acquire();
    expect([again.connection.id, factory.log]).toEqual([1, ['create 1']]);
  });

  it('is the one used last (O02)', async () => {
    const { pool } = rig();
    const [a, b, c] = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    b.release();
    a.release();
    c.release();
    const order = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    expect(order.map((lease) => lease.connection.id)).toEqual([3, 1, 2]);
  });

  it('is the one idle longest, where the order is fifo (O01)', async () => {
    const { pool } = rig({ order: 'fifo' });
    const [a, b, c] = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    b.release();
    a.release();
    c.release();
    const order = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    expect(order.map((lease) => lease.connection.id)).toEqual([2, 1, 3]);
  });

  it.each(['lifo', 'fifo'] as const)('keeps its turn over background checks (%s)', async (order) => {
    const { pool, clock } = rig({
      order,
      hooks: ['isHealthy'],
      minConnections: 4,
      healthCheckIntervalMs: 1_000,
      validateAfterIdleMs: Infinity,
    });
    await pool.start();
    const leases = [await pool.acquire(), await pool.acquire(), await pool.acquire(), await pool.acquire()];
    const returned = leases.map((lease) => lease.connection.id);
    for (const lease of leases) {
      lease.release();
      await clock.advance(1);
    }
    await clock.advance(10_000);
    const lent = [await pool.acquire(), await pool.acquire(), await pool.acquire(), await pool.acquire()];
    const expected = order === 'fifo' ? returned : [...returned].reverse();
    expect(lent.map((lease) => lease.connection.id)).toEqual(expected);
  });

  it('is asked whether it looks alive at every lease, and destroyed if not', async () => {
    const { pool, factory } = rig({ hooks: ['looksAlive'] });
    (await pool.acquire()).release();
    factory.alive = false;
    const next = await pool.acquire();
    expect([next.connection.id, factory.log]).toEqual([2, ['create 1', 'destroy 1', 'create 2']]);
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('counts as dead when looksAlive throws', async () => {
    let made = 0;
    const looksAlive = (): boolean => {
      throw new Error('socket gone');
    };
    const { pool } = poolOf({ create: () => (made += 1), looksAlive });
    (await pool.acquire()).release();
    expect((await pool.acquire()).connection).toBe(2);
  });

  it('is past its lifetime never lent, though no background look came (I09)', async () => {
    const { pool, factory, clock } = rig({ maxLifetimeMs: 1_000, lifetimeJitter: 0 });
    (await pool.acquire()).release();
    clock.stall(1_000);
    expect((await pool.acquire()).connection.id).toBe(2);
    expect(factory.log).toEqual(['create 1', 'destroy 1', 'create 2']);
  });
});

describe('tryAcquire()', () => {
  it('lends an idle connection', async () => {
    const { pool } = rig();
    (await pool.acquire()).release();
    expect(pool.tryAcquire()?.connection.id).toBe(1);
    expect(counts(pool)).toEqual({ active: 1 });
  });

  it('opens nothing and waits for nobody', async () => {
    const { pool, factory } = rig({ minConnections: 1 });
    expect([pool.tryAcquire(), factory.log]).toEqual([undefined, []]);
  });

  it('yields nothing while somebody waits', async () => {
    const { pool, clock } = rig({ hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    a.release();
    await clock.advance(11);
    const waiter = watch(pool.acquire());
    b.release();
    expect([waiter.is, pool.tryAcquire()?.connection.id]).toEqual(['pending', undefined]);
  });

  it('yields nothing where the next idle one needs a check', async () => {
    const { pool, clock } = rig({ hooks: ['isHealthy'], validateAfterIdleMs: 10 });
    (await pool.acquire()).release();
    await clock.advance(11);
    expect([pool.tryAcquire(), counts(pool)]).toEqual([undefined, { idle: 1 }]);
  });

  it('destroys the dead ones that it finds, and has the minimum restored', async () => {
    const { pool, factory, clock } = rig({ hooks: ['looksAlive'], minConnections: 2 });
    await pool.start();
    factory.alive = false;
    expect(pool.tryAcquire()).toBeUndefined();
    expect(factory.log).toEqual(['create 1', 'create 2', 'destroy 2', 'destroy 1']);
    await clock.advance(200);
    expect(factory.log).toEqual(['create 1', 'create 2', 'destroy 2', 'destroy 1', 'create 3', 'create 4']);
    expect(counts(pool)).toEqual({ idle: 2 });
  });

  it('yields nothing on a closed pool', async () => {
    const { pool } = rig();
    await pool.close();
    expect(pool.tryAcquire()).toBeUndefined();
  });
});

describe('use()', () => {
  it('passes the connection and the lease, waits for the work, then gives back (L06)', async () => {
    const { pool, clock } = rig();
    const work = gate<string>();
    const result = watch(
      pool.use((connection, lease) => {
        expect(lease.connection).toBe(connection);
        return work.promise;
      }),
    );
    await clock.advance(0);
    expect(counts(pool)).toEqual({ active: 1 });
    work.open('done');
    await clock.advance(0);
    expect([result.value, counts(pool)]).toEqual(['done', { idle: 1 }]);
  });

  it.each([
    ['returns a plain value', () => 5],
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
    ['rejects', () => Promise.reject(new Error('mine'))],
  ])('gives back when the work %s (N24)', async (_what, work: () => unknown) => {
    const { pool, clock } = rig();
    const outcome = watch(pool.use(work));
    await clock.advance(0);
    expect(outcome).toMatchObject(outcome.is === 'resolved' ? { value: 5 } : { error: { message: 'mine' } });
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('lets the work destroy or detach its connection', async () => {
    const { pool, factory } = rig();
    const log = record(pool);
    await pool.use((_connection, lease) => lease.destroy('dirty'));
    await pool.use((_connection, lease) => void lease.detach());
    expect([counts(pool), log.includes('misuse 1')]).toEqual([{}, false]);
    expect(factory.open.map(({ id }) => id)).toEqual([2]);
  });

  it('rejects as acquire does, and the work never runs', async () => {
    const { pool } = rig();
    const work = jest.fn();
    const error = await failureOf(pool.use(work, { signal: AbortSignal.abort() }));
    expect([error.code, work.mock.calls.length]).toEqual(['POOL_ACQUIRE_ABORTED', 0]);
  });
});

/* oxlint-disable unicorn/no-thenable -- the pool must bear them */
describe('connections of every kind', () => {
  it('may be primitives, falsy ones too', async () => {
    const values = [0, '', false, NaN, 7n, Symbol.iterator];
    let next = 0;
    const { pool } = poolOf<unknown>({ create: () => values[next++] }, { maxConnections: 6 });
    const leases = [];
    for (const value of values) {
      leases.push(await pool.acquire());
      expect(leases.at(-1)!.connection).toBe(value);
    }
    for (const lease of leases) lease.release();
    expect(counts(pool)).toEqual({ idle: 6 });
    await pool.close();
    expect(counts(pool)).toEqual({});
  });

  it('are told apart by identity, not by looks (L08)', async () => {
    const { pool } = poolOf({ create: () => ({ same: true }) });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    expect(a.connection).not.toBe(b.connection);
  });

  it('may have a then method: the lease keeps it from being unwrapped', async () => {
    const factory: ConnectionFactory<{ then?: (run: (value: string) => void) => void }> = { create: () => ({}) };
    const { pool } = poolOf(factory);
    const first = await pool.acquire();
    const { connection } = first;
    connection.then = (run) => run('unwrapped');
    first.release();
    const again = await pool.acquire();
    expect(again.connection).toBe(connection);
    expect(await pool.use((_own, lease) => lease.info.id)).toBe(2);
  });

  it('may arrive by a foreign thenable, one that answers twice included', async () => {
    const twice = {
      then(resolve: (value: object) => void) {
        resolve({ id: 'first' });
        resolve({ id: 'second' });
      },
    };
    const { pool } = poolOf<object>({ create: () => twice as unknown as Promise<object> });
    expect((await pool.acquire()).connection).toEqual({ id: 'first' });
  });

  it.each([
    [
      'a getter',
      () =>
        Object.defineProperty({}, 'then', {
          get() {
            throw new Error('then');
          },
        }),
    ],
    [
      'a call',
      () => ({
        then() {
          throw new Error('then');
        },
      }),
    ],
    [
      "a promise's own call",
      () =>
        Object.assign(Promise.resolve({}), {
          then() {
            throw new Error('then');
          },
        }),
    ],
  ])('fail to open when their then throws from %s, and the pool goes on', async (_what, make) => {
    let calls = 0;
    const { pool } = poolOf<object>({ create: () => ((calls += 1) === 1 ? (make() as object) : {}) });
    const error = await failureOf(pool.acquire());
    expect([error.code, (error.cause as Error).message]).toEqual(['POOL_CREATE_FAILED', 'then']);
    expect(counts(pool)).toEqual({});
    (await pool.acquire()).release();
    expect(counts(pool)).toEqual({ idle: 1 });
  });
});

/* oxlint-enable unicorn/no-thenable */
describe('a pool on the system clock', () => {
  it('works, and an idle one leaves nothing that keeps the process alive', async () => {
    const pool = new ConnectionPool({ name: 'real', factory: { create: () => ({}) }, minConnections: 1 });
    await pool.start();
    expect(await pool.use(() => 'used')).toBe('used');
    await pool.close();
  });

  it('takes any other clock by its interface alone, timers without ref and unref too', async () => {
    const clock = new ManualClock();
    const bare: Clock = {
      now: () => clock.now(),
      setTimeout: (run, ms) => Object.assign({}, { timer: clock.setTimeout(run, ms) }) as ClockTimer,
      clearTimeout: (box) => clock.clearTimeout((box as { timer: ClockTimer }).timer),
    };
    const factory = { create: () => ({}) };
    const pool = new ConnectionPool({ name: 'bare', factory, clock: bare, maxConnections: 1 });
    await pool.acquire();
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 50 }));
    await clock.advance(50);
    expect(waiter.is).toBe('rejected');
    await pool.close({ timeoutMs: 0 });
    expect(clock.pendingTimers).toBe(0);
  });
});
