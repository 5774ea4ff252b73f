import { EventEmitter } from 'node:events';
import { jest } from '@jest/globals';
import { ConnectionPool } from 'nestjs-pools/core';
import { counts, destroyedBy, poolOf, record, rig } from '../core/rig.js';

describe('a connection given back twice, or with its end', () => {
  it('N21: a stale release gives no second borrower the connection that somebody holds', async () => {
    const { pool, clock } = rig({ maxConnections: 2 });
    const log = record(pool);
    const a = await pool.acquire();
    a.release();
    const b = await pool.acquire();
    a.release();
    const c = await pool.acquire();
    expect([b.connection.id, c.connection.id, counts(pool)]).toEqual([1, 2, { active: 2 }]);
    await clock.advance(0);
    expect(log.filter((line) => line.startsWith('misuse'))).toEqual(['misuse 1']);
  });

  it('N22: a release in finally after a destroy brings nothing back from the dead', async () => {
    const { pool, factory } = rig({ maxConnections: 1 });
    factory.hold('destroy');
    const lease = await pool.acquire();
    try {
      lease.destroy();
    } finally {
      lease.release();
    }
    const next = pool.acquire();
    expect(counts(pool)).toEqual({ destroying: 1, waiting: 1 });
    factory.next('destroy').pass();
    expect((await next).connection.id).toBe(2);
  });

  it('N23: a connection destroyed twice is closed once', async () => {
    const { pool, factory, clock } = rig();
    const lease = await pool.acquire();
    lease.destroy();
    lease.destroy();
    await clock.advance(0);
    expect([factory.log, counts(pool), destroyedBy(pool)]).toEqual([['create 1', 'destroy 1'], {}, { error: 1 }]);
  });

  it.each([
    ['throws', () => JSON.parse('{') as unknown, 'SyntaxError'],
    ['rejects', () => Promise.reject(new RangeError('mine')), 'RangeError'],
    ['returns a plain value', () => 42, 42],
    ['returns a promise', () => Promise.resolve(42), 42],
  ])('N24: work that %s has its connection given back (L07)', async (_how, work, expected) => {
    const { pool } = rig({ maxConnections: 1 });
    const outcome = await pool.use(work).catch((error: Error) => error.name);
    expect([outcome, counts(pool)]).toEqual([expected, { idle: 1 }]);
  });
});

describe('a connection that dies or grows old', () => {
  it('N13: eight in a row that are slow to close are never more than two alive at a time', async () => {
    let [alive, most] = [0, 0];
    const { pool, clock } = poolOf<object>(
      {
        create: () => {
          most = Math.max(most, (alive += 1));
          return {};
        },
        destroy: async () => {
          await new Promise<void>((resolve) => void clock.setTimeout(resolve, 400));
          alive -= 1;
        },
      },
      { maxConnections: 2 },
    );
    const all = Promise.all(Array.from({ length: 8 }, () => pool.acquire().then((lease) => lease.destroy())));
    await clock.advance(1_200);
    await all;
    expect([most, pool.stats().created]).toEqual([2, 8]);
  });

  it('N33: one that dies idle leaves at once when its owner says so, and is never lent', async () => {
    const { pool, factory, clock } = rig({ minConnections: 1, maxConnections: 1 });
    await pool.start();
    factory.open[0]!.context.broken(new Error('reset by peer'));
    expect(counts(pool)).not.toHaveProperty('idle');
    await clock.advance(1_000);
    expect([(await pool.acquire()).connection.id, destroyedBy(pool)]).toEqual([2, { broken: 1 }]);
  });

  it('N34: one whose error event nobody else hears ends in the pool, not in an uncaught exception', async () => {
    const { pool, clock } = poolOf<EventEmitter>({
      create: ({ broken }) => new EventEmitter().on('error', broken),
    });
    const lease = await pool.acquire();
    const { connection } = lease;
    lease.release();
    connection.emit('error', new Error('while idle'));
    connection.emit('error', new Error('after its end'));
    await clock.advance(0);
    const other = await pool.acquire();
    expect([other.connection === connection, destroyedBy(pool)]).toEqual([false, { broken: 1 }]);
    other.connection.emit('error', new Error('while lent'));
    expect(other.signal.aborted).toBe(true);
  });

  it('N36: an idle minimum stays as it is: nothing is closed in order to be opened again', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxIdleTimeMs: 100, maxLifetimeMs: Infinity });
    await pool.start();
    const extra = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const lease of extra) lease.release();
    await clock.advance(10_000);
    expect(factory.log.filter((line) => line.startsWith('create'))).toEqual(['create 1', 'create 2', 'create 3']);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ idle: 2 }, { idle: 1 }]);
  });

  it.each([3_600_000, -3_600_000])(
    'N37: a system clock that leaps by %p ms ends no connection and no wait',
    async (leap) => {
      let made = 0;
      const pool = new ConnectionPool({
        name: 'on the system clock',
        // A leap forward looks like a machine that slept: it may cost a check, and nothing else.
        factory: { create: () => (made += 1), isHealthy: () => true },
        minConnections: 0,
        maxConnections: 1,
        maxIdleTimeMs: 60_000,
        maxLifetimeMs: 60_000,
        validateAfterIdleMs: 60_000,
      });
      const wallClock = jest.spyOn(Date, 'now');
      try {
        (await pool.acquire()).release();
        const later = Date.now() + leap;
        wallClock.mockImplementation(() => later);
        const lease = await pool.acquire();
        const waiter = pool.acquire();
        await new Promise((resolve) => setImmediate(resolve));
        lease.release();
        expect([lease.info.id, (await waiter).connection, destroyedBy(pool)]).toEqual([1, 1, {}]);
      } finally {
        wallClock.mockRestore();
        await pool.close({ timeoutMs: 0 });
      }
    },
  );

  it('N53: twenty opened together do not end together, though their lifetime is a second', async () => {
    const { pool, clock } = rig({ maxLifetimeMs: 1_000 });
    const ends: number[] = [];
    pool.on('destroy', ({ cause }) => cause === 'lifetime' && ends.push(clock.now()));
    const leases = await Promise.all(Array.from({ length: 20 }, () => pool.acquire()));
    for (const lease of leases) lease.release();
    await clock.advance(1_000);
    expect(ends).toHaveLength(20);
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(900);
    // Twenty random times within 100 ms: all within 30 of them happens once in 10⁸ runs.
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(30);
  });
});
