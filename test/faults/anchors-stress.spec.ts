import { setImmediate as nextTurn } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { counts, poolOf, rig, watch } from '../core/rig.js';

jest.setTimeout(60_000); // they are large, not slow: what they assert is no time

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('load and races', () => {
  it('F05: a hundred tasks that each add one to a pooled counter add a hundred', async () => {
    const counters: { sum: number }[] = [];
    const { pool } = poolOf<{ sum: number }>(
      {
        create: () => {
          counters.push({ sum: 0 });
          return counters.at(-1)!;
        },
      },
      { maxConnections: 3 },
    );
    const add = async (counter: { sum: number }): Promise<void> => {
      const { sum } = counter;
      await nextTurn();
      counter.sum = sum + 1; // lost, where somebody else has it too
    };
    await Promise.all(upTo(100).map(() => pool.use(add)));
    expect([counters.length, counters.reduce((all, { sum }) => all + sum, 0)]).toEqual([3, 100]);
  });

  it('F06: 25 000 who wait for three connections are all served', async () => {
    const { pool } = poolOf<object>({ create: () => ({}) }, { maxConnections: 3, maxWaiting: Infinity });
    let served = 0;
    await Promise.all(upTo(25_000).map(() => pool.use(() => (served += 1))));
    expect([served, counts(pool)]).toEqual([25_000, { idle: 3 }]);
  });

  it('F07: no connection is ever in two hands', async () => {
    const inHand = new Set<object>();
    let shared = 0;
    const { pool } = poolOf<object>({ create: () => ({}) }, { maxConnections: 4 });
    const task = async (own: object): Promise<void> => {
      if (inHand.has(own)) shared += 1;
      inHand.add(own);
      await nextTurn();
      inHand.delete(own);
    };
    await Promise.all(upTo(200).map(() => pool.use(task)));
    expect(shared).toBe(0);
  });

  it('F09: a return that comes during a create for somebody else loses neither of the two', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 2 });
    const lease = await pool.acquire();
    factory.hold('create');
    const waiter = watch(pool.acquire());
    await clock.advance(0);
    lease.release();
    factory.next('create').pass();
    await clock.advance(0);
    expect([waiter.value?.connection.id, counts(pool)]).toEqual([1, { active: 1, idle: 1 }]);
  });

  it('F10: after an overload the timeouts end by themselves', async () => {
    const { pool, clock } = rig({ maxConnections: 2, acquireTimeoutMs: 500 });
    const work = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 100));
    const burst = upTo(200).map(() => watch(pool.use(work)));
    await clock.advance(1_000);
    const before = pool.stats().timedOut;
    expect([before > 100, burst.filter(({ is }) => is === 'resolved').length > 5]).toEqual([true, true]);
    const calm = [];
    for (let round = 0; round < 10; round += 1) {
      calm.push(watch(pool.use(work)));
      await clock.advance(100);
    }
    expect([calm.map(({ is }) => is), pool.stats().timedOut]).toEqual([Array(10).fill('resolved'), before]);
  });

  it('F11: acquires that race with a close are served or told, and nothing is left', async () => {
    const { pool, factory, clock } = rig({ minConnections: 2, maxConnections: 4 });
    void pool.start();
    const all: { is: string }[] = [];
    for (let round = 0; round < 20; round += 1) {
      all.push(watch(pool.use(() => nextTurn())));
      if (round === 10) void pool.close();
      if (round % 3 === 0) await Promise.resolve();
    }
    await pool.close();
    await clock.advance(0);
    expect(all.filter(({ is }) => is === 'pending')).toEqual([]);
    expect([counts(pool), factory.open, clock.pendingTimers]).toEqual([{}, [], 0]);
  });

  it('F12: three hundred at once all succeed with the defaults', async () => {
    const { pool, clock } = rig();
    const work = (): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, 10));
    const all = upTo(300).map(() => watch(pool.use(work)));
    await clock.advance(1_000);
    expect([all.every(({ is }) => is === 'resolved'), counts(pool)]).toEqual([true, { idle: 20 }]);
  });
});

const ENDINGS = ['passes', 'fails', 'is slow', 'never ends'] as const;
type Ending = (typeof ENDINGS)[number];

describe('A07: whatever each hook does, and whenever the borrower leaves', () => {
  /** What a hook does, on the pool's own clock. */
  function hook<R>(ending: Ending, clock: () => { setTimeout(work: () => void, ms: number): unknown }, value: R) {
    if (ending === 'passes') return Promise.resolve(value);
    if (ending === 'fails') return Promise.reject<R>(new Error('fails'));
    return new Promise<R>((resolve) => {
      if (ending === 'is slow') clock().setTimeout(() => resolve(value), 20);
    });
  }

  // 4 × 64 × 4: the 1024 combinations of deadpool's own test.
  it.each(ENDINGS)('a create that %s leaves the pool whole in all combinations', async (create) => {
    const leftBehind: string[] = [];
    for (const isHealthy of ENDINGS) {
      for (const reset of ENDINGS) {
        for (const destroy of ENDINGS) {
          for (const leavesAt of [0, 10, 40, Infinity]) {
            const left = await run(create, isHealthy, reset, destroy, leavesAt);
            if (left !== '') leftBehind.push(`${isHealthy}, ${reset}, ${destroy}, ${leavesAt}: ${left}`);
          }
        }
      }
    }
    expect(leftBehind).toEqual([]);
  });

  async function run(create: Ending, isHealthy: Ending, reset: Ending, destroy: Ending, leavesAt: number) {
    let [open, most] = [0, 0];
    const limits = { createTimeoutMs: 50, healthCheckTimeoutMs: 50, resetTimeoutMs: 50, destroyTimeoutMs: 50 };
    const { pool, clock } = poolOf<object>(
      {
        create: (): Promise<object> =>
          hook(create, () => clock, undefined).then(() => {
            open += 1;
            return {};
          }),
        isHealthy: (): Promise<boolean> => hook(isHealthy, () => clock, true),
        reset: (): Promise<void> => hook(reset, () => clock, undefined),
        destroy: (): Promise<void> => {
          open -= 1;
          return hook(destroy, () => clock, undefined);
        },
      },
      { maxConnections: 2, acquireTimeoutMs: 200, validateAfterIdleMs: 0, ...limits },
    );
    const controller = new AbortController();
    const all: { is: string }[] = [];
    const step = async (ms: number): Promise<void> => {
      await clock.advance(ms);
      most = Math.max(most, pool.stats().totalConnections);
      if (clock.now() >= leavesAt) controller.abort();
    };
    for (let round = 0; round < 3; round += 1) {
      for (const signal of [controller.signal, undefined]) {
        const options = signal === undefined ? {} : { signal };
        all.push(watch(pool.use(() => new Promise<void>((resolve) => void clock.setTimeout(resolve, 5)), options)));
      }
      await step(15);
    }
    await step(400);
    const closing = watch(pool.close({ timeoutMs: 50 }));
    await step(300);
    const wrong = [
      all.some(({ is }) => is === 'pending') && 'an acquire is pending',
      closing.is !== 'resolved' && 'the close is pending',
      most > 2 && `${most} connections`,
      open !== 0 && `${open} left open`,
      Object.keys(counts(pool)).some((key) => key !== 'overdue') && JSON.stringify(counts(pool)),
    ];
    return wrong.filter(Boolean).join(', ');
  }
});
