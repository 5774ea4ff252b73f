import { jest } from '@jest/globals';
import { type ConnectionFactory, customPool, KeyedPools, type Lease } from 'nestjs-pools';
import { type GatedConnection, ManualClock } from 'nestjs-pools/testing';
import { failureOf, type Outcome, watch } from '../../core/rig.js';
import { keyedRig, type KeyedRigOptions, type Tenants } from './keyed-rig.js';

const nothing = (): void => {};

/** Connections of each pool, as `a 2, b 0`. */
function shares(pools: Tenants): string {
  const { byKey } = pools.stats();
  const parts = Object.keys(byKey)
    .toSorted()
    .map((key) => `${key} ${byKey[key]!.totalConnections}`);
  return parts.join(', ');
}

function many<R>(count: number, make: () => R): R[] {
  return Array.from({ length: count }, make);
}

function budget(maxTotalConnections: number, options: KeyedRigOptions = {}) {
  return keyedRig({ maxTotalConnections, ...options });
}

function served(outcomes: readonly Outcome<unknown>[]): number {
  return outcomes.filter(({ is }) => is === 'resolved').length;
}

/** Works without a pause: as soon as one of its leases comes back it wants the next. */
function hammer(pools: Tenants, key: string, workers: number) {
  const state = { served: 0, failed: 0, isOver: false };
  const work = async (): Promise<void> => {
    while (!state.isOver) {
      await pools
        .use(key, () => new Promise<void>((resolve) => setImmediate(resolve)))
        .then(
          () => (state.served += 1),
          () => (state.failed += 1),
        );
    }
  };
  return { state, done: Promise.all(many(workers, work)) };
}

