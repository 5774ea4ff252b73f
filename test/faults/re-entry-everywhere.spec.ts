import { jest } from '@jest/globals';
import type { ConnectionPool, PoolEventName } from 'nestjs-pools/core';
import { counts, poolOf, watch } from '../core/rig.js';

jest.setTimeout(60_000); // they are large, not slow: what they assert is no time

type Pool = ConnectionPool<object>;

/** What user code may ask of the pool that has just called it. */
const REQUESTS: Record<string, (pool: Pool) => unknown> = {
  'acquire()': (pool) => watch(pool.use(() => undefined, { priority: 5 })),
  'tryAcquire()': (pool) => pool.tryAcquire()?.release(),
  'start()': (pool) => pool.start(),
  'ready()': (pool) => watch(pool.ready({ timeoutMs: 10 })),
  'resize() to more': (pool) => pool.state !== 'closed' && pool.resize({ maxConnections: 3, minConnections: 2 }),
  'resize() to nothing and back': (pool) => {
    if (pool.state === 'closed') return;
    pool.resize({ minConnections: 0, maxConnections: 0 });
    pool.resize({ minConnections: 1, maxConnections: 2 });
  },
  'evict()': (pool) => pool.evict(),
  'retireAll()': (pool) => pool.retireAll(),
  'suspend() and resume()': (pool) => {
    pool.suspend();
    pool.resume();
  },
  'drain()': (pool) => pool.drain(),
  'close()': (pool) => pool.close(),
  'close() by force': (pool) => pool.close({ timeoutMs: 0 }),
};

const HOOKS = ['create', 'isHealthy', 'reset', 'destroy'] as const;
const EVENTS: readonly PoolEventName[] = [
  ...(['create', 'createError', 'acquire', 'release', 'destroy', 'detach', 'checkFailed'] as const),
  ...(['broken', 'timeout', 'abort', 'misuse', 'hookError', 'refuse', 'state'] as const),
];

/** A little of everything that can happen to a pool, with `request` made once, from `place`, at its `nth` turn. */
async function liveThrough(place: string, request: (pool: Pool) => unknown, nth: number) {
  let [alive, most, calls, created, destroyed, detached, turns] = [0, 0, 0, 0, 0, 0, 0];
  const breakers: (() => void)[] = [];
  const visit = (where: string): void => {
    if (where === place && (turns += 1) === nth) request(pool);
  };
  const { pool, clock } = poolOf<object>(
    {
      create: ({ broken }) => {
        visit('create');
        if ((calls += 1) % 3 === 0) throw new Error('refused');
        breakers.push(broken);
        most = Math.max(most, (alive += 1));
        created += 1;
        return {};
      },
      isHealthy: () => {
        visit('isHealthy');
        return created % 2 === 0;
      },
      reset: () => visit('reset'),
      destroy: () => {
        visit('destroy');
        alive -= 1;
        destroyed += 1;
        if (destroyed % 2 === 0) throw new Error('half closed');
      },
    },
    { minConnections: 1, maxConnections: 2, maxWaiting: 2, validateAfterIdleMs: 10, acquireTimeoutMs: 50 },
  );
  for (const event of EVENTS) pool.on(event, () => visit(`an event of ${event}`));

  const all: { is: string }[] = [];
  const hold = (ms: number) => () => new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
  for (let round = 0; round < 6; round += 1) {
    const controller = new AbortController();
    const { signal } = controller;
    for (const ms of [80, 60, 20, 5, 5]) all.push(watch(pool.use(hold(ms), round % 2 === 0 ? { signal } : {})));
    await clock.advance(15);
    controller.abort();
    if (round % 2 === 1) breakers.at(-1)?.();
    await clock.advance(200);
    const lease = watch(pool.acquire());
    await clock.advance(60);
    lease.value?.release();
    lease.value?.release();
    await clock.advance(0);
    if (pool.tryAcquire()?.detach() !== undefined) {
      alive -= 1;
      detached += 1;
    }
  }
  await clock.advance(1_000);
  const closing = watch(pool.close({ timeoutMs: 100 }));
  await clock.advance(1_000);
  const wrong = [
    all.some(({ is }) => is === 'pending') && 'an acquire is pending',
    closing.is !== 'resolved' && `the close is ${closing.is}`,
    most > 3 && `${most} connections`,
    created !== destroyed + detached && `${created} created, ${destroyed} destroyed, ${detached} detached`,
    Object.keys(counts(pool)).length > 0 && JSON.stringify(counts(pool)),
    clock.pendingTimers > 0 && 'a timer is left',
  ];
  return { turns, wrong: wrong.filter((one) => one !== false).map((one) => `at turn ${nth}: ${one}`) };
}

const places = [...HOOKS, ...EVENTS.map((event) => `an event of ${event}`)];

describe('P29: whatever user code asks of the pool that is calling it', () => {
  it('is asked from every hook and every event', async () => {
    const missed = [];
    for (const place of places) if ((await liveThrough(place, () => undefined, 1)).turns === 0) missed.push(place);
    expect(missed).toEqual([]);
  });

  it.each(Object.keys(REQUESTS))('%s leaves it whole, from inside every hook and every event', async (name) => {
    const wrong: string[] = [];
    for (const place of places) {
      for (const nth of [1, 2]) {
        const life = await liveThrough(place, REQUESTS[name]!, nth);
        wrong.push(...life.wrong.map((what) => `from ${place} ${what}`));
      }
    }
    expect(wrong).toEqual([]);
  });
});
