import { AsyncLocalStorage } from 'node:async_hooks';
import { counts, failureOf, gate, poolOf, record, rig, watch } from '../core/rig.js';

const refused = (): Error => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });

describe('a create that goes wrong', () => {
  it('N01: never settling, it costs its borrower one deadline and the pool no place', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 100, createTimeoutMs: 300 });
    factory.hold('create');
    const first = watch(pool.acquire());
    await clock.advance(99);
    expect(first.is).toBe('pending');
    await clock.advance(1);
    expect(first.error).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    await clock.advance(200);
    const hanging = factory.next('create');
    expect(counts(pool)).toEqual({ overdue: 1 });
    factory.letPass('create');
    expect((await pool.acquire()).connection.id).toBe(2);
    hanging.pass(); // for nobody: the place is taken by now
    await clock.advance(0);
    expect([factory.log, counts(pool)]).toEqual([['create 1', 'create 2', 'destroy 1'], { active: 1 }]);
  });

  it('N04: failing after I/O for a hundred waiters, it is tried a hundred times at most and each of them is told', async () => {
    let creates = 0;
    const { pool, clock } = poolOf<object>({
      create: async () => {
        creates += 1;
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 5));
        throw refused();
      },
    });
    const waiters = Array.from({ length: 100 }, () => watch(pool.acquire()));
    await clock.advance(1_000);
    expect(waiters.map(({ is }) => is)).toEqual(Array<string>(100).fill('rejected'));
    for (const { error } of waiters) expect(error).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    expect(creates).toBeLessThanOrEqual(100);
    expect(counts(pool)).toEqual({});
  });

  it('N05: its error reaches the caller as the cause, the same object', async () => {
    const mine = refused();
    const { pool } = poolOf<object>({ create: () => Promise.reject(mine) });
    const error = await failureOf(pool.acquire());
    expect([error.code, error.cause]).toEqual(['POOL_CREATE_FAILED', mine]);
    expect(error.cause).toBe(mine);
  });

  it('N06: throwing instead of rejecting, it is a rejection all the same, and the next acquire is served', async () => {
    let creates = 0;
    const { pool } = poolOf(
      {
        create: () => {
          if ((creates += 1) === 1) throw refused();
          return creates;
        },
      },
      { maxConnections: 1 },
    );
    let acquiring: Promise<unknown> = Promise.resolve();
    expect(() => (acquiring = pool.acquire())).not.toThrow();
    expect((await failureOf(acquiring)).cause).toMatchObject({ code: 'ECONNREFUSED' });
    expect([(await pool.acquire()).connection, counts(pool)]).toEqual([2, { active: 1 }]);
  });

  it('N07: throwing while the minimum is opened, it harms neither the constructor nor start()', async () => {
    let isDown = true;
    const make = () =>
      poolOf<object>(
        {
          create: () => {
            if (isDown) throw refused();
            return {};
          },
        },
        { minConnections: 2, createRetry: { maxMs: 1_000 } },
      );
    expect(make).not.toThrow();
    const { pool, clock } = make();
    await pool.start();
    expect(counts(pool)).toEqual({});
    isDown = false;
    await clock.advance(1_000);
    expect(counts(pool)).toEqual({ idle: 2 });
  });

  it.each([undefined, null])(
    'N08: yielding %p, it is a failed create; nothing of the kind is ever lent',
    async (none) => {
      const { pool } = poolOf<unknown>({ create: () => Promise.resolve(none) });
      const error = await failureOf(pool.acquire());
      expect([error.code, (error.cause as Error).name, counts(pool)]).toEqual(['POOL_CREATE_FAILED', 'TypeError', {}]);
    },
  );

  it('N09: rejecting without a reason, it is still an error that says so', async () => {
    // oxlint-disable-next-line prefer-promise-reject-errors
    const { pool } = poolOf<object>({ create: () => Promise.reject(undefined) });
    const error = await failureOf(pool.acquire());
    expect(error.code).toBe('POOL_CREATE_FAILED');
    expect(error.cause).toBeInstanceOf(Error);
  });

  it('N10: yielding a connection that is lent already, it is refused: two borrowers never share one', async () => {
    const only = {};
    const { pool } = poolOf<object>({ create: () => only });
    const lease = await pool.acquire();
    expect((await failureOf(pool.acquire())).code).toBe('POOL_CREATE_FAILED');
    expect([lease.connection === only, lease.signal.aborted, counts(pool)]).toEqual([true, false, { active: 1 }]);
  });

  it('N35: failing at the first fills of the minimum, it is tried again until the minimum is there', async () => {
    let [isDown, creates] = [true, 0];
    const create = async (): Promise<object> => {
      creates += 1;
      if (isDown) throw refused();
      return {};
    };
    // No other time limit that could wake the pool for it.
    const limits = { minConnections: 3, createTimeoutMs: Infinity, createRetry: { maxMs: 1_000 } };
    const { pool, clock } = poolOf<object>({ create }, limits);
    const [started, ready] = [watch(pool.start()), watch(pool.ready({ timeoutMs: Infinity }))];
    await clock.advance(10_000);
    expect([started.is, ready.is, counts(pool)]).toEqual(['resolved', 'pending', {}]);
    expect(creates).toBeGreaterThan(5);
    isDown = false;
    await clock.advance(1_000);
    expect([ready.is, counts(pool)]).toEqual(['resolved', { idle: 3 }]);
  });

  it('N35b: the minimum is filled again after every one of it was destroyed, with no other traffic', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2 });
    await pool.start();
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (const lease of leases) lease.destroy();
    await clock.advance(0);
    expect([counts(pool), factory.open.map(({ id }) => id)]).toEqual([{ idle: 2 }, [3, 4]]);
  });

  it('N45: late, and its connection refusing to close, it is reported and not thrown at the process', async () => {
    const creating = gate<object>();
    const { pool, clock } = poolOf<object>(
      { create: () => creating.promise, destroy: () => Promise.reject(new Error('half closed')) },
      { createTimeoutMs: 100 },
    );
    const log = record(pool);
    const waiter = watch(pool.acquire());
    await clock.advance(100);
    creating.open({});
    await clock.advance(0); // the leak guard fails this file for a rejection that nobody handles
    expect([waiter.is, log.at(-1), counts(pool)]).toEqual(['rejected', 'hookError 1', {}]);
  });

  it("N47: it runs outside of the request's async context, so a connection holds no request", async () => {
    const request = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const see = (): object => {
      seen.push(request.getStore());
      return {};
    };
    const { pool, clock } = poolOf<object>(
      {
        create: async () => {
          see();
          await Promise.resolve();
          return see();
        },
        reset: () => void see(),
        destroy: () => void see(),
      },
      { maxConnections: 1 },
    );
    await request.run('mine', async () => {
      const lease = await pool.acquire();
      lease.release();
      (await pool.acquire()).destroy();
      expect(request.getStore()).toBe('mine');
    });
    await clock.advance(0);
    expect(seen).toEqual(Array(4).fill(undefined));
  });

  it('N52: asked for by 500 cold acquires, it runs ten at a time, and all are served', async () => {
    let [now, most, made] = [0, 0, 0];
    const { pool, clock } = poolOf<object>(
      {
        create: async () => {
          most = Math.max(most, (now += 1));
          await new Promise<void>((resolve) => void clock.setTimeout(resolve, 10));
          now -= 1;
          made += 1;
          return {};
        },
      },
      { maxConnections: 100 },
    );
    const work = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 50));
    const all = watch(Promise.all(Array.from({ length: 500 }, () => pool.use(work))));
    await clock.advance(2_000);
    expect([all.is, most]).toEqual(['resolved', 10]);
    expect(made).toBeLessThanOrEqual(100);
  });
});