describe('maxTotalConnections', () => {
  it('gives a pool what it needs, up to its own maximum, as long as there is enough', async () => {
    const { pools, clock, upstream } = budget(10, { limits: { maxConnections: 4 } });
    const a = many(6, () => watch(pools.acquire('a')));
    const b = many(3, () => watch(pools.acquire('b')));
    await clock.advance(0);
    expect([served(a), served(b), shares(pools), upstream.there]).toEqual([4, 3, 'a 4, b 3', 7]);
    expect(pools.stats()).toMatchObject({ starving: 0, waiting: 2, totalConnections: 7 });
    void pools.close({ timeoutMs: 0 });
    await pools.close();
  });

  it('lets who finds nothing left wait in the queue of his own pool, by his own deadline and signal', async () => {
    const { pools, clock } = budget(1);
    const lease = await pools.acquire('a');
    const late = failureOf(pools.acquire('b', { acquireTimeoutMs: 30 }));
    const controller = new AbortController();
    const aborted = failureOf(pools.acquire('b', { signal: controller.signal }));
    await clock.advance(0);
    expect(pools.stats()).toMatchObject({ starving: 1, waiting: 2 });
    await clock.advance(30);
    controller.abort();
    expect([(await late).message, (await aborted).name]).toEqual([
      'Pool "tenants/b": no connection within 30 ms (0/0 active, 1 waiting)'.replace('1 waiting', '2 waiting'),
      'AcquireAbortedError',
    ]);
    await clock.advance(0);
    expect([pools.stats().starving, clock.referencedTimers]).toEqual([0, 0]);
    lease.release();
    await clock.advance(0);
    expect(shares(pools)).toBe('a 1, b 0');
    await pools.close();
  });

  it('closes an idle connection of the pool left alone for longest, for one who needs it', async () => {
    const { pools, clock, upstream } = budget(3);
    for (const key of ['a', 'b', 'c']) await pools.use(key, nothing);
    await pools.use('a', nothing);
    const lease = await pools.acquire('d');
    expect([shares(pools), upstream.most]).toEqual(['a 1, b 0, c 1, d 1', 3]);
    lease.release();
    await clock.advance(0);
    await pools.use('b', nothing);
    expect([shares(pools), upstream.most]).toEqual(['a 1, b 1, c 0, d 1', 3]);
    await pools.close();
  });

  it('closes as many as are needed, and opens none in their place before they are gone', async () => {
    const { pools, clock, upstream } = budget(4);
    const held = await Promise.all(many(4, () => pools.acquire('a')));
    for (const lease of held) lease.release();
    upstream.gate('a').hold('destroy');
    const b = many(3, () => watch(pools.acquire('b')));
    await clock.advance(0);
    expect([upstream.gate('a').waiting('destroy'), served(b), upstream.there]).toEqual([3, 0, 4]);
    upstream.gate('a').next('destroy').pass();
    await clock.advance(0);
    expect([served(b), upstream.there]).toEqual([1, 4]);
    // What does not end is not counted on for long, so that one more is closed, and given up at its time limit.
    await clock.advance(5_000);
    expect([served(b), upstream.gate('a').waiting('destroy')]).toEqual([3, 3]);
    await clock.advance(1_000);
    expect(shares(pools)).toBe('a 0, b 3');
    for (const { value } of b) value!.release();
    while (upstream.gate('a').waiting('destroy') > 0) upstream.gate('a').next('destroy').fail(new Error('late'));
    upstream.gate('a').letPass('destroy');
    await pools.close();
    expect(upstream.there).toBe(0);
  });

  it('takes from the richest as its leases come back, until nobody has two more than another', async () => {
    const { pools, clock, upstream } = budget(6, { limits: { maxConnections: 6 } });
    const a = await Promise.all(many(6, () => pools.acquire('a')));
    const queue = many(20, () => watch(pools.acquire('a')));
    const b = many(20, () => watch(pools.acquire('b')));
    await clock.advance(0);
    expect([served(b), shares(pools)]).toEqual([0, 'a 6, b 0']);
    for (const lease of a.splice(0, 3)) {
      lease.release();
      await clock.advance(0);
    }
    expect([served(queue), served(b), shares(pools)]).toEqual([0, 3, 'a 3, b 3']);
    a[0]!.release();
    b[0]!.value!.release();
    await clock.advance(0);
    expect([served(queue), served(b), shares(pools), upstream.most]).toEqual([1, 4, 'a 3, b 3', 6]);
    await pools.close({ timeoutMs: 0 });
  });

  it('asks nothing back that is no longer needed', async () => {
    const { pools, clock, upstream } = budget(2);
    const a = await Promise.all(many(2, () => pools.acquire('a')));
    const queued = watch(pools.acquire('a'));
    const b = failureOf(pools.acquire('b', { acquireTimeoutMs: 10 }));
    await clock.advance(10);
    expect(await b).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    a[0]!.release();
    await clock.advance(0);
    expect([queued.is, upstream.gate('a').log]).toEqual(['resolved', ['create 1', 'create 2']]);
    a[1]!.release();
    queued.value!.release();
    await pools.close();
  });

  it('lets go of that again where nobody waits on either side', async () => {
    const { pools, clock, upstream } = budget(2);
    const a = await Promise.all(many(2, () => pools.acquire('a')));
    const b = failureOf(pools.acquire('b', { acquireTimeoutMs: 10 }));
    await clock.advance(10);
    expect(await b).toMatchObject({ code: 'POOL_ACQUIRE_TIMEOUT' });
    for (const lease of a) lease.release();
    await clock.advance(0);
    expect([shares(pools), upstream.gate('a').log]).toEqual(['a 2, b 0', ['create 1', 'create 2']]);
    await pools.close();
  });

  it('gives what comes free to the poorest, however long a richer one has waited', async () => {
    const { pools, clock, upstream } = budget(4);
    const held = await Promise.all(['a', 'a', 'b', 'c'].map((key) => pools.acquire(key)));
    const a = watch(pools.acquire('a'));
    await clock.advance(100);
    const b = watch(pools.acquire('b'));
    await clock.advance(0);
    held.pop()!.release();
    await clock.advance(0);
    expect([a.is, b.is, shares(pools)]).toEqual(['pending', 'resolved', 'a 2, b 2, c 0']);
    expect(upstream.gate('a').log).toEqual(['create 1', 'create 2']);
    for (const lease of [...held, b.value!]) lease.release();
    await clock.advance(0);
    a.value!.release();
    await pools.close();
  });

  it('asks no more back than is needed, and one more each time that nothing comes', async () => {
    const { pools, clock } = budget(6);
    const a = await Promise.all(many(6, () => pools.acquire('a')));
    const b = [watch(pools.acquire('b'))];
    const allowed: number[] = [];
    for (let step = 0; step < 6; step += 1) {
      await clock.advance(500);
      b.push(watch(pools.acquire('b')), watch(pools.acquire('b')));
      await clock.advance(0);
      allowed.push(pools.stats().byKey['a']!.maxConnections);
    }
    expect(allowed).toEqual([5, 4, 4, 3, 3, 2]);
    for (const lease of a) lease.release();
    await pools.close({ timeoutMs: 0 });
  });

  it('has pools take turns where there are more of them than connections, the longest waiting first', async () => {
    const { pools, clock } = budget(1);
    const order: string[] = [];
    const ask = (key: string): void =>
      void pools.use(key, async () => {
        order.push(key);
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 400));
      });
    for (let round = 0; round < 4; round += 1) for (const key of ['a', 'b', 'c']) ask(key);
    for (let step = 0; step < 12; step += 1) await clock.advance(400);
    // A turn lasts for a third of a second and until the lease comes back, whoever else of the same pool waits.
    expect(order.join('')).toBe('abcabcabcabc');
    await pools.close();
  });

  it('leaves a pool its turn: it does not lose its connection to others at every lease', async () => {
    const { pools, clock, upstream } = budget(1);
    const order: string[] = [];
    const ask = (key: string): void =>
      void pools.use(key, async () => {
        order.push(key);
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 100));
      });
    for (let round = 0; round < 15; round += 1) for (const key of ['a', 'b']) ask(key);
    for (let step = 0; step < 30; step += 1) await clock.advance(100);
    expect(order.join('')).toMatch(/^a{5,6}b{5,6}a{5,6}b{5,6}a+b+$/);
    expect(upstream.gate('a').log.length).toBeLessThan(8);
    await pools.close();
  });

  it('does not wait for ever for one lease that was asked back', async () => {
    const { pools, clock } = budget(2);
    const leaked = await pools.acquire('a');
    const other = await pools.acquire('b');
    const queue = [watch(pools.acquire('a')), watch(pools.acquire('b'))];
    await clock.advance(5_000);
    const c = watch(pools.acquire('c'));
    await clock.advance(999);
    other.release();
    await clock.advance(0);
    expect([c.is, queue[1]!.is]).toEqual(['pending', 'resolved']);
    await clock.advance(1_001);
    queue[1]!.value!.release();
    await clock.advance(0);
    expect(c.is).toBe('resolved');
    leaked.release();
    c.value!.release();
    await pools.close({ timeoutMs: 0 });
  });

  it('takes in acquires that nobody but the pool sees', async () => {
    const { pools, clock } = budget(2);
    const a = await pools.acquire('a');
    const ids = await pools.withPool('b', (pool) =>
      pool.use(({ id }) => pool.use((inner) => [id, inner.id], { acquireTimeoutMs: 0 }).catch(() => 'none')),
    );
    expect(ids).toBe('none');
    const both = watch(
      pools.withPool('b', async (pool) => [await pool.acquire(), await pool.acquire()] as Lease<GatedConnection>[]),
    );
    await clock.advance(0);
    expect(both.is).toBe('pending');
    a.release();
    await clock.advance(0);
    expect([both.is, shares(pools)]).toEqual(['resolved', 'a 0, b 2']);
    for (const lease of both.value!) lease.release();
    await pools.close();
  });

  it('does not take an acquire for one too many that a new connection can serve', async () => {
    const { pools, clock } = budget(3, { limits: { maxWaiting: 0 } });
    const held = [await pools.acquire('a'), await pools.acquire('a'), await pools.acquire('b')];
    expect((await failureOf(pools.acquire('a'))).message).toBe(
      'Pool "tenants/a": too many acquires are waiting (2/2 active, 0 waiting)',
    );
    held[2]!.release();
    held[1]!.destroy();
    await clock.advance(0);
    expect((await pools.acquire('a')).info.id).toBe(3);
    await pools.close({ timeoutMs: 0 });
  });
});

