import { jest } from '@jest/globals';
import { inChild } from './child.js';

jest.setTimeout(30_000); // a child that hangs is killed, and tells so, before that

/** Ended by itself, with nothing left to do and nothing to say on stderr. */
const CLEAN = { code: 0, signal: null, stderr: '' };

describe('the life of the process that a pool lives in', () => {
  it.each(['reject', 'wait'])(
    'N03: creates that fail at once leave the event loop alive (onCreateError: %s)',
    async (onCreateError) => {
      const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      let creates = 0, ticks = 0;
      const create = () => { creates += 1; return Promise.reject(new Error('down')); };
      const pool = new ConnectionPool({
        name: 'failing', factory: { create }, minConnections: 2, acquireTimeoutMs: 100, onCreateError: '${onCreateError}',
      });
      const ticking = setInterval(() => (ticks += 1), 5);
      const error = await pool.acquire().catch((error) => error);
      await new Promise((resolve) => setTimeout(resolve, 300));
      tell({ hasError: error instanceof Error, isAlive: ticks > 10, isPaced: creates < 100 });
      clearInterval(ticking);
      await pool.close();
    `);
      expect(ending).toEqual({ ...CLEAN, told: [{ hasError: true, isAlive: true, isPaced: true }] });
    },
  );

  it('N11: a destroy that throws, with nobody there to catch it, is reported and the process lives', async () => {
    const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      const destroy = () => { throw new Error('half closed'); };
      const limits = { minConnections: 0, maxIdleTimeMs: 30 };
      const pool = new ConnectionPool({ name: 'p', factory: { create: () => ({}), destroy }, ...limits });
      pool.on('hookError', ({ hook, error }) => tell([hook, error.message]));
      (await pool.acquire()).release();
      await new Promise((resolve) => setTimeout(resolve, 100));
      tell(pool.stats().totalConnections);
      await pool.close();
    `);
    expect(ending).toEqual({ ...CLEAN, told: [['destroy', 'half closed'], 0] });
  });

  it('N15: a check that rejects is a failed check, and no unhandled rejection', async () => {
    const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      let made = 0;
      const factory = { create: () => (made += 1), isHealthy: () => Promise.reject(new Error('cannot ask')) };
      const pool = new ConnectionPool({ name: 'p', factory, minConnections: 0, maxConnections: 1, validateAfterIdleMs: 1 });
      (await pool.acquire()).release();
      await new Promise((resolve) => setTimeout(resolve, 20));
      tell((await pool.acquire()).connection);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await pool.close({ timeoutMs: 0 });
    `);
    expect(ending).toEqual({ ...CLEAN, told: [2] });
  });

  it('N20: a second release is a no-op that is told, and no crash', async () => {
    const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      const pool = new ConnectionPool({ name: 'p', factory: { create: () => ({}) }, minConnections: 0 });
      pool.on('misuse', ({ id }) => tell(['misuse', id]));
      const lease = await pool.acquire();
      lease.release();
      lease.release();
      await new Promise((resolve) => setTimeout(resolve, 20));
      tell(pool.stats().idleConnections);
      const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
      tell(a.info.id !== b.info.id);
      await pool.close({ timeoutMs: 0 });
    `);
    expect(ending).toEqual({ ...CLEAN, told: [['misuse', 1], 1, true] });
  });

  it('N42: a listener that throws, and one that rejects, cost no waiter and no process', async () => {
    const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      let isDown = true;
      const create = () => (isDown ? Promise.reject(new Error('down')) : {});
      const pool = new ConnectionPool({ name: 'p', factory: { create }, minConnections: 0 });
      for (const event of ['create', 'createError', 'acquire', 'release', 'destroy', 'hookError', 'state']) {
        pool.on(event, () => { throw new Error('in a listener of ' + event); });
        pool.on(event, async () => { throw new Error('in an async listener of ' + event); });
      }
      tell(await pool.acquire().catch((error) => error.code));
      isDown = false;
      (await pool.acquire()).release();
      tell(pool.stats().idleConnections);
      await pool.close();
      await new Promise((resolve) => setTimeout(resolve, 20));
    `);
    expect(ending).toEqual({ ...CLEAN, told: ['POOL_CREATE_FAILED', 1] });
  });

  it('N46: an idle pool lets the process end, though nobody closed it (X20)', async () => {
    const ending = await inChild(`
      import { ConnectionPool } from 'nestjs-pools/core';
      const factory = { create: () => ({}), isHealthy: () => true };
      const pool = new ConnectionPool({ name: 'p', factory, minConnections: 2, healthCheckIntervalMs: 20 });
      await pool.ready();
      (await pool.acquire()).release();
      await new Promise((resolve) => setTimeout(resolve, 100)); // its timer is set anew by nobody's wish but its own
      tell(pool.stats().idleConnections);
    `);
    expect(ending).toEqual({ ...CLEAN, told: [2] });
  });

  it('N50: a lease that lost a race and that nobody holds any more is taken back by the pool', async () => {
    const ending = await inChild(
      `
      import { ConnectionPool } from 'nestjs-pools/core';
      import { ManualClock } from 'nestjs-pools/testing';
      const clock = new ManualClock();
      let made = 0, open;
      const factory = { create: () => new Promise((resolve) => (open = () => resolve(++made))) };
      const pool = new ConnectionPool({ name: 'p', factory, clock, minConnections: 0, maxConnections: 1, reclaimLeaked: true });
      pool.on('reclaim', ({ id }) => tell(['reclaim', id]));
      const giveUp = async () => Promise.race([pool.acquire(), Promise.resolve('gave up')]);
      tell(await giveUp());
      open();
      await clock.advance(5_000);
      tell(pool.stats().activeConnections);
      for (let round = 0; round < 100 && pool.stats().leaksReclaimed === 0; round += 1) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const next = pool.acquire();
      await clock.advance(0);
      open();
      tell((await next).connection);
      tell(pool.stats().destroyed.leaked);
      await pool.close({ timeoutMs: 0 });
      `,
      { nodeFlags: ['--expose-gc'] },
    );
    expect(ending).toEqual({ ...CLEAN, told: ['gave up', 1, ['reclaim', 1], 2, 1] });
  });
});
