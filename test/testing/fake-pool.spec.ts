import { ConnectionPool, customPool, type Lease, type PoolLimits } from 'nestjs-pools/core';
import { createFakePool, type FakePool, ManualClock } from 'nestjs-pools/testing';

const connection = { query: async (text: string) => [`a row of ${text}`] };
const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' });

let pool: FakePool<typeof connection>;

function poolOf(limits: PoolLimits = {}): FakePool<typeof connection> {
  return (pool = createFakePool(connection, limits));
}

async function failure(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: Error) => error,
  );
}

afterEach(() => pool.close({ timeoutMs: 0 }));

describe('createFakePool', () => {
  it('makes a real pool, which lends the given object', async () => {
    const real: ConnectionPool<typeof connection> = poolOf();
    expect(real).toBeInstanceOf(ConnectionPool);
    expect(await real.use((lent) => lent.query('documents'))).toEqual(['a row of documents']);
    expect(await real.use((lent) => lent)).toBe(connection);
  });

  it('lends it to any number of borrowers at once', async () => {
    poolOf();
    const leases = await Promise.all(Array.from({ length: 5_000 }, () => pool.acquire()));
    expect(new Set(leases.map((lease) => lease.connection))).toEqual(new Set([connection]));
    expect(pool.stats()).toMatchObject({ activeConnections: 5_000, waiting: 0 });
    for (const lease of leases) lease.release();
    expect(pool.stats()).toMatchObject({ activeConnections: 0, released: 5_000 });
  });

  it('begins the work before a turn of the event loop is over', async () => {
    const order: string[] = [];
    const turn = new Promise<void>((resolve) => setImmediate(resolve)).then(() => order.push('turn'));
    await Promise.all([poolOf().use(() => order.push('work')), turn]);
    expect(order).toEqual(['work', 'turn']);
  });

  it('tells by its statistics what was borrowed and has not come back', async () => {
    poolOf();
    const lease = await pool.acquire();
    await pool.use(() => undefined);
    const { activeConnections, idleConnections, acquired, released } = pool.stats();
    expect([activeConnections, idleConnections, acquired.direct + acquired.waited, released]).toEqual([1, 1, 2, 1]);
    lease.release();
  });

  it('tells of misuse as every pool does', async () => {
    const lease = await poolOf().acquire();
    let misused = 0;
    pool.on('misuse', () => (misused += 1));
    lease.release();
    lease.release();
    expect(misused).toBe(1);
    expect(() => lease.connection).toThrow(expect.objectContaining({ code: 'POOL_LEASE_RELEASED' }));
  });

  it('lends the object again after a borrower has called it unfit, and counts that', async () => {
    (await poolOf().acquire()).destroy(new Error('it swore'));
    expect(await pool.use((lent) => lent)).toBe(connection);
    expect(pool.stats().destroyed.error).toBe(1);
  });

  it('opens nothing by itself', async () => {
    await poolOf().start();
    expect(pool.stats()).toMatchObject({ totalConnections: 0, created: 0 });
  });

  it('takes the limits that it is given, and makes borrowers wait by them', async () => {
    poolOf({ maxConnections: 1 });
    const order: string[] = [];
    const first = await pool.acquire();
    const second = pool.use(() => order.push('second'));
    order.push('first');
    first.release();
    await second;
    expect(order).toEqual(['first', 'second']);
  });

  it('times out by the clock that it is given', async () => {
    const clock = new ManualClock();
    pool = createFakePool(connection, { name: 'documents', maxConnections: 1, acquireTimeoutMs: 2_000, clock });
    const lease = await pool.acquire();
    const waiting = failure(pool.acquire());
    await clock.advance(2_000);
    expect((await waiting).message).toBe('Pool "documents": no connection within 2000 ms (1/1 active, 1 waiting)');
    lease.release();
  });

  it('takes an option that is undefined for one that is not given', () => {
    expect(poolOf({ maxConnections: undefined } as PoolLimits).stats().maxConnections).toBe(1_000_000);
  });

  it('refuses what it cannot lend and options that cannot work, all of them by name', () => {
    poolOf();
    const wrong = { maxConnections: 0, factory: {}, size: 3 } as PoolLimits;
    expect(() => createFakePool(undefined, wrong)).toThrow(
      expect.objectContaining({
        code: 'POOL_OPTIONS',
        problems: [
          'maxConnections: expected a whole number from 1, got another number',
          'factory: no such option',
          'size: no such option',
          'connection: expected the object that the code under test borrows, got nothing',
        ],
      }),
    );
  });

  it('keeps no process alive, although nobody closes it', async () => {
    const clock = new ManualClock();
    pool = createFakePool(connection, { clock });
    const lease = await pool.acquire();
    pool.failWith(refused);
    await failure(pool.acquire());
    expect(clock.referencedTimers).toBe(0);
    lease.release();
  });
});