describe('a turn', () => {
  it('is no longer for a pool whose connections serve but once', async () => {
    const { pools, clock } = budget(1, { limits: { maxUses: 1 } });
    const a = hammer(pools, 'a', 3);
    await clock.advance(100);
    const b = watch(pools.use('b', nothing));
    for (let step = 0; step < 30 && b.is === 'pending'; step += 1) await clock.advance(20);
    expect(b.is).toBe('resolved');
    a.state.isOver = true;
    await clock.advance(2_000);
    await a.done;
    await pools.close();
  });

  it('serves at least one lease, however long the connection takes to open', async () => {
    const { pools, clock, upstream } = budget(1);
    const order: string[] = [];
    for (const key of ['a', 'b']) {
      upstream.gate(key).hold('create');
      for (let count = 0; count < 3; count += 1) void pools.use(key, () => void order.push(key));
    }
    for (let step = 0; step < 4; step += 1) {
      await clock.advance(1_500);
      for (const key of ['a', 'b'])
        if (upstream.gate(key).waiting('create') > 0) upstream.gate(key).next('create').pass();
      await clock.advance(0);
    }
    expect(order.toSorted().join('')).toBe('aaabbb');
    expect(upstream.most).toBe(1);
    await pools.close();
  });

  it('ends for a pool that has nothing while it pauses after a failed create', async () => {
    const pause = jest.spyOn(Math, 'random').mockReturnValue(0.9);
    const { pools, clock, upstream } = budget(1, {
      limits: { onCreateError: 'wait', createRetry: { initialMs: 20_000 } },
    });
    upstream.gate('a').hold('create');
    const a = watch(pools.acquire('a', { acquireTimeoutMs: Infinity }));
    await clock.advance(0);
    upstream.gate('a').next('create').fail(new Error('refused'));
    await clock.advance(10);
    const b = watch(pools.use('b', nothing));
    await clock.advance(1_000);
    expect([a.is, b.is]).toEqual(['pending', 'resolved']);
    pause.mockRestore();
    await pools.close({ timeoutMs: 0 });
  });

  it('ends for a pool that cannot open its connection and would rather wait', async () => {
    const { pools, clock, upstream } = budget(1, { limits: { onCreateError: 'wait' } });
    upstream.gate('a').hold('create');
    const a = watch(pools.acquire('a'));
    await clock.advance(0);
    const b = watch(pools.use('b', nothing));
    for (let failure = 0; failure < 20; failure += 1) {
      if (upstream.gate('a').waiting('create') > 0) upstream.gate('a').next('create').fail(new Error('refused'));
      await clock.advance(100);
    }
    expect([a.is, b.is]).toEqual(['pending', 'resolved']);
    await pools.close({ timeoutMs: 0 });
  });
});

