import { AsyncLocalStorage } from 'node:async_hooks';
import { ConnectionPool, customPool, KeyedPools, type PoolDefinition } from 'nestjs-pools';
import { GatedFactory, ManualClock } from 'nestjs-pools/testing';
import { failureOf, gate, watch } from '../../core/rig.js';
import { keyedRig } from './keyed-rig.js';

const nothing = (): void => {};

describe('the pool of a key', () => {
  it('is made when the key is first used, once, and named after both', async () => {
    const { pools, asked } = keyedRig();
    expect([pools.has('acme'), pools.keys()]).toEqual([false, []]);
    const names = [
      await pools.use('acme', ({ context }) => context.pool),
      await pools.use('acme', ({ context }) => context.pool),
      await pools.use('umbrella', ({ context }) => context.pool),
    ];
    expect(names).toEqual(['tenants/acme', 'tenants/acme', 'tenants/umbrella']);
    expect([asked, pools.has('acme')]).toEqual([['acme', 'umbrella'], true]);
    await pools.close();
  });

  it('lends by acquire() too, and gives its own errors', async () => {
    const { pools, upstream, clock } = keyedRig({ limits: { maxConnections: 1 } });
    const lease = await pools.acquire('acme');
    const late = failureOf(pools.acquire('acme', { acquireTimeoutMs: 20 }));
    await clock.advance(20);
    expect((await late).message).toBe('Pool "tenants/acme": no connection within 20 ms (1/1 active, 1 waiting)');
    lease.release();
    expect(upstream.there).toBe(1);
    await pools.close();
    expect(upstream.there).toBe(0);
  });

  it('has no minimum, whatever its definition says, and the defaults before its own limits', async () => {
    const clock = new ManualClock();
    const template = (): PoolDefinition<object> =>
      customPool({ factory: { create: () => ({}) }, minConnections: 3, maxConnections: 7 });
    const pools = new KeyedPools('tenants', template, { clock, limits: { maxConnections: 9, maxWaiting: 0 } });
    await pools.use('acme', nothing);
    await pools.withPool('acme', (pool) => pool.start());
    expect(pools.stats().byKey['acme']).toMatchObject({ minConnections: 0, maxConnections: 7, totalConnections: 1 });
    await pools.close();
  });

  it('is handed out itself for what only a kind of pool can do, and not closed meanwhile', async () => {
    class CountingPool extends ConnectionPool<object> {
      count(): number {
        return this.stats().created;
      }
    }
    const clock = new ManualClock();
    const template = (key: string): PoolDefinition<object, CountingPool> => ({
      ...customPool({ factory: { create: () => ({ key }) } }),
      createPool: (options) => new CountingPool(options),
    });
    const pools = new KeyedPools('tenants', template, { clock, idleMs: 50, maxPools: 1 });
    const visit = gate<void>();
    const visiting = pools.withPool('acme', async (pool) => {
      await visit.promise;
      await pool.use(nothing);
      return pool.count();
    });
    await clock.advance(1_000);
    expect(await failureOf(pools.acquire('umbrella'))).toMatchObject({ code: 'POOL_TOO_MANY' });
    visit.open();
    expect(await visiting).toBe(1);
    await clock.advance(49);
    expect(pools.keys()).toEqual(['acme']);
    await clock.advance(1);
    expect(pools.keys()).toEqual([]);
  });

  it('is made outside of the request that needs it first', async () => {
    const requests = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const template = (): PoolDefinition<object> => {
      seen.push(requests.getStore());
      return customPool({ factory: { create: () => (seen.push(requests.getStore()), {}) } });
    };
    const pools = new KeyedPools('tenants', template, { clock: new ManualClock() });
    await requests.run('a request', () => pools.use('acme', () => void seen.push(requests.getStore())));
    expect(seen).toEqual([undefined, undefined, 'a request']);
    await pools.close();
  });

  it('is shown to whoever asked for it before anybody uses it', async () => {
    const seen: unknown[] = [];
    const definition = customPool({ factory: { create: () => ({}) } });
    const pools = new KeyedPools('tenants', () => definition, {
      clock: new ManualClock(),
      onOpen: (pool, given, key) => void seen.push(pool.name, pool.stats().totalConnections, given === definition, key),
    });
    await pools.use('acme', nothing);
    await pools.use('acme', nothing);
    expect(seen).toEqual(['tenants/acme', 0, true, 'acme']);
    await pools.close();
  });

  it('is replaced if somebody who was given it has closed it', async () => {
    const { pools, upstream } = keyedRig();
    await pools.use('acme', nothing);
    await pools.withPool('acme', (pool) => pool.close());
    expect([pools.keys(), pools.stats().closed.removed]).toEqual([[], 1]);
    await pools.use('acme', nothing);
    expect([pools.keys(), upstream.there]).toEqual([['acme'], 1]);
    await pools.withPool('acme', async (pool) => {
      void pool.close();
      await pools.use('acme', nothing);
    });
    expect(pools.stats().opened).toBe(3);
    await pools.close();
    expect(upstream.there).toBe(0);
  });
});

