import { AsyncLocalStorage } from 'node:async_hooks';
import { jest } from '@jest/globals';
import { ConnectionPool } from 'nestjs-pools/core';
import { counts, poolOf, rig, watch } from '../core/rig.js';

jest.setTimeout(60_000); // they are large, not slow: what they assert is no time

/** A pool on the real clock, whose connections cost nothing. */
function realPool(acquireTimeoutMs: number) {
  const factory = { create: () => ({}) };
  // No deadline but that of the waiters: another one could wake the pool before a timer that is set wrongly does.
  const limits = { minConnections: 0, maxConnections: 1, maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity };
  return new ConnectionPool({ name: 'on the real clock', factory, ...limits, maxWaiting: Infinity, acquireTimeoutMs });
}

describe('waiting', () => {
  it('N38: 50 000 that time out together do so in pieces: the event loop turns between them', async () => {
    const pool = realPool(50);
    await pool.acquire();
    let [turns, settled] = [0, 0];
    const turnsAt = new Set<number>();
    let immediate = setImmediate(function turn() {
      turns += 1;
      immediate = setImmediate(turn);
    });
    const waiters = Array.from({ length: 50_000 }, () =>
      pool.acquire().catch(() => {
        settled += 1;
        turnsAt.add(turns);
      }),
    );
    await Promise.all(waiters);
    clearImmediate(immediate);
    const left = counts(pool);
    await pool.close({ timeoutMs: 0 });
    expect([settled, left]).toEqual([50_000, { active: 1 }]);
    // All in one turn would be one entry, or two where the loop came round while they were being queued.
    expect(turnsAt.size).toBeGreaterThan(5);
  });

  it('N39: 200 000 through one connection are all served, each in its turn', async () => {
    const pool = realPool(Infinity);
    let [served, inOrder] = [0, 0];
    const all = Array.from({ length: 200_000 }, (_, index) =>
      pool.use(() => {
        if (served === index) inOrder += 1;
        served += 1;
      }),
    );
    await Promise.all(all);
    expect([served, inOrder, pool.stats().created]).toEqual([200_000, 200_000, 1]);
    await pool.close();
  });

  it('N40: those who timed out take no place in the queue and have nothing opened for them', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, maxWaiting: 2, acquireTimeoutMs: 10 });
    const lease = await pool.acquire();
    const late = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(10);
    expect(late.map(({ is }) => is)).toEqual(['rejected', 'rejected']);
    const next = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    expect(next.map(({ is }) => is)).toEqual(['pending', 'pending']);
    await clock.advance(10);
    lease.destroy();
    await clock.advance(0);
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'destroy 1'], {}]);
  });

  it('N41: 30 000 callbacks that release at once do not pile up on the stack', async () => {
    const { pool, clock } = poolOf<object>({ create: () => ({}) }, { maxConnections: 1, maxWaiting: Infinity });
    const lease = await pool.acquire();
    let served = 0;
    let deepest = 0;
    let depth = 0;
    for (let index = 0; index < 30_000; index += 1) {
      void pool.acquire().then((own) => {
        deepest = Math.max(deepest, (depth += 1));
        served += 1;
        own.release();
        depth -= 1;
      });
    }
    lease.release();
    await clock.advance(0);
    expect([served, deepest, counts(pool)]).toEqual([30_000, 1, { idle: 1 }]);
  });

  it('N41: nor do 30 000 returns, each made from inside the event that tells of the one before', async () => {
    const { pool } = rig({ maxConnections: 1 });
    let returns = 0;
    pool.on('release', () => {
      if ((returns += 1) < 30_000) pool.tryAcquire()!.release();
    });
    (await pool.acquire()).release();
    expect([returns, counts(pool)]).toEqual([30_000, { idle: 1 }]);
  });

  it('N44: a newcomer does not overtake who waits, not even while a connection is being closed', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('destroy');
    const order: string[] = [];
    const lease = await pool.acquire();
    void pool.use(() => void order.push('waiter'));
    lease.destroy();
    void pool.use(() => void order.push('newcomer'));
    factory.next('destroy').pass();
    await clock.advance(0);
    expect(order).toEqual(['waiter', 'newcomer']);
  });

  it('N48: each one who waited goes on in its own async context, not in that of whoever released', async () => {
    const request = new AsyncLocalStorage<number>();
    const { pool } = rig({ maxConnections: 1 });
    const seen: unknown[] = [];
    const borrow = (index: number): Promise<void> =>
      request.run(index, () =>
        pool.acquire().then((lease) => {
          seen.push(request.getStore());
          lease.release();
        }),
      );
    await Promise.all([1, 2, 3].map(borrow));
    expect(seen).toEqual([1, 2, 3]);
  });

  it('N49: work that waits for the pool whose every connection such work holds is told so at once', async () => {
    const { pool, clock } = rig({ maxConnections: 2, detectDeadlock: true });
    const nested = () => pool.use(() => pool.use(() => 'served'));
    const [one, two] = [watch(nested()), watch(nested())];
    await clock.advance(0); // no time passes
    const [first, second] = one.is === 'rejected' ? [one, two] : [two, one];
    expect(first.error).toMatchObject({ code: 'POOL_DEADLOCK', retryable: false });
    expect([second.value, counts(pool)]).toEqual(['served', { idle: 2 }]);
  });

  it('N50: a caller that gives up by its signal leaves the connection to the pool (A08, A10)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const controller = new AbortController();
    const acquiring = watch(pool.acquire({ signal: controller.signal }));
    clock.setTimeout(() => controller.abort(), 10);
    await clock.advance(10);
    factory.next('create').pass();
    await clock.advance(0);
    expect([acquiring.error, counts(pool)]).toMatchObject([{ code: 'POOL_ACQUIRE_ABORTED' }, { idle: 1 }]);
    expect((await pool.acquire()).connection.id).toBe(1);
  });

  it.each([3e9, Infinity])('N51: a deadline %p ms away is not one that has passed', async (acquireTimeoutMs) => {
    const pool = realPool(acquireTimeoutMs);
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    await new Promise((resolve) => setTimeout(resolve, 20)); // a timer that overflows fires after 1 ms
    expect(waiter.is).toBe('pending');
    lease.release();
    await pool.close({ timeoutMs: 0 });
    expect(waiter.is).toBe('resolved');
  });
});