describe('what counts against maxTotalConnections', () => {
  it('a pool that is being closed, until its connections are gone', async () => {
    const { pools, clock, upstream } = budget(2, { maxPools: 1 });
    const leases = [await pools.acquire('a'), await pools.acquire('a')];
    for (const lease of leases) lease.release();
    upstream.gate('a').hold('destroy');
    const b = watch(pools.acquire('b'));
    await clock.advance(0);
    expect([b.is, pools.stats()]).toMatchObject(['pending', { pools: 1, closing: 1, totalConnections: 2 }]);
    upstream.gate('a').next('destroy').pass();
    await clock.advance(0);
    expect([b.is, upstream.most]).toEqual(['resolved', 2]);
    b.value!.release();
    upstream.gate('a').next('destroy').pass();
    await pools.close();
  });

  it('a create past its time limit, until it really ends', async () => {
    const { pools, clock, upstream } = budget(1, { limits: { createTimeoutMs: 100 } });
    upstream.gate('a').hold('create');
    const a = failureOf(pools.acquire('a'));
    const b = watch(pools.acquire('b'));
    await clock.advance(3_000);
    expect(await a).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    expect([b.is, upstream.there]).toEqual(['pending', 1]);
    // The connection comes after all, and is closed.
    upstream.gate('a').next('create').pass();
    await clock.advance(0);
    expect([b.is, upstream.most, upstream.gate('a').log]).toEqual(['resolved', 1, ['create 1', 'destroy 1']]);
    b.value!.release();
    await pools.close();
  });

  it('such a create also after its pool was closed, and whatever it ends by', async () => {
    for (const end of ['pass', 'fail'] as const) {
      const { pools, clock, upstream } = budget(1, { limits: { closeTimeoutMs: 10 } });
      upstream.gate('a').hold('create');
      const a = watch(pools.acquire('a'));
      await clock.advance(0);
      const removing = pools.remove('a');
      await clock.advance(10);
      expect([await removing, a.is]).toMatchObject([{ overdue: 1 }, 'rejected']);
      const b = watch(pools.acquire('b'));
      await clock.advance(2_000);
      expect([b.is, upstream.there]).toEqual(['pending', 1]);
      upstream.gate('a').next('create')[end](new Error('late'));
      await clock.advance(0);
      expect([b.is, upstream.most]).toEqual(['resolved', 1]);
      b.value!.release();
      await pools.close();
      expect(upstream.there).toBe(0);
    }
  });

  it('no pool takes more than its own maximum by creates that do not end', async () => {
    const { pools, clock, upstream } = budget(10, {
      limits: { createTimeoutMs: 100, maxConnections: 2, downAfter: 100 },
    });
    upstream.gate('a').hold('create');
    const errors = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const failing = failureOf(pools.acquire('a'));
      await clock.advance(150);
      errors.push((await failing).message);
    }
    expect(upstream.there).toBe(2);
    expect(errors[5]).toMatch(/could not open a connection: HOOK_TIMEOUT/);
    while (upstream.gate('a').waiting('create') > 0) upstream.gate('a').next('create').fail(new Error('late'));
    upstream.gate('a').letPass('create');
    await pools.use('a', nothing);
    await pools.close();
    expect([upstream.there, upstream.most]).toEqual([0, 2]);
  });

  it('a create past its limit, but the next one has what others can spare', async () => {
    const { pools, clock, upstream } = budget(3, { limits: { createTimeoutMs: 1_000 } });
    await pools.use('b', () => pools.use('b', nothing));
    upstream.gate('a').hold('create');
    const first = failureOf(pools.acquire('a'));
    await clock.advance(500);
    const second = watch(pools.acquire('a'));
    await clock.advance(600);
    expect(await first).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    expect([upstream.there, upstream.gate('a').waiting('create')]).toEqual([3, 2]);
    upstream.gate('a').next('create').fail(new Error('late'));
    upstream.gate('a').next('create').pass();
    await clock.advance(0);
    expect([second.is, upstream.most]).toEqual(['resolved', 3]);
    second.value!.release();
    await pools.close();
  });

  it('such a create once for each: the next one waits for what others give, by its own time limit', async () => {
    const { pools, clock, upstream } = budget(2, { limits: { createTimeoutMs: 1_000, maxConnections: 2 } });
    const b = await pools.acquire('b');
    upstream.gate('a').hold('create');
    const first = failureOf(pools.acquire('a'));
    const second = watch(pools.acquire('a'));
    await clock.advance(1_500);
    expect(await first).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    expect([second.is, upstream.gate('a').log]).toEqual(['pending', ['create 1']]);
    b.release();
    await clock.advance(0);
    expect([upstream.gate('a').log, upstream.there]).toEqual([['create 1', 'create 2'], 2]);
    upstream.gate('a').next('create').fail(new Error('late'));
    upstream.gate('a').next('create').pass();
    await clock.advance(0);
    second.value!.release();
    await pools.close();
    expect([upstream.there, upstream.most]).toEqual([0, 2]);
  });

  it('not a failed create, a connection that was detached, destroyed or is no connection', async () => {
    let next: unknown;
    const destroyed: unknown[] = [];
    const factory: ConnectionFactory<unknown> = {
      create: () => {
        if (next instanceof Error) throw next;
        return next;
      },
      destroy: (connection) => void destroyed.push(connection),
    };
    const clock = new ManualClock();
    const pools = new KeyedPools('tenants', () => customPool({ factory, downAfter: 1_000 }), {
      clock,
      maxTotalConnections: 2,
    });
    const held = { is: 'held' };
    next = held;
    const lease = await pools.acquire('a');
    for (const odd of [new Error('refused'), undefined, null, held]) {
      next = odd;
      expect(await failureOf(pools.acquire('a'))).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    }
    for (next of [{}, 1, 'text', {}]) (await pools.acquire('a')).detach();
    for (next of [{}, 1, 2, 2]) (await pools.acquire('b')).destroy();
    next = { is: 'last' };
    expect(await pools.use('b', (connection) => connection)).toBe(next);
    lease.release();
    await pools.close();
    expect(destroyed).toHaveLength(6);
  });
});