describe('a template', () => {
  const mistake = new Error('there is no such tenant');
  const keyed = (template: unknown, options = {}): KeyedPools<object> =>
    new KeyedPools('tenants', template as never, { clock: new ManualClock(), ...options });

  it('that throws fails the call with that very error; nothing is kept', async () => {
    const pools = keyed(() => {
      throw mistake;
    });
    expect(await failureOf(pools.use('acme', nothing))).toBe(mistake);
    expect([pools.keys(), pools.stats().opened]).toEqual([[], 0]);
  });

  it('that refuses its own options says which', async () => {
    const template = (): unknown => customPool({ factory: { create: () => ({}) }, maxConnections: 0 });
    expect((await failureOf(keyed(template).acquire('acme'))).message).toBe(
      'Pool "tenants/acme": maxConnections: expected a whole number from 1, got another number',
    );
  });

  it.each([
    [undefined, 'template: expected it to yield the definition of a pool, got nothing'],
    [Promise.resolve(), 'template: expected it to yield the definition of a pool, got a value of type object'],
    [{ createPool: nothing }, 'factory: expected an object with a create() method, got nothing'],
  ])('that yields no definition fails the call: %p', async (yielded, problem) => {
    const pools = keyed(() => yielded, { maxTotalConnections: 1 });
    expect(await failureOf(pools.withPool('acme', nothing))).toMatchObject({
      pool: 'tenants/acme',
      problems: [problem],
    });
  });

  it('that fails costs no other pool its place', async () => {
    const pools = keyed(
      (key: string) => {
        if (key === 'bad') throw mistake;
        return customPool({ factory: { create: () => ({}) } });
      },
      { maxPools: 1 },
    );
    await pools.use('acme', nothing);
    await failureOf(pools.use('bad', nothing));
    expect(pools.keys()).toEqual(['acme']);
    await pools.close();
  });

  it('may use its own key itself', async () => {
    let calls = 0;
    const pools = keyed((key: string) => {
      if ((calls += 1) === 1) void pools.use(key, nothing);
      return customPool({ factory: { create: () => ({}) } });
    });
    await pools.use('acme', nothing);
    expect([calls, pools.keys(), pools.stats().opened]).toEqual([2, ['acme'], 1]);
    await pools.close();
  });

  it('may use the pools itself', async () => {
    const pools = keyed(
      (key: string) => {
        if (key === 'acme') void pools.use('umbrella', nothing);
        return customPool({ factory: { create: () => ({}) } });
      },
      { maxPools: 2 },
    );
    await pools.use('acme', nothing);
    expect(pools.keys()).toEqual(['umbrella', 'acme']);
    await pools.close();
  });

  it.each([
    [undefined, 'got nothing'],
    ['', 'got an empty text'],
    [42, 'got another number'],
    [Symbol('secret'), 'got a value of type symbol'],
  ])('is not asked about what is no key: %p', async (key, got) => {
    const { pools, asked } = keyedRig();
    expect(await failureOf(pools.acquire(key as never))).toMatchObject({
      pool: 'tenants',
      problems: [`key: expected a text that is not empty, ${got}`],
    });
    expect(asked).toEqual([]);
  });

  it('is checked with all other options when the pools are made', () => {
    const making = (): unknown =>
      new KeyedPools(
        '',
        'x' as never,
        { maxPools: 0, idleMs: -1, maxTotalConnections: 1.5, maxPool: 3, clock: {} } as never,
      );
    expect(making).toThrow(
      expect.objectContaining({
        problems: [
          'name: expected a text, got an empty text',
          'template: expected a function of a key, got a text',
          'maxPools: expected a whole number from 1, or Infinity, got another number',
          'idleMs: expected a number of milliseconds above 0, or Infinity, got a negative number',
          'maxTotalConnections: expected a whole number from 1, or Infinity, got a fraction or an infinite number',
          'maxPool: no such option (did you mean maxPools?)',
          'clock: expected { now(), setTimeout(fn, ms), clearTimeout(timer) }, got a value of type object',
        ],
      }),
    );
  });
});

