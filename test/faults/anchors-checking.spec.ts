import { counts, destroyedBy, failureOf, poolOf, record, rig, watch } from '../core/rig.js';

describe('checks and resets', () => {
  it('V09: a connection that fails its check on create is closed, not lent, and its place is free', async () => {
    const closed: unknown[] = [];
    let made = 0;
    const { pool, clock } = poolOf<number>(
      {
        create: ({ broken }) => {
          if ((made += 1) === 1) broken(new Error('not ready'));
          return made;
        },
        destroy: (one) => void closed.push(one),
      },
      { maxConnections: 1 },
    );
    expect((await failureOf(pool.acquire())).code).toBe('POOL_CREATE_FAILED');
    await clock.advance(0);
    expect([closed, (await pool.acquire()).connection]).toEqual([[1], 2]);
  });

  it('R02: resets that fail for all leave room for all', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2, hooks: ['reset'] });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    factory.hold('reset');
    for (const lease of leases) lease.release();
    for (const _ of leases) factory.next('reset').fail(new Error('cannot'));
    await clock.advance(0);
    expect([(await pool.acquire()).connection.id, counts(pool)]).toEqual([3, { active: 1 }]);
  });

  it('R03: a reset runs once for each return, and what fails it is seen by no borrower', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, hooks: ['reset'] });
    for (let round = 0; round < 3; round += 1) {
      (await pool.acquire()).release();
      await clock.advance(0);
    }
    expect(factory.log).toEqual(['create 1', 'reset 1', 'reset 1', 'reset 1']);
    factory.hold('reset');
    (await pool.acquire()).release();
    const next = watch(pool.acquire());
    factory.next('reset').fail(new Error('cannot'));
    await clock.advance(0);
    expect([next.is, next.value?.connection.id]).toEqual(['resolved', 2]);
  });

  it.each([
    ['true', () => true, 1],
    ['false', () => false, 2],
    ['an exception', () => JSON.parse('{') as boolean, 2],
    ['a rejection', () => Promise.reject(new Error('cannot ask')), 2],
  ])(
    'R04: a check that ends in %s lends or replaces, and the borrower sees no difference',
    async (_end, isHealthy, id) => {
      let made = 0;
      const { pool, clock } = poolOf<number>({ create: () => (made += 1), isHealthy }, { validateAfterIdleMs: 10 });
      (await pool.acquire()).release();
      await clock.advance(11);
      expect((await pool.acquire()).connection).toBe(id);
    },
  );

  it('R05: what comes back in the middle of something is destroyed by the reset that finds it so', async () => {
    const connection = { isInTransaction: false };
    const { pool, clock } = poolOf<typeof connection>({
      create: () => ({ isInTransaction: false }),
      reset: (own) => {
        if (own.isInTransaction) throw new Error('a transaction is open');
      },
    });
    await pool.use((own) => void (own.isInTransaction = true));
    await clock.advance(0);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { reset: 1 }]);
  });

  it('R06: what a borrower changed is as new for the next one', async () => {
    const { pool } = poolOf<{ schema: string }>(
      { create: () => ({ schema: 'public' }), reset: (own) => void (own.schema = 'public') },
      { maxConnections: 1 },
    );
    await pool.use((own) => void (own.schema = 'mine'));
    expect(await pool.use(({ schema }) => schema)).toBe('public');
  });

  it('R08: one that died in the hands of its borrower is not kept, and the pool goes on', async () => {
    const { pool, factory } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    factory.open[0]!.context.broken(new Error('reset by peer'));
    lease.release();
    expect([(await pool.acquire()).connection.id, destroyedBy(pool)]).toEqual([2, { broken: 1 }]);
  });
});

describe('destroying and giving back', () => {
  it('D04: a detached connection is out of the pool, not closed, and its place is free', async () => {
    const { pool, factory } = rig({ maxConnections: 1 });
    const own = (await pool.acquire()).detach();
    expect([own.id, counts(pool), pool.stats().detached]).toEqual([1, {}, 1]);
    expect((await pool.acquire()).connection.id).toBe(2);
    expect(factory.log).toEqual(['create 1', 'create 2']);
  });

  it('D06: slow closes and checks of which half fail never have more open than the maximum', async () => {
    let [alive, most, asked] = [0, 0, 0];
    const { pool, clock } = poolOf<object>(
      {
        create: () => {
          most = Math.max(most, (alive += 1));
          return {};
        },
        isHealthy: () => (asked += 1) % 2 === 0,
        destroy: async () => {
          await new Promise<void>((resolve) => void clock.setTimeout(resolve, 30));
          alive -= 1;
        },
      },
      { maxConnections: 3, validateAfterIdleMs: 0, acquireTimeoutMs: Infinity },
    );
    const work = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 5));
    const rest = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 20));
    const borrower = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        await pool.use(work);
        await rest();
      }
    };
    const all = watch(Promise.all(Array.from({ length: 4 }, borrower)));
    await clock.advance(5_000);
    expect([all.is, most]).toEqual(['resolved', 3]);
    expect(asked).toBeGreaterThan(5);
  });

  it('L03: a destroy after a release, and a release after a destroy, are told and do nothing', async () => {
    const { pool, clock } = rig();
    const log = record(pool);
    const first = await pool.acquire();
    first.release();
    first.destroy();
    const second = await pool.acquire();
    second.destroy();
    second.release();
    await clock.advance(0);
    expect(log.filter((line) => line.startsWith('misuse'))).toEqual(['misuse 1', 'misuse 1']);
    expect([counts(pool), destroyedBy(pool)]).toEqual([{}, { error: 1 }]);
  });
});
