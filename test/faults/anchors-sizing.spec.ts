import { counts, destroyedBy, poolOf, rig, watch } from '../core/rig.js';

/** Cases from the test suites of other pools: §4 of the research note, by its numbers. Those not here are in test/core. */
describe('sizing', () => {
  it.each([
    ['a value', (made: number) => made],
    ['a promise', (made: number) => Promise.resolve(made)],
  ])('S03: n acquires open n connections, where create yields %s', async (_what, yields) => {
    let made = 0;
    const { pool } = poolOf<number>({ create: () => yields((made += 1)) }, { maxConnections: 5 });
    const leases = await Promise.all(Array.from({ length: 5 }, () => pool.acquire()));
    expect([leases.map(({ connection }) => connection), made]).toEqual([[1, 2, 3, 4, 5], 5]);
  });

  it('S04: one acquire more than there may be connections waits', async () => {
    const { pool, clock } = rig({ maxConnections: 3 });
    const all = Array.from({ length: 4 }, () => watch(pool.acquire()));
    await clock.advance(0);
    expect([all.map(({ is }) => is).at(-1), counts(pool)]).toEqual(['pending', { active: 3, waiting: 1 }]);
  });

  it('S06: a hundred tasks that borrow a hundred times each open one connection, where one is the maximum', async () => {
    const { pool } = rig({ maxConnections: 1 });
    const task = async (): Promise<void> => {
      for (let loop = 0; loop < 100; loop += 1) await pool.use(() => undefined);
    };
    await Promise.all(Array.from({ length: 100 }, task));
    expect([pool.stats().created, counts(pool)]).toEqual([1, { idle: 1 }]);
  });

  it('S07: twenty who hold theirs for long never have more than the maximum opened', async () => {
    const { pool, clock } = rig({ maxConnections: 4 });
    const hold = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 500));
    const all = watch(Promise.all(Array.from({ length: 20 }, () => pool.use(hold))));
    await clock.advance(2_500);
    expect([all.is, pool.stats().created]).toEqual(['resolved', 4]);
  });

  it('S09: what was given back is lent again', async () => {
    const { pool, factory } = rig();
    for (let round = 0; round < 3; round += 1) (await pool.acquire()).release();
    expect([factory.log, pool.stats().acquired]).toEqual([['create 1'], { direct: 2, waited: 1 }]);
  });

  it('S10: a minimum of n is opened without an acquire', async () => {
    const { pool } = rig({ minConnections: 3 });
    await pool.start();
    expect(counts(pool)).toEqual({ idle: 3 });
  });

  it('S14: ready() ends when the minimum is there, and rejects at its deadline or at a close', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    factory.hold('create');
    const waiters = [100, Infinity].map((timeoutMs) => watch(pool.ready({ timeoutMs })));
    await clock.advance(100);
    factory.next('create').pass();
    await clock.advance(0);
    expect(waiters.map(({ is }) => is)).toEqual(['rejected', 'pending']);
    factory.next('create').pass();
    await clock.advance(0);
    expect(waiters[1]!.is).toBe('resolved');
    const other = rig({ minConnections: 1 });
    other.factory.hold('create');
    const left = watch(other.pool.ready());
    await other.pool.close({ timeoutMs: 0 });
    expect(left.error).toMatchObject({ code: 'POOL_CLOSED' });
  });

  it('S15: without a minimum nothing is opened until the first acquire', async () => {
    const { pool, factory, clock } = rig({ minConnections: 0 });
    await pool.start();
    await clock.advance(60_000);
    expect(factory.log).toEqual([]);
    await pool.acquire();
    expect(factory.log).toEqual(['create 1']);
  });

  it('S17: under a load of n the size settles at n, and goes back to the minimum when idle', async () => {
    const { pool, clock } = rig({ minConnections: 2, maxConnections: 50, maxIdleTimeMs: 1_000 });
    const work = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 10));
    const borrower = async (): Promise<void> => {
      for (let round = 0; round < 20; round += 1) await pool.use(work);
    };
    const all = watch(Promise.all(Array.from({ length: 12 }, borrower)));
    await clock.advance(100);
    expect(pool.stats().totalConnections).toBe(12);
    await clock.advance(3_000);
    expect([all.is, counts(pool), destroyedBy(pool)]).toEqual(['resolved', { idle: 2 }, { idle: 10 }]);
  });

  it('S20: with a maximum of 0 everybody waits, and is served when it grows', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    (await pool.acquire()).release();
    pool.resize({ maxConnections: 0 });
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['pending', { waiting: 1 }]);
    pool.resize({ maxConnections: 1 });
    await clock.advance(0);
    expect([waiter.is, counts(pool)]).toEqual(['resolved', { active: 1 }]);
  });
});