describe('the factory of a pool within a budget', () => {
  it('keeps its own `this`, its hooks where it has them, and its opinion of errors', async () => {
    class Factory implements ConnectionFactory<{ id: number }> {
      readonly calls: string[] = [];
      private count = 0;
      create(): { id: number } {
        this.calls.push('create');
        if (this.count > 0) throw new Error('no more');
        return { id: (this.count += 1) };
      }
      isHealthy({ id }: { id: number }): boolean {
        this.calls.push(`isHealthy ${id}`);
        return true;
      }
      reset({ id }: { id: number }): void {
        this.calls.push(`reset ${id}`);
      }
      looksAlive({ id }: { id: number }): boolean {
        this.calls.push(`looksAlive ${id}`);
        return true;
      }
      retryable(error: Error): boolean {
        this.calls.push(`retryable ${error.message}`);
        return false;
      }
      destroy({ id }: { id: number }): void {
        this.calls.push(`destroy ${id}`);
      }
    }
    const factory = new Factory();
    const clock = new ManualClock();
    const pools = new KeyedPools('tenants', () => customPool({ factory }), { clock, maxTotalConnections: 2 });
    await pools.use('a', nothing);
    await clock.advance(501);
    await pools.use('a', () => failureOf(pools.acquire('a')));
    await pools.close();
    expect([...new Set(factory.calls)]).toEqual([
      'create',
      'looksAlive 1',
      'reset 1',
      'isHealthy 1',
      'retryable no more',
      'destroy 1',
    ]);
  });

  it('may yield one connection again and again where it says so, as a fake does', async () => {
    const one = {};
    const factory = { create: () => one, [Symbol.for('nestjs-pools.lendsOne')]: true };
    const pools = new KeyedPools('tenants', () => customPool({ factory }), {
      clock: new ManualClock(),
      maxTotalConnections: 2,
    });
    const both = await pools.use('a', (first) => pools.use('a', (second) => [first, second]));
    expect(both).toEqual([one, one]);
    await pools.close();
  });

  it('has its create told that a connection is broken, and its time limits', async () => {
    const { pools, clock, upstream } = budget(1, { limits: { createTimeoutMs: 50 } });
    const lease = await pools.acquire('a');
    lease.connection.context.broken(new Error('gone'));
    expect(lease.signal.aborted).toBe(true);
    upstream.gate('a').hold('create');
    const next = failureOf(pools.acquire('a'));
    lease.release();
    await clock.advance(50);
    expect(upstream.gate('a').next('create').context.signal.aborted).toBe(true);
    expect(await next).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    await pools.close();
  });
});

