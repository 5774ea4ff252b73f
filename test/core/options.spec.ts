import { ConnectionPool, customPool, isPoolError, PoolOptionsError, type PoolOptions } from 'nestjs-pools/core';
import { resolvePoolOptions } from '../../lib/core/pool-options.js';
import { counts, failureOf, rig } from './rig.js';

const factory = { create: () => ({}) };

function problemsOf(options: object): readonly string[] {
  try {
    new ConnectionPool({ name: 'test', factory, ...options });
  } catch (error) {
    expect(error).toBeInstanceOf(PoolOptionsError);
    return (error as PoolOptionsError).problems;
  }
  return [];
}

describe('pool options', () => {
  it('have the documented defaults', () => {
    const { clock, size, ...resolved } = resolvePoolOptions({ name: 'test', factory });
    expect([size.min, size.max]).toEqual([2, 20]);
    expect(resolved).toEqual({
      name: 'test',
      factory,
      maxIdleTimeMs: 300_000,
      maxLifetimeMs: 3_600_000,
      lifetimeJitter: 0.1,
      maxUses: Infinity,
      acquireTimeoutMs: 10_000,
      createTimeoutMs: 10_000,
      healthCheckIntervalMs: 30_000,
      validateAfterIdleMs: 500,
      healthCheckTimeoutMs: 5_000,
      resetTimeoutMs: 5_000,
      destroyTimeoutMs: 5_000,
      maxWaiting: 1_000,
      maxCreating: 10,
      order: 'lifo',
      createRetry: { initialMs: 100, maxMs: 30_000, factor: 2 },
      onCreateError: 'reject',
      downAfter: 3,
      unhealthyAfter: 3,
      leakWarnAfterMs: Infinity,
      leakStackSampleRate: 0,
      reclaimLeaked: false,
      detectDeadlock: false,
      closeTimeoutMs: 10_000,
    });
    expect(typeof clock.now()).toBe('number');
  });

  it('never default the minimum above the maximum', () => {
    const { size } = resolvePoolOptions({ name: 'test', factory, maxConnections: 1 });
    expect([size.min, size.max]).toEqual([1, 1]);
  });

  it('never go down by default where failed creates are waited out', () => {
    const waiting = resolvePoolOptions({ name: 'test', factory, onCreateError: 'wait' });
    const both = resolvePoolOptions({ name: 'test', factory, onCreateError: 'wait', downAfter: 5 });
    expect([waiting.downAfter, both.downAfter]).toEqual([Infinity, 5]);
  });

  it('fill in what is missing of createRetry', () => {
    const { createRetry } = resolvePoolOptions({ name: 'test', factory, createRetry: { initialMs: 7 } });
    expect(createRetry).toEqual({ initialMs: 7, maxMs: 30_000, factor: 2 });
  });

  it.each([
    ['minConnections', -1],
    ['minConnections', 1.5],
    ['minConnections', '2'],
    ['minConnections', 21],
    ['maxConnections', 0],
    ['maxConnections', Infinity],
    ['maxConnections', NaN],
    ['maxIdleTimeMs', 0],
    ['maxLifetimeMs', -5],
    ['lifetimeJitter', 1.1],
    ['maxUses', 0],
    ['acquireTimeoutMs', NaN],
    ['acquireTimeoutMs', null],
    ['createTimeoutMs', 0],
    ['healthCheckIntervalMs', '30s'],
    ['validateAfterIdleMs', -1],
    ['healthCheckTimeoutMs', 0],
    ['resetTimeoutMs', true],
    ['destroyTimeoutMs', []],
    ['maxWaiting', -1],
    ['maxCreating', 0],
    ['order', 'random'],
    ['createRetry', 5],
    ['closeTimeoutMs', -Infinity],
  ])('refuse %s: %p, naming it', (key, value) => {
    expect(problemsOf({ [key]: value })).toEqual([expect.stringMatching(`^${key}: `)]);
  });

  it.each([
    [{ initialMs: 0 }, 'createRetry.initialMs: '],
    [{ maxMs: -1 }, 'createRetry.maxMs: '],
    [{ factor: 0.5 }, 'createRetry.factor: '],
    [{ retries: 3 }, 'createRetry.retries: no such option'],
  ])('refuse createRetry %p, naming the part', (createRetry, problem) => {
    expect(problemsOf({ createRetry })).toEqual([expect.stringContaining(problem)]);
  });

  it('are refused all at once, and without their values', () => {
    const options = { maxConection: 3, maxConnections: 'sesame', acquireTimeoutMillis: 4, name: '', factory: {} };
    const problems = problemsOf(options);
    expect(problems).toEqual([
      'name: expected a text, got an empty text',
      'factory.create: expected a function, got nothing',
      'maxConection: no such option',
      'maxConnections: expected a whole number from 1, got a text',
      'acquireTimeoutMillis: no such option (did you mean acquireTimeoutMs?)',
    ]);
    expect(problems.join()).not.toContain('sesame');
  });

  it('refuse a minimum above the maximum', () => {
    expect(problemsOf({ minConnections: 3, maxConnections: 2 })).toEqual([
      'minConnections: must not be above maxConnections',
    ]);
  });

  it('refuse a hook that is there and is no function', () => {
    const hooks = { create: () => ({}), destroy: 5, reset: null, isHealthy: undefined, looksAlive: 'yes' };
    expect(problemsOf({ factory: hooks })).toEqual([
      'factory.reset: expected a function, got null',
      'factory.destroy: expected a function, got another number',
      'factory.looksAlive: expected a function, got a text',
    ]);
  });

  it('accept hooks on a prototype', () => {
    class Factory {
      create() {
        return {};
      }
    }
    expect(problemsOf({ factory: new Factory() })).toEqual([]);
  });

  it('refuse a clock that cannot tell the time', () => {
    expect(problemsOf({ clock: { now: () => 0 } })).toEqual([expect.stringMatching('^clock: ')]);
    expect(problemsOf({ clock: null })).toEqual([expect.stringMatching('^clock: ')]);
  });

  it('take undefined for "not given" and Infinity for "off"', () => {
    const off = { maxIdleTimeMs: Infinity, createTimeoutMs: Infinity, maxWaiting: Infinity, maxCreating: Infinity };
    expect(problemsOf({ ...off, maxConnections: undefined, clock: undefined, order: undefined })).toEqual([]);
  });

  it.each([undefined, null, 5, 'test'])('refuse %p in the place of all options', (options) => {
    expect(() => new ConnectionPool(options as unknown as PoolOptions<object>)).toThrow(PoolOptionsError);
  });
});

