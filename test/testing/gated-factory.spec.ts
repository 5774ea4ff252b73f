import { ConnectionPool } from 'nestjs-pools/core';
import { GatedFactory, ManualClock } from 'nestjs-pools/testing';

function poolOf(factory: GatedFactory) {
  const clock = new ManualClock();
  return { clock, pool: new ConnectionPool({ name: 'test', factory, clock, minConnections: 0 }) };
}

describe('GatedFactory', () => {
  it('lets every hook pass at once and logs it', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    const first = await pool.acquire();
    first.release();
    await clock.advance(501);
    (await pool.acquire()).destroy();
    await clock.advance(0);
    expect(factory.log).toEqual(['create 1', 'reset 1', 'isHealthy 1', 'destroy 1']);
  });

  it('knows which connections are open: none before its create has passed, none once it is to be closed', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    factory.hold('create');
    factory.hold('destroy');
    const acquiring = pool.acquire();
    await clock.advance(0);
    const seen = [factory.open.map(({ id }) => id)];
    factory.next('create').pass();
    seen.push(factory.open.map(({ id }) => id));
    (await acquiring).destroy();
    seen.push(factory.open.map(({ id }) => id));
    expect(seen).toEqual([[], [1], []]);
  });

  it('holds the calls of one hook until the test takes them, oldest first', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    factory.hold('create');
    const acquires = [pool.acquire(), pool.acquire()];
    await clock.advance(0);
    expect([factory.waiting('create'), factory.waiting('destroy')]).toEqual([2, 0]);
    const calls = [factory.next('create'), factory.next('create')];
    expect([calls.map((call) => [call.hook, call.connection?.id]), factory.waiting('create')]).toEqual([
      [
        ['create', 1],
        ['create', 2],
      ],
      0,
    ]);
    for (const call of calls) call.pass();
    const leases = await Promise.all(acquires);
    expect(leases.map((lease) => lease.connection.id)).toEqual([1, 2]);
  });

  it('fails a call with the error that the test gives', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    factory.hold('create');
    const acquiring = pool.acquire().catch((error: Error) => error.cause);
    await clock.advance(0);
    const refused = new Error('refused');
    factory.next('create').fail(refused);
    expect([await acquiring, factory.open]).toEqual([refused, []]);
  });

  it('answers a check as the test says', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    (await pool.acquire()).release();
    await clock.advance(501);
    factory.hold('isHealthy');
    const acquiring = pool.acquire();
    factory.next('isHealthy').pass(false);
    expect((await acquiring).connection.id).toBe(2);
  });

  it('lets later calls pass again, and those that wait go on waiting', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    factory.hold('create');
    const acquires = [pool.acquire()];
    await clock.advance(0);
    factory.letPass('create');
    acquires.push(pool.acquire());
    await clock.advance(0);
    expect([factory.waiting('create'), factory.open.map(({ id }) => id)]).toEqual([1, [2]]);
    expect((await acquires[0]!).connection.id).toBe(2);
  });

  it('says so when no call waits', () => {
    expect(() => new GatedFactory().next('reset')).toThrow('no call of reset is waiting');
  });

  it('answers looksAlive by one switch', async () => {
    const factory = new GatedFactory();
    const { pool, clock } = poolOf(factory);
    (await pool.acquire()).release();
    await clock.advance(0);
    factory.alive = false;
    expect((await pool.acquire()).connection.id).toBe(2);
  });

  it('gives each connection the context of its create, so that a test can break it', async () => {
    const factory = new GatedFactory();
    const { pool } = poolOf(factory);
    const lease = await pool.acquire();
    lease.connection.context.broken('gone');
    expect(lease.signal.aborted).toBe(true);
  });
});