describe('while others hammer', () => {
  it.each([
    [4, 3],
    [2, 5],
    [1, 4],
    [7, 2],
  ])('%i connections serve every one of %i tenants', async (maxTotalConnections, tenants) => {
    const { pools, clock, upstream } = budget(maxTotalConnections, { limits: { maxConnections: 5 } });
    const keys = many(tenants, () => '').map((_, index) => `tenant ${index}`);
    const hammers = [hammer(pools, keys[0]!, 20)];
    await clock.advance(50);
    hammers.push(...keys.slice(1).map((key) => hammer(pools, key, 6)));
    for (let step = 0; step < 300; step += 1) await clock.advance(20);
    for (const { state } of hammers) state.isOver = true;
    for (let step = 0; step < 300; step += 1) await clock.advance(20);
    await Promise.all(hammers.map(({ done }) => done));
    const most = Math.max(...hammers.map(({ state }) => state.served));
    const least = Math.min(...hammers.slice(1).map(({ state }) => state.served));
    expect(hammers.map(({ state }) => state.failed)).toEqual(hammers.map(() => 0));
    expect(least).toBeGreaterThan(most / 5);
    expect(upstream.most).toBeLessThanOrEqual(maxTotalConnections);
    await pools.close();
    expect([upstream.there, clock.pendingTimers]).toEqual([0, 0]);
  });
});
