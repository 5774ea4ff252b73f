import { AsyncLocalStorage } from 'node:async_hooks';
import { LeaseReleasedError } from 'nestjs-pools/core';
import { counts, destroyedBy, poolOf, record, rig, watch } from './rig.js';

describe('invariant 2: a connection is in exactly one place', () => {
  it('comes back by release, is closed by destroy, is let go by detach', async () => {
    const { pool, factory, clock } = rig();
    const [a, b, c] = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
    a.release();
    b.destroy('dirty');
    expect(c.detach().id).toBe(3);
    await clock.advance(0);
    expect([counts(pool), factory.open.map(({ id }) => id)]).toEqual([{ idle: 1 }, [1, 3]]);
    expect(pool.stats()).toMatchObject({ created: 3, released: 2, detached: 1, destroyed: { error: 1 } });
    await pool.close();
    expect(factory.open.map(({ id }) => id)).toEqual([3]);
  });

  it('is exact in the counts after every step (S08)', async () => {
    const { pool } = rig({ maxConnections: 3 });
    const seen = [];
    const leases = [];
    for (let index = 0; index < 3; index += 1) {
      leases.push(await pool.acquire());
      seen.push(counts(pool));
    }
    for (const lease of leases) {
      lease.release();
      seen.push(counts(pool));
    }
    expect(seen).toEqual([
      { active: 1 },
      { active: 2 },
      { active: 3 },
      { idle: 1, active: 2 },
      { idle: 2, active: 1 },
      { idle: 3 },
    ]);
  });

  it('makes room when it is destroyed: the waiter gets a new one (D01)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const lease = await pool.acquire();
    const waiter = watch(pool.acquire());
    lease.destroy();
    await clock.advance(0);
    expect(waiter.value?.connection.id).toBe(2);
  });

  it('is counted until its destroy has ended (D05)', async () => {
    const { pool, factory, clock } = rig();
    factory.hold('destroy');
    (await pool.acquire()).destroy();
    expect(counts(pool)).toEqual({ destroying: 1 });
    factory.next('destroy').pass();
    await clock.advance(0);
    expect(counts(pool)).toEqual({});
  });

  it('tells why it was destroyed', async () => {
    const { pool } = rig();
    const told: unknown[] = [];
    pool.on('destroy', (event) => told.push(event));
    const reason = new Error('protocol error');
    (await pool.acquire()).destroy(reason);
    expect([told, destroyedBy(pool)]).toEqual([[{ id: 1, cause: 'error', reason }], { error: 1 }]);
  });

  it('all ten are served though every second one comes back broken (D07)', async () => {
    const { pool, clock } = rig({ maxConnections: 2 });
    let served = 0;
    const jobs = Array.from({ length: 10 }, (_, index) =>
      pool.use((_connection, lease) => {
        served += 1;
        if (index % 2 === 0) lease.destroy();
      }),
    );
    await Promise.all(jobs);
    await clock.advance(0);
    expect([served, destroyedBy(pool)]).toEqual([10, { error: 5 }]);
  });
});

describe('invariant 6: the lease is the only key', () => {
  it('makes a second release a no-op, told as misuse (N20, L02)', async () => {
    const { pool } = rig();
    const log = record(pool);
    const lease = await pool.acquire();
    log.length = 0;
    lease.release();
    lease.release();
    expect([counts(pool), log]).toEqual([{ idle: 1 }, ['release 1', 'misuse 1']]);
  });

  it('makes a stale release a no-op: no second borrower gets the connection (N21)', async () => {
    const { pool, clock } = rig({ maxConnections: 1 });
    const stale = await pool.acquire();
    stale.release();
    const current = await pool.acquire();
    const waiter = watch(pool.acquire());
    stale.release();
    stale.destroy();
    await clock.advance(0);
    expect([current.connection.id, waiter.is, counts(pool)]).toEqual([1, 'pending', { active: 1, waiting: 1 }]);
  });

  it('makes a release after destroy, and a destroy after release, a no-op (N22)', async () => {
    const { pool, factory, clock } = rig();
    const first = await pool.acquire();
    first.destroy();
    first.release();
    await clock.advance(0);
    const second = await pool.acquire();
    second.release();
    second.destroy();
    expect([second.info.id, counts(pool), factory.log]).toEqual([
      2,
      { idle: 1 },
      ['create 1', 'destroy 1', 'create 2'],
    ]);
  });

  it('destroys once, however often it is asked to (N23, D08)', async () => {
    const { pool, factory, clock } = rig();
    const lease = await pool.acquire();
    for (let time = 0; time < 5; time += 1) lease.destroy();
    await clock.advance(0);
    expect(factory.log).toEqual(['create 1', 'destroy 1']);
  });

  it.each(['release', 'destroy', 'detach'] as const)('refuses the connection after %s (L04)', async (end) => {
    const { pool } = rig();
    const lease = await pool.acquire();
    lease[end]();
    expect(() => lease.connection).toThrow(LeaseReleasedError);
    expect(() => lease.detach()).toThrow(
      'Pool "test": the lease of connection #1 has ended; take what you need from it before you release it',
    );
  });

  it('makes a release after detach a no-op', async () => {
    const { pool, factory } = rig();
    const log = record(pool);
    const lease = await pool.acquire();
    lease.detach();
    lease.release();
    lease.destroy();
    expect([counts(pool), factory.log, log.slice(-2)]).toEqual([{}, ['create 1'], ['misuse 1', 'misuse 1']]);
  });
});

