import { counts, failureOf, poolOf, rig, watch } from '../core/rig.js';

const refused = (): Error => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });

/** A factory whose upstream is down until the test says otherwise. */
function upstream(limits: Parameters<typeof poolOf>[1]) {
  const state = { isDown: true, creates: 0 };
  const create = async (): Promise<number> => {
    state.creates += 1;
    if (state.isDown) throw refused();
    return state.creates;
  };
  return { state, ...poolOf<number>({ create }, limits) };
}

describe('deadlines', () => {
  it('T05: after timeouts and a return the next acquire is served', async () => {
    const { pool, clock } = rig({ maxConnections: 1, acquireTimeoutMs: 10 });
    const lease = await pool.acquire();
    const late = watch(pool.acquire());
    await clock.advance(10);
    lease.release();
    expect([late.is, (await pool.acquire()).connection.id]).toEqual(['rejected', 1]);
  });

  it('T12: fifteen timeouts one after the other are fifteen errors, and no place is lost', async () => {
    const { pool, clock } = rig({ maxConnections: 2, acquireTimeoutMs: 10 });
    const leases = await Promise.all([pool.acquire(), pool.acquire()]);
    for (let round = 1; round <= 15; round += 1) {
      const late = watch(pool.acquire());
      await clock.advance(10);
      expect([late.is, pool.stats().timedOut]).toEqual(['rejected', round]);
    }
    for (const lease of leases) lease.release();
    await Promise.all([pool.acquire(), pool.acquire()]);
    expect(counts(pool)).toEqual({ active: 2 });
  });
});

describe('a factory that fails', () => {
  it('C03: where creates are tried again, a timeout names the cause and leaves nothing behind', async () => {
    const { pool, clock } = upstream({ onCreateError: 'wait', acquireTimeoutMs: 1_000 });
    const waiter = watch(pool.acquire());
    await clock.advance(999);
    expect(waiter.is).toBe('pending');
    await clock.advance(1);
    expect(waiter.error).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT', cause: { code: 'ECONNREFUSED' } });
    await clock.advance(60_000);
    expect(counts(pool)).toEqual({});
  });

  it('C04: where they are not, the first waiter hears of it long before its deadline, and the second acquire works', async () => {
    const { pool, clock, state } = upstream({ acquireTimeoutMs: 10_000 });
    const first = watch(pool.acquire());
    await clock.advance(1);
    state.isDown = false;
    expect([first.is, (await pool.acquire()).connection]).toEqual(['rejected', 2]);
  });

  it('C06: where creates are tried again, they keep a growing distance', async () => {
    const createRetry = { initialMs: 100, factor: 2, maxMs: 1_000 };
    const { pool, clock, state } = upstream({ onCreateError: 'wait', createRetry, acquireTimeoutMs: 10_000 });
    const waiter = watch(pool.acquire());
    await clock.advance(10_000);
    expect(waiter.is).toBe('rejected');
    // Pauses of half a second on average in the end: about twenty. A spin would be thousands, one retry alone two.
    expect(state.creates).toBeGreaterThan(5);
    expect(state.creates).toBeLessThan(100);
  });

  it('C07: an error that says it is not retryable is not tried again, and whoever waits hears of it', async () => {
    let creates = 0;
    const create = (): Promise<object> => {
      creates += 1;
      return Promise.reject(Object.assign(new Error('wrong password'), { retryable: false }));
    };
    const { pool, clock } = poolOf({ create }, { onCreateError: 'wait', minConnections: 1, maxConnections: 1 });
    const waiters = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(9_000);
    expect([waiters.map(({ is }) => is), creates]).toEqual([['rejected', 'rejected'], 1]);
  });

  it('C10: an acquire survives an outage that is shorter than its patience', async () => {
    const { pool, clock, state } = upstream({ onCreateError: 'wait', acquireTimeoutMs: 5_000 });
    const waiter = watch(pool.acquire());
    await clock.advance(300);
    expect(waiter.is).toBe('pending');
    state.isDown = false;
    await clock.advance(4_000);
    expect(waiter.is).toBe('resolved');
  });

  it('C11: one who waits alone is served when the factory recovers, with no other traffic', async () => {
    const createRetry = { maxMs: 5_000 };
    const { pool, clock, state } = upstream({ onCreateError: 'wait', acquireTimeoutMs: Infinity, createRetry });
    const waiter = watch(pool.acquire());
    await clock.advance(600_000);
    state.isDown = false;
    await clock.advance(5_000);
    expect([waiter.is, counts(pool)]).toEqual(['resolved', { active: 1 }]);
  });

  it('C12: an eager start is told by ready(), a lazy one by the first acquire', async () => {
    const eager = upstream({ minConnections: 1 });
    const ready = watch(eager.pool.ready({ timeoutMs: 100 }));
    await eager.clock.advance(100);
    expect(ready.error).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    const lazy = upstream({ minConnections: 0 });
    await lazy.pool.start();
    expect(lazy.state.creates).toBe(0);
    expect((await failureOf(lazy.pool.acquire())).cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('C13: whoever starts a pool chooses: not to wait at all, to wait so long, or to wait for ever', async () => {
    const { pool, clock, state } = upstream({ minConnections: 1, createRetry: { maxMs: 1_000 } });
    await pool.start(); // ends with the first attempt
    const [some, ever] = [1_000, Infinity].map((timeoutMs) => watch(pool.ready({ timeoutMs })));
    await clock.advance(60_000);
    expect([some!.is, ever!.is]).toEqual(['rejected', 'pending']);
    state.isDown = false;
    await clock.advance(1_000);
    expect(ever!.is).toBe('resolved');
  });

  it('C14: two who wait for a place that is never opened both hear of it', async () => {
    const { pool, clock } = upstream({ maxConnections: 1 });
    const both = [watch(pool.acquire()), watch(pool.acquire())];
    await clock.advance(0);
    expect([both.map(({ is }) => is), counts(pool)]).toEqual([['rejected', 'rejected'], {}]);
  });

  it('C17: one that opens and then refuses what it opened fails that acquire, closes it and recovers, again and again', async () => {
    let made = 0;
    const closed: number[] = [];
    const { pool, clock } = poolOf<number>(
      {
        create: ({ broken }) => {
          made += 1;
          if (made % 2 === 1) broken(new Error('wrong greeting'));
          return made;
        },
        destroy: (one) => void closed.push(one),
      },
      { maxConnections: 1, maxUses: 1 },
    );
    for (let round = 0; round < 3; round += 1) {
      expect((await failureOf(pool.acquire())).code).toBe('POOL_CREATE_FAILED');
      await clock.advance(0);
      (await pool.acquire()).release();
      await clock.advance(0);
    }
    expect([closed, counts(pool)]).toEqual([[1, 2, 3, 4, 5, 6], {}]);
  });
});
