import { ConnectionPool } from 'nestjs-pools/core';
import { counts, failureOf, gate, poolOf, record, rig, watch } from './rig.js';

describe('stats()', () => {
  it('is a frozen snapshot, all the way down', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const failing = watch(pool.acquire());
    await clock.advance(0);
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    const stats = pool.stats();
    const parts = [stats, stats.destroyed, stats.acquired, stats.refused, stats.lastCreateError];
    expect([failing.is, parts.map((part) => Object.isFrozen(part))]).toEqual([
      'rejected',
      [true, true, true, true, true],
    ]);
    factory.letPass('create');
    await pool.acquire();
    expect([stats.activeConnections, pool.stats().activeConnections]).toEqual([0, 1]);
  });

  it('of a new pool says all there is', () => {
    const { pool } = rig({ minConnections: 1, maxConnections: 4 });
    const nothing = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
    expect(pool.stats()).toEqual({
      totalConnections: 0,
      idleConnections: 0,
      activeConnections: 0,
      creatingConnections: 0,
      checkingConnections: 0,
      destroyingConnections: 0,
      overdue: 0,
      waiting: 0,
      minConnections: 1,
      maxConnections: 4,
      utilization: 0,
      state: 'open',
      suspended: false,
      down: false,
      createFailuresInRow: 0,
      lastCreateError: undefined,
      created: 0,
      createFailed: 0,
      destroyed: {
        idle: 0,
        lifetime: 0,
        uses: 0,
        unhealthy: 0,
        broken: 0,
        reset: 0,
        error: 0,
        evicted: 0,
        leaked: 0,
        closed: 0,
      },
      acquired: { direct: 0, waited: 0 },
      released: 0,
      detached: 0,
      timedOut: 0,
      aborted: 0,
      refused: { full: 0, down: 0, closed: 0 },
      failed: 0,
      leakWarnings: 0,
      leaksReclaimed: 0,
      waitTimeMs: nothing,
      useTimeMs: nothing,
      createTimeMs: nothing,
    });
  });

  it('accounts for every acquire: lent directly or after a wait, timed out, aborted, refused (E05, E06)', async () => {
    const { pool, clock } = rig({ maxConnections: 1, maxWaiting: 3 });
    const controller = new AbortController();
    const first = await pool.acquire();
    first.release();
    const direct = await pool.acquire();
    const waiting = [
      watch(pool.acquire({ acquireTimeoutMs: 10 })),
      watch(pool.acquire({ signal: controller.signal })),
      watch(pool.acquire()),
      watch(pool.acquire()),
    ];
    await clock.advance(10);
    controller.abort();
    direct.release();
    await clock.advance(0);
    expect(waiting.map(({ is }) => is)).toEqual(['rejected', 'rejected', 'resolved', 'rejected']);
    const last = watch(pool.acquire());
    void pool.close({ timeoutMs: 0 });
    await failureOf(pool.acquire());
    expect(last.is).toBe('rejected');
    expect(pool.stats()).toMatchObject({
      acquired: { direct: 1, waited: 2 },
      timedOut: 1,
      aborted: 1,
      refused: { full: 1, closed: 2 },
      released: 2,
    });
  });

  it('tells how much of the pool is in use', async () => {
    const { pool } = rig({ maxConnections: 4 });
    await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    expect(pool.stats().utilization).toBe(0.75);
  });

  it('tells the last create error by class, code and time, without its message', async () => {
    class UpstreamError extends Error {
      override name = 'UpstreamError';
      code = 'E_DOWN';
    }
    const { pool, clock } = poolOf<object>({ create: () => Promise.reject(new UpstreamError('password sesame')) });
    await clock.advance(100);
    await failureOf(pool.acquire());
    await clock.advance(2_000);
    expect(pool.stats().lastCreateError).toEqual({ name: 'UpstreamError', code: 'E_DOWN', at: 100, agoMs: 2_000 });
    expect(JSON.stringify(pool.stats())).not.toContain('sesame');
  });

  it('counts failures in a row until a create succeeds', async () => {
    const { pool, factory, clock } = rig({ downAfter: Infinity });
    factory.hold('create');
    for (const expected of [1, 2, 3]) {
      const failing = watch(pool.acquire());
      await clock.advance(0);
      factory.next('create').fail(new Error('refused'));
      await clock.advance(0);
      expect([failing.is, pool.stats().createFailuresInRow]).toEqual(['rejected', expected]);
    }
    factory.letPass('create');
    await pool.acquire();
    expect(pool.stats()).toMatchObject({ createFailuresInRow: 0, createFailed: 3, created: 1 });
  });
});