describe('a lease', () => {
  it('is given back by using, also when the block throws', async () => {
    const { pool } = rig();
    const block = async (): Promise<void> => {
      using lease = await pool.acquire();
      expect([lease.connection.id, counts(pool)]).toEqual([1, { active: 1 }]);
      throw new Error('mine');
    };
    await expect(block()).rejects.toThrow('mine');
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('is given back by await using', async () => {
    const { pool } = rig();
    {
      await using lease = await pool.acquire();
      expect([lease.connection.id, counts(pool)]).toEqual([1, { active: 1 }]);
    }
    expect(counts(pool)).toEqual({ idle: 1 });
  });

  it('may be ended before its block does, without misuse', async () => {
    const { pool } = rig();
    const log = record(pool);
    {
      using lease = await pool.acquire();
      lease.release();
    }
    {
      await using lease = await pool.acquire();
      lease.destroy();
    }
    expect(log.filter((event) => event.startsWith('misuse'))).toEqual([]);
  });

  it('tells its connection, with times on the clock of the pool (I19)', async () => {
    const { pool, clock } = rig();
    await clock.advance(5);
    const first = await pool.acquire();
    expect(first.info).toEqual({ id: 1, createdAt: 5, lastUsedAt: 5, usageCount: 1 });
    first.release();
    await clock.advance(7);
    expect((await pool.acquire()).info).toEqual({ id: 1, createdAt: 5, lastUsedAt: 12, usageCount: 2 });
  });

  it('has one signal, made when it is first read and aborted only by a loss', async () => {
    const { pool } = rig();
    const lease = await pool.acquire();
    const { signal } = lease;
    expect([lease.signal === signal, signal.aborted]).toEqual([true, false]);
    lease.release();
    expect(signal.aborted).toBe(false);
  });

  it('has its signal aborted also when it is first read after the loss', async () => {
    const { pool, factory } = rig();
    const lease = await pool.acquire();
    factory.open[0]!.context.broken();
    expect([lease.signal.aborted, (lease.signal.reason as Error).message]).toEqual([
      true,
      'Pool "test": connection #1 was lost while it was leased: no reason given',
    ]);
  });

  it('is not told of a loss that comes after its end', async () => {
    const { pool, factory } = rig();
    const first = await pool.acquire();
    first.release();
    const second = await pool.acquire();
    factory.open[0]!.context.broken();
    expect([first.signal.aborted, second.signal.aborted]).toEqual([false, true]);
  });
});

describe('async context', () => {
  it('of a request never reaches a hook, a listener or a timer (N47)', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: [string, string | undefined][] = [];
    const see = (where: string) => void seen.push([where, store.getStore()]);
    const { pool, clock } = poolOf<object>(
      {
        create: async () => {
          see('create');
          await Promise.resolve();
          see('create, later');
          return {};
        },
        isHealthy: () => {
          see('isHealthy');
          return true;
        },
        reset: () => see('reset'),
        destroy: () => see('destroy'),
      },
      { validateAfterIdleMs: 10, maxIdleTimeMs: 1_000, healthCheckIntervalMs: 500 },
    );
    pool.on('acquire', () => see('listener'));
    await store.run('request', async () => {
      (await pool.acquire()).release();
      await clock.advance(11);
      (await pool.acquire()).release();
    });
    await clock.advance(2_000);
    expect(new Set(seen.map(([where]) => where))).toEqual(
      new Set(['create', 'create, later', 'listener', 'reset', 'isHealthy', 'destroy']),
    );
    expect(seen.filter(([, context]) => context !== undefined)).toEqual([]);
  });

  it('of a request is not held by the timer that it made the pool set', async () => {
    const store = new AsyncLocalStorage<string>();
    const contexts: (string | undefined)[] = [];
    const { pool, clock } = rig({ maxConnections: 1 });
    const set = clock.setTimeout.bind(clock);
    clock.setTimeout = (run, ms) => {
      contexts.push(store.getStore());
      return set(run, ms);
    };
    await store.run('request', async () => {
      await pool.acquire();
      void pool.acquire().catch(() => undefined);
    });
    expect(contexts.length).toBeGreaterThan(0);
    expect(new Set(contexts)).toEqual(new Set([undefined]));
    await pool.close({ timeoutMs: 0 });
  });

  it('of each waiter is its own when it is served (N48)', async () => {
    const store = new AsyncLocalStorage<number>();
    const { pool } = rig({ maxConnections: 1 });
    const seen: (number | undefined)[] = [];
    await Promise.all(
      [1, 2, 3].map((request) => store.run(request, () => pool.use(() => void seen.push(store.getStore())))),
    );
    expect(seen).toEqual([1, 2, 3]);
  });

  it('is the one in which the pool was made', async () => {
    const store = new AsyncLocalStorage<string>();
    let seen: string | undefined;
    const create = (): object => {
      seen = store.getStore();
      return {};
    };
    const { pool } = store.run('boot', () => poolOf<object>({ create }));
    await store.run('request', () => pool.acquire());
    expect(seen).toBe('boot');
  });
});