describe('options of a call', () => {
  it.each([
    ['a negative timeout', { acquireTimeoutMs: -1 }],
    ['a timeout that is NaN', { acquireTimeoutMs: NaN }],
    ['a timeout that is a text', { acquireTimeoutMs: '5' }],
    ['an unknown key', { timeout: 5 }],
    ['a signal that is none', { signal: {} }],
    ['null in the place of options', null],
    ['a number in the place of options', 5],
  ])('reject that acquire for %s, and nothing is opened', async (_what, options) => {
    const { pool, factory } = rig();
    const error = await failureOf(pool.acquire(options as object));
    expect(error).toBeInstanceOf(PoolOptionsError);
    expect([factory.log, counts(pool)]).toEqual([[], {}]);
  });

  it.each([
    ['a negative timeout', { timeoutMs: -1 }],
    ['an unknown key', { acquireTimeoutMs: 5 }],
    ['a signal that is none', { signal: 'stop' }],
    ['null', null],
  ])('reject that ready() for %s', async (_what, options) => {
    const { pool, factory } = rig({ minConnections: 1 });
    expect(await failureOf(pool.ready(options as object))).toBeInstanceOf(PoolOptionsError);
    expect(factory.log).toEqual([]);
  });

  it.each([
    ['a negative timeout', { timeoutMs: -1 }],
    ['a timeout that is NaN', { timeoutMs: NaN }],
    ['an unknown key', { timeout: 5 }],
    ['a signal, which it does not take', { signal: AbortSignal.abort() }],
    ['null', null],
  ])('reject that close() for %s, and the pool stays open', async (_what, options) => {
    const { pool } = rig();
    expect(await failureOf(pool.close(options as object))).toBeInstanceOf(PoolOptionsError);
    expect(pool.state).toBe('open');
  });

  it('may be undefined one by one', async () => {
    const { pool } = rig();
    const lease = await pool.acquire({ signal: undefined, acquireTimeoutMs: undefined });
    expect(lease.connection.id).toBe(1);
  });
});

describe('customPool', () => {
  it('keeps the factory apart from the limits and makes a pool of them', async () => {
    const definition = customPool({ factory, description: 'a browser', maxConnections: 3 });
    expect([definition.kind, definition.describe(), definition.limits]).toEqual([
      'custom',
      'a browser',
      { maxConnections: 3 },
    ]);
    const pool = definition.createPool({ name: 'browsers', factory: definition.factory, ...definition.limits });
    expect([pool.name, pool.stats().maxConnections]).toEqual(['browsers', 3]);
    await pool.close();
  });

  it('names every wrong option at once', () => {
    const options = { factory: { create: 5 }, maxConnections: 0, description: 7 } as never;
    expect(() => customPool(options)).toThrow(
      expect.objectContaining({
        problems: [
          'maxConnections: expected a whole number from 1, got another number',
          'factory.create: expected a function, got another number',
          'description: expected a text',
        ],
      }),
    );
  });
});

describe('pool errors', () => {
  it('are known by their brand, also when another copy of the package made them', async () => {
    const { pool } = rig({ maxConnections: 1 });
    await pool.acquire();
    const error = await failureOf(pool.acquire({ acquireTimeoutMs: 0 }));
    expect(isPoolError(error)).toBe(true);
    expect(isPoolError(Object.assign(new Error(), { [Symbol.for('nestjs-pools.PoolError')]: true }))).toBe(true);
    expect([new Error('no'), null, undefined, 'x', {}].map(isPoolError)).toEqual([false, false, false, false, false]);
  });

  it('have their class as name, in the stack too', async () => {
    const { pool } = rig();
    const error = await failureOf(pool.acquire({ acquireTimeoutMs: 0 }));
    expect(error.name).toBe('AcquireTimeoutError');
    expect(error.stack).toMatch(/^AcquireTimeoutError: Pool "test"/);
  });
});