describe('a pool that is no fake', () => {
  it('goes on refusing a connection that it has already', async () => {
    poolOf();
    const { factory } = customPool({ factory: { create: () => connection } });
    const real = new ConnectionPool({ name: 'real', factory, minConnections: 0 });
    const lease = await real.acquire();
    expect(await failure(real.acquire())).toMatchObject({
      code: 'POOL_CREATE_FAILED',
      cause: expect.objectContaining({ message: expect.stringContaining('has already') }),
    });
    lease.release();
    await real.close();
  });
});

describe('a fake pool that was told to fail', () => {
  it('rejects acquires as a pool whose upstream cannot be reached, with the error as the cause', async () => {
    poolOf().failWith(refused);
    const error = await failure(pool.acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: refused, retryable: true });
    expect(error.message).toContain('could not open a connection: ECONNREFUSED');
    expect(pool.stats().createFailed).toBe(1);
  });

  it('fails every acquire the same way, however many there are', async () => {
    poolOf().failWith(refused);
    const errors = await Promise.all(Array.from({ length: 50 }, () => failure(pool.acquire())));
    errors.push(await failure(pool.acquire()));
    expect(new Set(errors.map((error) => (error as Error & { code: string }).code))).toEqual(
      new Set(['POOL_CREATE_FAILED']),
    );
  });

  it('counts as down after as many failures as it is told to', async () => {
    const clock = new ManualClock();
    pool = createFakePool(connection, { downAfter: 2, clock });
    pool.failWith(refused);
    const codes: unknown[] = [];
    for (let round = 0; round < 3; round += 1) codes.push(await failure(pool.acquire()));
    expect(codes).toMatchObject([
      { code: 'POOL_CREATE_FAILED' },
      { code: 'POOL_CREATE_FAILED' },
      { code: 'POOL_DOWN', cause: refused },
    ]);
    pool.recover();
    await clock.advance(200);
    expect(await pool.use((lent) => lent)).toBe(connection);
  });

  it('lends nothing that lay idle or comes back, and leaves alone what is lent', async () => {
    poolOf();
    const idle = await pool.acquire();
    const lent = await pool.acquire();
    idle.release();
    pool.failWith(refused);
    expect(await failure(pool.acquire())).toMatchObject({ cause: refused });
    expect(pool.tryAcquire()).toBeUndefined();
    expect(lent.connection).toBe(connection);
    lent.release();
    expect(await failure(pool.acquire())).toMatchObject({ cause: refused });
  });

  it('fails those who wait as soon as there is room to try', async () => {
    const lease: Lease<typeof connection> = await poolOf({ maxConnections: 1 }).acquire();
    const waiting = failure(pool.acquire());
    pool.failWith(refused);
    lease.release();
    expect(await waiting).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: refused });
  });

  it('serves again once it has recovered, at once', async () => {
    poolOf().failWith(refused);
    await failure(pool.acquire());
    pool.recover();
    expect(await pool.use((lent) => lent)).toBe(connection);
  });
});