describe('events', () => {
  it('tell a life from start to end, each once, with its id, in order (E01, E04)', async () => {
    const { pool, clock } = rig({ maxIdleTimeMs: 1_000 });
    const log = record(pool);
    (await pool.acquire()).release();
    await clock.advance(1_000);
    expect(log).toEqual(['create 1', 'acquire 1', 'release 1', 'destroy 1 idle']);
  });

  it('tell how long things took', async () => {
    const { pool, factory, clock } = rig();
    const told: unknown[] = [];
    pool.on('create', (event) => told.push(['create', event]));
    pool.on('acquire', (event) => told.push(['acquire', event]));
    pool.on('release', (event) => told.push(['release', event]));
    factory.hold('create');
    const acquiring = pool.acquire();
    await clock.advance(30);
    factory.next('create').pass();
    const lease = await acquiring;
    await clock.advance(12);
    lease.release();
    expect(told).toEqual([
      ['create', { id: 1, tookMs: 30 }],
      ['acquire', { id: 1, waitedMs: 30 }],
      ['release', { id: 1, usedMs: 12 }],
    ]);
  });

  it('tell failures: of a create with its number in the row, of a timeout, of a refusal (E03, C01)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, maxWaiting: 0 });
    const told: unknown[] = [];
    pool.on('createError', ({ error, inRow, tookMs }) => told.push([(error as Error).message, inRow, tookMs]));
    pool.on('timeout', (event) => told.push(event));
    pool.on('refuse', (event) => told.push(event));
    factory.hold('create');
    for (const message of ['first', 'second']) {
      const failing = watch(pool.acquire());
      await clock.advance(10);
      factory.next('create').fail(new Error(message));
      await clock.advance(0);
      expect(failing.is).toBe('rejected');
    }
    const slow = watch(pool.acquire({ acquireTimeoutMs: 5 }));
    const refused = watch(pool.acquire());
    await clock.advance(5);
    expect([slow.is, refused.is]).toEqual(['rejected', 'rejected']);
    expect(told).toEqual([['first', 1, 10], ['second', 2, 10], { because: 'full' }, { waitedMs: 5 }]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
    ['rejects', () => Promise.reject(new Error('mine'))],
  ])('isolate a listener that %s: the acquire and the other listeners go on (N42, E02)', async (_what, bad) => {
    const { pool, clock } = rig();
    const told: string[] = [];
    const failures: unknown[] = [];
    pool.on('hookError', ({ hook, id, error }) => failures.push([hook, id, (error as Error).message]));
    pool.on('acquire', bad);
    pool.on('acquire', () => told.push('second listener'));
    expect((await pool.acquire()).connection.id).toBe(1);
    await clock.advance(0);
    expect([told, failures]).toEqual([['second listener'], [['listener', undefined, 'mine']]]);
  });

  it('survive a listener for errors that itself throws', async () => {
    const { pool } = rig();
    const bad = (): never => {
      throw new Error('mine');
    };
    pool.on('acquire', bad);
    pool.on('hookError', bad);
    (await pool.acquire()).release();
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('are told until the listener is taken off, which may be done twice', async () => {
    const { pool } = rig();
    let told = 0;
    const stop = pool.on('acquire', () => (told += 1));
    (await pool.acquire()).release();
    stop();
    stop();
    (await pool.acquire()).release();
    expect(told).toBe(1);
  });

  it('are told once for each time that a function listens', async () => {
    const { pool } = rig();
    let told = 0;
    const listener = (): void => void (told += 1);
    const stop = pool.on('acquire', listener);
    pool.on('acquire', listener);
    (await pool.acquire()).release();
    stop();
    (await pool.acquire()).release();
    expect(told).toBe(3);
  });

  it('are not told to a listener that another one has just taken off, nor without an end to ones added meanwhile', async () => {
    const { pool } = rig();
    const told: string[] = [];
    const again = (): void => {
      told.push('again');
      pool.on('acquire', again);
    };
    pool.on('acquire', () => stop());
    const stop = pool.on('acquire', () => told.push('taken off'));
    pool.on('acquire', again);
    await pool.acquire();
    expect(told).toEqual(['again']);
    await pool.acquire();
    expect(told).toEqual(['again', 'again', 'again']);
  });

  it('never come from inside a transition: a listener sees the state whole (invariant 13)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const seen: unknown[] = [];
    pool.on('release', () => seen.push(['release', counts(pool)]));
    pool.on('destroy', () => seen.push(['destroy', counts(pool)]));
    pool.on('acquire', () => seen.push(['acquire', counts(pool)]));
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.release();
    await clock.advance(0);
    waiter.value!.destroy();
    await clock.advance(0);
    expect(seen).toEqual([
      ['acquire', { active: 1 }],
      ['release', { active: 1 }],
      ['acquire', { active: 1 }],
      ['release', { destroying: 1 }],
      ['destroy', { destroying: 1 }],
    ]);
  });

  it('let a listener of a timeout acquire again, without starving the other deadlines', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 10 });
    await pool.acquire();
    const again: { is: string }[] = [];
    pool.on('timeout', () => {
      if (again.length < 3) again.push(watch(pool.acquire()));
    });
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(10);
    expect([waiters.map(({ is }) => is), again.map(({ is }) => is)]).toEqual([
      ['rejected', 'rejected'],
      ['pending', 'pending'],
    ]);
    await clock.advance(10);
    expect(again.map(({ is }) => is)).toEqual(['rejected', 'rejected', 'pending']);
  });

  it('cost nothing that grows: a million acquires with nobody listening keep no state', async () => {
    const pool = new ConnectionPool({ name: 'quiet', factory: { create: () => ({}) }, minConnections: 0 });
    const first = gate<void>();
    void pool.acquire().then((lease) => {
      lease.release();
      first.open();
    });
    await first.promise;
    for (let round = 0; round < 100_000; round += 1) pool.tryAcquire()!.release();
    expect(counts(pool)).toEqual({ idle: 1 });
    await pool.close();
  });
});
