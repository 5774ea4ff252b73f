import { jest } from '@jest/globals';
import { ManualClock } from 'nestjs-pools/testing';
import { type Lease, ConnectionPool } from 'nestjs-pools/core';
import { counts, destroyedBy, failureOf, poolOf, rig, watch } from '../core/rig.js';
import { inChild } from './child.js';

jest.setTimeout(30_000); // a child that hangs is killed, and tells so, before that

/** Faults that other pools had and mended, in any language: see §3.3 of the research note. */
describe('bugs that other pools had', () => {
  it('P14: hundreds of pools in one process need a timer each at most, and keep their times', async () => {
    const clock = new ManualClock();
    const factory = { create: () => ({}), isHealthy: () => true };
    const pools = Array.from({ length: 300 }, (_, index) => {
      const limits = { minConnections: 1, maxConnections: 1, acquireTimeoutMs: 1_000 + index };
      return new ConnectionPool({ name: `tenant ${index}`, factory, clock, ...limits });
    });
    await Promise.all(pools.map((pool) => pool.acquire()));
    const lateness: number[] = [];
    for (const [index, pool] of pools.entries()) {
      // Less patient than what the pool's timer was set for at first: it is set anew, and the first one taken back.
      void pool.acquire({ acquireTimeoutMs: 500 + index }).catch(() => lateness.push(clock.now() - 500 - index));
    }
    expect(clock.pendingTimers).toBeLessThanOrEqual(300);
    await clock.advance(2_000);
    expect(lateness).toEqual(Array(300).fill(0));
    await Promise.all(pools.map((pool) => pool.close({ timeoutMs: 0 })));
    expect(clock.pendingTimers).toBe(0);
  });

  it('P15: hundreds of idle pools let the process end, though nobody closed them', async () => {
    const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      const factory = { create: () => ({}), isHealthy: () => true };
      const pools = Array.from({ length: 300 }, (_, index) => new ConnectionPool({ name: 'p' + index, factory }));
      await Promise.all(pools.map((pool) => pool.ready()));
      tell(pools.reduce((sum, pool) => sum + pool.stats().idleConnections, 0));
    `);
    expect(ending).toEqual({ code: 0, signal: null, stderr: '', told: [600] });
  });

  it('P16: a destroyed connection is let go of: the pool keeps nothing that keeps it in memory', async () => {
    const ending = await inChild(
      `
      import { ConnectionPool } from 'nestjs-pools/core';
      const made = [];
      const create = () => {
        const connection = { payload: new Uint8Array(1000) };
        made.push(new WeakRef(connection));
        return connection;
      };
      const pool = new ConnectionPool({ name: 'p', factory: { create }, minConnections: 0, maxConnections: 10 });
      const burst = async () => {
        const leases = await Promise.all(Array.from({ length: 10 }, () => pool.acquire()));
        for (const lease of leases) lease.release();
        for (const lease of await Promise.all(leases.map(() => pool.acquire()))) lease.destroy();
      };
      for (let round = 0; round < 10; round += 1) await burst();
      const left = () => made.filter((one) => one.deref() !== undefined).length;
      for (let round = 0; round < 200 && left() > 0; round += 1) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        globalThis.gc();
      }
      tell([made.length, left()]);
      await pool.close();
      `,
      { nodeFlags: ['--expose-gc'] },
    );
    expect(ending).toEqual({ code: 0, signal: null, stderr: '', told: [[100, 0]] });
  });

  it('P17: a deadline holds although the factory ignores its signal and takes its time (pg-pool)', async () => {
    const { pool, factory, clock } = rig({ acquireTimeoutMs: 100, createTimeoutMs: 100 });
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    expect(waiter.is).toBe('rejected');
    factory.next('create').pass();
    await clock.advance(200);
    expect(counts(pool)).toEqual({});
  });

  it('P18: by default neither the connections nor the queue grow without a bound (undici)', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const all = Array.from({ length: 20_000 }, () => watch(pool.acquire()));
    await clock.advance(0);
    const { maxConnections, waiting, refused, creatingConnections } = pool.stats();
    // A thousand may wait beyond the ten that are being opened.
    expect([creatingConnections, maxConnections, waiting, refused.full]).toEqual([10, 20, 1_010, 18_990]);
    await pool.close({ timeoutMs: 0 });
    expect(all.every(({ is }) => is === 'rejected')).toBe(true);
  });

  it('P19: a pool that lost all its connections at once does not stay empty (HikariCP 5.0.0)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 4, maxConnections: 4 });
    await pool.start();
    const held = await Promise.all([pool.acquire(), pool.acquire()]);
    const waiters = Array.from({ length: 6 }, () => watch(pool.use(({ id }) => id)));
    for (const { context } of factory.open.slice()) context.broken(new Error('failover'));
    for (const lease of held) lease.release();
    await clock.advance(1_000);
    expect([waiters.map(({ is }) => is), counts(pool)]).toEqual([Array(6).fill('resolved'), { idle: 4 }]);
  });

  it('P20: a failed create does not leave another acquire hanging (puddle 1.1.3)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, createRetry: { initialMs: 1e6, maxMs: 1e6 } });
    factory.hold('create');
    const [first, second] = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    factory.letPass('create');
    factory.next('create').fail(new Error('refused'));
    await clock.advance(0);
    expect([first.is, second.is]).toEqual(['rejected', 'resolved']);
  });

  it('P21: late connections do not take a pool over its maximum (puddle 2.2.1, deadpool 0.9.5)', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxConnections: 2, createTimeoutMs: 100 });
    factory.hold('create');
    void pool.start();
    await clock.advance(2_000); // time enough for several goes, each of which is given up
    expect(pool.stats().overdue).toBeGreaterThanOrEqual(4);
    let most = 0;
    while (factory.waiting('create') > 0) {
      factory.next('create').pass();
      await clock.advance(0);
      most = Math.max(most, factory.open.length);
    }
    expect(most).toBe(2);
    await clock.advance(0);
    expect([counts(pool), factory.open.length]).toEqual([{ idle: 2 }, 2]);
  });

  it('P22: resets that fail do not take a pool over its maximum (deadpool)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2, hooks: ['reset'] });
    for (let round = 0; round < 5; round += 1) {
      const leases = await Promise.all([pool.acquire(), pool.acquire()]);
      factory.hold('reset');
      for (const lease of leases) lease.release();
      factory.next('reset').fail(new Error('cannot'));
      factory.next('reset').fail(new Error('cannot'));
      await clock.advance(0);
    }
    expect([counts(pool), factory.open, destroyedBy(pool)]).toEqual([{}, [], { reset: 10 }]);
  });

  it('P23: a first connection that is no good does not block a pool of one (V07, POOL-152)', async () => {
    const { pool, clock } = poolOf<number>(
      {
        create: ({ attempt, broken }) => {
          if (attempt === 1) broken(new Error('greeting was wrong'));
          return attempt;
        },
      },
      { maxConnections: 1 },
    );
    await failureOf(pool.acquire());
    await clock.advance(0);
    expect([(await pool.acquire()).connection, counts(pool)]).toEqual([2, { active: 1 }]);
  });

  it('P24: a return that ends in a destroy wakes the one who waits (POOL-240)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, hooks: ['reset'] });
    factory.hold('reset');
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.release();
    factory.next('reset').fail(new Error('cannot'));
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(2);
  });

  it('P25: a pool that keeps nothing idle serves a crowd all the same (F08, POOL-356)', async () => {
    const { pool } = rig({ maxConnections: 3, maxUses: 1 });
    let served = 0;
    await Promise.all(Array.from({ length: 200 }, () => pool.use(() => (served += 1))));
    expect([served, pool.stats().created]).toEqual([200, 200]);
  });

  it('P26: an expired connection that is slow to close makes room at the time limit of a destroy (undici #5144)', async () => {
    const { pool, factory, clock } = rig({
      maxConnections: 1,
      maxLifetimeMs: 1_000,
      lifetimeJitter: 0,
      destroyTimeoutMs: 300,
    });
    factory.hold('destroy');
    (await pool.acquire()).release();
    await clock.advance(1_000);
    const waiter = watch(pool.acquire());
    await clock.advance(299);
    expect(waiter.is).toBe('pending');
    await clock.advance(1);
    expect(waiter.value?.connection.id).toBe(2);
  });

  it('P27: a connection opened for one who left does not hold up a close (puddle)', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('create');
    const waiter = watch(pool.acquire({ acquireTimeoutMs: 10 }));
    await clock.advance(10);
    expect([waiter.is, pool.tryAcquire()]).toEqual(['rejected', undefined]);
    const closing = watch(pool.close({ timeoutMs: Infinity }));
    factory.next('create').pass();
    await clock.advance(0);
    expect([closing.is, factory.open, counts(pool)]).toEqual(['resolved', [], {}]);
  });

  it('P28: a release within the turn of the hand-off goes to the next in line, not into a spin (HikariCP #1305)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const seen: number[] = [];
    const borrow = (lease: Lease<{ id: number }>, turns: number): void => {
      seen.push(lease.connection.id);
      lease.release();
      if (turns > 1) void pool.acquire().then((next) => borrow(next, turns - 1));
    };
    for (const _ of [1, 2]) void pool.acquire().then((lease) => borrow(lease, 500));
    await clock.advance(0);
    expect([seen.length, counts(pool)]).toEqual([1_000, { idle: 1 }]);
  });
});