describe('the order of those who wait and of what lies idle', () => {
  it('O03: ten of high priority go before ten of low, each ten in their own order', async () => {
    const { pool } = rig({ maxConnections: 1 });
    const order: string[] = [];
    const first = await pool.acquire();
    const ask = (priority: number) =>
      Array.from({ length: 10 }, (_, index) => pool.use(() => void order.push(`${priority}.${index}`), { priority }));
    const all = [...ask(0), ...ask(9)];
    first.release();
    await Promise.all(all);
    const ten = (priority: number) => Array.from({ length: 10 }, (_, index) => `${priority}.${index}`);
    expect(order).toEqual([...ten(9), ...ten(0)]);
  });

  it('O08: those who ask in one tick are served in the order of their calls', async () => {
    const { pool, clock } = rig({ maxConnections: 2, maxCreating: 1 });
    const order: number[] = [];
    for (const index of [1, 2, 3, 4]) void pool.use(() => void order.push(index));
    await clock.advance(0);
    expect(order).toEqual([1, 2, 3, 4]);
  });

  it.each(['lifo', 'fifo'] as const)('O11: what has been idle longest ends first (%s)', async (order) => {
    const { pool, factory, clock } = rig({ order, maxIdleTimeMs: 100 });
    const leases = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const index of [1, 0, 2]) {
      leases[index]!.release();
      await clock.advance(10);
    }
    await clock.advance(200);
    expect(factory.log.slice(3)).toEqual(['destroy 2', 'destroy 1', 'destroy 3']);
  });
});

describe('a change of size', () => {
  it('Z01: a shrink ends idle ones at once and held ones when they come back', async () => {
    const { pool, clock } = rig({ maxConnections: 4 });
    const leases = await Promise.all(Array.from({ length: 4 }, () => pool.acquire()));
    leases.pop()!.release();
    pool.resize({ maxConnections: 1 });
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{ active: 3 }, { evicted: 1 }]);
    leases.pop()!.release();
    leases.pop()!.release();
    await clock.advance(0);
    expect([counts(pool), leases[0]!.signal.aborted]).toEqual([{ active: 1 }, false]);
    leases.pop()!.release();
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('Z02: 2, then 0, then 5 loses nobody, and the counts stay exact', async () => {
    const { pool, clock } = rig({ maxConnections: 2 });
    const [a, b] = await Promise.all([pool.acquire(), pool.acquire()]);
    const waiters = Array.from({ length: 4 }, () => watch(pool.acquire()));
    pool.resize({ maxConnections: 0 });
    a.release();
    b.release();
    await clock.advance(0);
    expect([counts(pool), pool.stats().maxConnections]).toEqual([{ waiting: 4 }, 0]);
    pool.resize({ maxConnections: 5 });
    await clock.advance(0);
    expect([waiters.map(({ is }) => is), counts(pool)]).toEqual([Array(4).fill('resolved'), { active: 4 }]);
  });

  it('Z03: growth keeps what there is and opens none that nobody needs', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.release();
    pool.resize({ maxConnections: 6 });
    await clock.advance(0);
    expect([counts(pool), factory.log]).toEqual([{ idle: 2 }, ['create 1', 'create 2']]);
    const again = await Promise.all([pool.acquire(), pool.acquire()]);
    expect(new Set(again.map(({ connection }) => connection.id))).toEqual(new Set([1, 2]));
  });

  it('Z04: one who waits is served by the growth, not by the next return', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    await pool.acquire();
    const waiter = watch(pool.acquire());
    pool.resize({ maxConnections: 2 });
    await clock.advance(0);
    expect([waiter.value?.connection.id, counts(pool)]).toEqual([2, { active: 2 }]);
  });

  it('Z05: a new minimum is opened at once, and kept from then on', async () => {
    const { pool, clock } = rig({ minConnections: 1, maxConnections: 4, maxIdleTimeMs: 100 });
    await pool.start();
    pool.resize({ minConnections: 3 });
    await clock.advance(1_000);
    expect(counts(pool)).toEqual({ idle: 3 });
    pool.resize({ minConnections: 0 });
    await clock.advance(1_000);
    expect(counts(pool)).toEqual({});
  });
});