describe('idleMs', () => {
  it('closes a pool that long after its last lease came back, to the millisecond', async () => {
    const { pools, clock, upstream } = keyedRig({ idleMs: 1_000 });
    const lease = await pools.acquire('acme');
    await clock.advance(5_500);
    lease.release();
    await clock.advance(999);
    expect([pools.keys(), upstream.there]).toEqual([['acme'], 1]);
    await clock.advance(1);
    expect([pools.keys(), upstream.there, pools.stats().closed]).toEqual([[], 0, { idle: 1, lru: 0, removed: 0 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('counts from the last use of each, in whichever order they were used', async () => {
    const { pools, clock } = keyedRig({ idleMs: 100 });
    for (const key of ['a', 'b', 'c']) {
      await pools.use(key, nothing);
      await clock.advance(10);
    }
    await pools.use('a', nothing);
    const seen: string[] = [];
    for (let ms = 30; ms <= 140; ms += 10) {
      seen.push(`${ms}: ${pools.keys().join('')}`);
      await clock.advance(10);
    }
    expect(seen.slice(-5)).toEqual(['100: bca', '110: ca', '120: a', '130: ', '140: ']);
  });

  it('leaves a pool alone for which somebody waits, and one whose waiter has just left', async () => {
    const { pools, clock, upstream } = keyedRig({ idleMs: 100, limits: { createTimeoutMs: 1_000 } });
    upstream.gate('acme').hold('create');
    const waiter = watch(pools.acquire('acme', { acquireTimeoutMs: 350 }));
    await clock.advance(349);
    expect(pools.keys()).toEqual(['acme']);
    await clock.advance(100);
    expect([waiter.is, pools.keys()]).toEqual(['rejected', ['acme']]);
    await clock.advance(1);
    expect(pools.keys()).toEqual([]);
    upstream.gate('acme').next('create').pass();
    await pools.close();
    expect(upstream.there).toBe(0);
  });

  it('takes the closing of a connection that was idle for no use', async () => {
    const { pools, clock } = keyedRig({ idleMs: 1_000, limits: { maxIdleTimeMs: 900 } });
    await pools.use('acme', nothing);
    await clock.advance(999);
    expect([pools.keys(), pools.stats().totalConnections]).toEqual([['acme'], 0]);
    await clock.advance(1);
    expect(pools.keys()).toEqual([]);
  });

  it('sets one timer for all pools, which keeps no process alive, and none where there is nothing to watch', async () => {
    const { pools, clock } = keyedRig({ idleMs: 1_000, limits: { maxIdleTimeMs: Infinity, maxLifetimeMs: Infinity } });
    expect(clock.pendingTimers).toBe(0);
    for (const key of ['a', 'b', 'c']) await pools.use(key, nothing);
    const perPool = clock.pendingTimers - 1;
    expect(clock.referencedTimers).toBe(0);
    await pools.remove('a');
    await pools.remove('b');
    expect(clock.pendingTimers).toBe(1 + perPool / 3);
    await pools.remove('c');
    expect(clock.pendingTimers).toBe(0);
    const { pools: kept, clock: still } = keyedRig({ idleMs: Infinity });
    await kept.withPool('a', nothing);
    expect(still.pendingTimers).toBe(0);
    await kept.close();
  });
});

describe('maxPools', () => {
  it('has a new key take the place of the least recently used pool', async () => {
    const { pools, upstream } = keyedRig({ maxPools: 2 });
    await pools.use('a', nothing);
    await pools.use('b', nothing);
    await pools.use('a', nothing);
    await pools.use('c', nothing);
    expect([pools.keys(), pools.stats().closed.lru]).toEqual([['a', 'c'], 1]);
    await pools.use('b', nothing);
    expect(pools.keys()).toEqual(['c', 'b']);
    await pools.close();
    expect(upstream.there).toBe(0);
  });

  it('takes the end of a lease for a use', async () => {
    const { pools } = keyedRig({ maxPools: 2 });
    const lease = await pools.acquire('a');
    await pools.use('b', nothing);
    lease.release();
    await pools.use('c', nothing);
    expect(pools.keys()).toEqual(['a', 'c']);
    await pools.close();
  });

  it('closes none that is in use, and refuses at once if all are', async () => {
    const { pools, clock, upstream } = keyedRig({ maxPools: 2, limits: { maxConnections: 1 } });
    const a = await pools.acquire('a');
    upstream.gate('b').hold('create');
    const b = watch(pools.acquire('b'));
    const error = await failureOf(pools.acquire('c', { acquireTimeoutMs: Infinity }));
    expect(error).toMatchObject({
      name: 'TooManyPoolsError',
      code: 'POOL_TOO_MANY',
      message: 'Pool "tenants/c": no room for one more pool: 2 of 2 are in use',
      retryable: true,
    });
    expect([pools.keys(), pools.stats().refused]).toEqual([['a', 'b'], 1]);
    a.release();
    await pools.use('c', nothing);
    expect(pools.keys()).toEqual(['b', 'c']);
    await clock.advance(0);
    upstream.gate('b').next('create').pass();
    await clock.advance(0);
    b.value!.release();
    await pools.close();
  });

  it('does not count pools that are being closed', async () => {
    const { pools, clock, upstream } = keyedRig({ maxPools: 1 });
    await pools.use('a', nothing);
    upstream.gate('a').hold('destroy');
    await pools.use('b', nothing);
    expect(pools.stats()).toMatchObject({ pools: 1, closing: 1, totalConnections: 2 });
    upstream.gate('a').next('destroy').pass();
    await clock.advance(0);
    expect(pools.stats()).toMatchObject({ pools: 1, closing: 0, totalConnections: 1 });
    await pools.close();
  });
});

describe('remove()', () => {
  it('closes the pool of the key, which has a new one when it is used again', async () => {
    const { pools, clock, asked } = keyedRig();
    await pools.use('acme', nothing);
    expect(await pools.remove('acme')).toMatchObject({ forced: [], overdue: 0 });
    expect([await pools.remove('acme'), pools.keys()]).toEqual([undefined, []]);
    const lease = await pools.acquire('acme');
    const removing = pools.remove('acme', { timeoutMs: 100 });
    const shorter = pools.remove('acme', { timeoutMs: 30 });
    await clock.advance(30);
    expect([await removing, await shorter]).toMatchObject([{ tookMs: 30, forced: [{ id: 1 }] }, { tookMs: 30 }]);
    expect([lease.signal.aborted, asked]).toEqual([true, ['acme', 'acme']]);
    await expect(pools.remove('acme', { timeoutMs: -1 })).rejects.toMatchObject({ code: 'POOL_OPTIONS' });
  });
});

describe('drain()', () => {
  it('drains all pools and those that are made after it; acquires are still served', async () => {
    const { pools, clock, upstream } = keyedRig();
    await pools.use('a', nothing);
    pools.drain();
    pools.drain();
    await clock.advance(0);
    expect([pools.state, upstream.there]).toEqual(['draining', 0]);
    const id = await pools.use('b', (connection) => connection.id);
    await clock.advance(0);
    expect([id, upstream.there, pools.stats().byKey['b']!.state]).toEqual([1, 0, 'draining']);
    await pools.close();
  });
});

describe('close()', () => {
  it('closes all at once, also those that are being closed, and reports on all', async () => {
    const { pools, clock, upstream } = keyedRig({ maxPools: 2, limits: { maxConnections: 2 } });
    await pools.use('a', nothing);
    upstream.gate('a').hold('destroy');
    const leases = [await pools.acquire('b'), await pools.acquire('b'), await pools.acquire('c')];
    const waiter = watch(pools.acquire('b'));
    const closing = pools.close({ timeoutMs: 500 });
    expect(pools.close({ timeoutMs: 200 })).toBe(closing);
    expect([pools.state, pools.keys(), pools.stats().closing]).toEqual(['closed', [], 3]);
    leases[2]!.release();
    await clock.advance(200);
    upstream.gate('a').next('destroy').pass();
    expect(await closing).toEqual({
      tookMs: 200,
      pools: 3,
      forced: { b: [expect.objectContaining({ id: 1 }), expect.objectContaining({ id: 2 })] },
      overdue: 0,
    });
    expect([waiter.error, upstream.there, clock.pendingTimers]).toMatchObject([{ code: 'POOL_CLOSED' }, 0, 0]);
  });

  it('refuses every call after it, and wrong options before', async () => {
    const { pools, asked } = keyedRig();
    await expect(pools.close({ timeoutMs: NaN })).rejects.toMatchObject({ pool: 'tenants', code: 'POOL_OPTIONS' });
    expect(pools.state).toBe('open');
    await pools[Symbol.asyncDispose]();
    const calls = [pools.use('a', nothing), pools.acquire('a'), pools.withPool('a', nothing)];
    const errors = await Promise.all(calls.map(failureOf));
    expect(errors.map(({ code, message }) => [code, message])).toEqual(
      Array.from({ length: 3 }, () => ['POOL_CLOSED', 'Pool "tenants/a": is closed']),
    );
    expect([asked, await pools.close()]).toEqual([[], { tookMs: 0, pools: 0, forced: {}, overdue: 0 }]);
  });

  it('ends although a pool of a subclass cannot be closed, and says so', async () => {
    const broken = new Error('cannot');
    const gated = new GatedFactory();
    const pools = new KeyedPools(
      'tenants',
      (key: string) => {
        const definition = customPool({ factory: gated });
        const createPool: typeof definition.createPool = (options) => {
          const pool = definition.createPool(options);
          // oxlint-disable-next-line typescript/unbound-method -- it is called on its pool
          const { close } = pool;
          if (key === 'a')
            pool.close = (closeOptions) => close.call(pool, closeOptions).then(() => Promise.reject(broken));
          return pool;
        };
        return { ...definition, createPool };
      },
      { clock: new ManualClock(), maxPools: 2 },
    );
    for (const key of ['a', 'b', 'a', 'c', 'b', 'a', 'c', 'a']) await pools.use(key, nothing);
    expect(pools.stats().closed.lru).toBeGreaterThan(2);
    await expect(pools.close()).rejects.toBe(broken);
    expect(gated.open).toEqual([]);
  });
});

describe('stats()', () => {
  it('sum up all pools in a frozen snapshot', async () => {
    const { pools, clock } = keyedRig({ maxPools: 3, limits: { maxConnections: 1 } });
    const lease = await pools.acquire('a');
    const waiter = watch(pools.acquire('a'));
    await pools.use('b', nothing);
    const stats = pools.stats();
    expect({ ...stats, byKey: Object.keys(stats.byKey) }).toEqual({
      state: 'open',
      pools: 2,
      maxPools: 3,
      closing: 0,
      totalConnections: 2,
      maxTotalConnections: Infinity,
      activeConnections: 1,
      idleConnections: 1,
      waiting: 1,
      starving: 0,
      opened: 2,
      closed: { idle: 0, lru: 0, removed: 0 },
      refused: 0,
      byKey: ['a', 'b'],
    });
    expect([stats, stats.closed, stats.byKey].every(Object.isFrozen)).toBe(true);
    lease.release();
    await clock.advance(0);
    waiter.value!.release();
    await pools.close();
  });
});
