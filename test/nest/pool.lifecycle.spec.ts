import { Controller, Get, Inject, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConnectionPool, getPoolToken, InjectPool, type PoolLimits, PoolModule, PoolRegistry } from 'nestjs-pools';
import { ManualClock } from 'nestjs-pools/testing';
import { eventually } from '../support/http-server.js';
import { boot, closeAll, gatedPool, type GatedPool, logged } from '../support/nest-app.js';

afterEach(closeAll);

describe('the shutdown of an application', () => {
  it('drains, then closes, and says so', async () => {
    const definition = gatedPool({ minConnections: 1 });
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] });
    const pool = app.get<GatedPool>(getPoolToken('documents'));
    const states: string[] = [];
    pool.on('state', ({ to }) => states.push(to));
    await pool.ready();
    await app.close();
    expect(states).toEqual(['draining', 'closed']);
    expect(definition.gate.open).toEqual([]);
    expect(logged).toContainEqual(expect.stringMatching(/^log Pool\(documents\): closed in \d+ ms$/));
  });

  it('lets a consumer lease in its own onModuleDestroy', async () => {
    const flushed: number[] = [];
    @Injectable()
    class Buffered implements OnModuleDestroy {
      constructor(@InjectPool('documents') private readonly pool: GatedPool) {}
      onModuleDestroy(): Promise<void> {
        return this.pool.use(({ id }) => void flushed.push(id));
      }
    }
    const app = await boot({
      imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })],
      providers: [Buffered],
    });
    await app.close();
    expect(flushed).toHaveLength(1);
  });

  it('serves the request in flight, which leases only after the signal to stop, on the connection that is there', async () => {
    let arrived!: () => void;
    const hasArrived = new Promise<void>((resolve) => (arrived = resolve));
    let goOn!: () => void;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    @Controller()
    class Slow {
      constructor(@Inject(getPoolToken('documents')) private readonly pool: GatedPool) {}
      @Get()
      async answer(): Promise<string> {
        arrived();
        await mayGoOn;
        await this.pool.use(() => undefined);
        return this.pool.use(({ id }) => `served by ${id} of a pool that is ${this.pool.state}`);
      }
    }
    const definition = gatedPool({ minConnections: 1 });
    @Module({ imports: [PoolModule.forRoot({ pools: { documents: definition } })], controllers: [Slow] })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    await app.listen(0, '127.0.0.1');
    const asking = fetch(await app.getUrl(), { headers: { connection: 'close' } });
    await hasArrived;
    const closing = app.close();
    await eventually(() => app.get(PoolRegistry).isShuttingDown, 'it shuts down');
    goOn();
    // A pool that drained by now would have opened one for each use.
    expect(await (await asking).text()).toBe('served by 1 of a pool that is open');
    await closing;
    expect(app.get<GatedPool>(getPoolToken('documents')).state).toBe('closed');
    expect(definition.gate.log).toEqual(['create 1', 'reset 1', 'reset 1', 'destroy 1']);
  });

  it('does it all in onModuleDestroy when told to', async () => {
    const app = await boot({
      imports: [PoolModule.forRoot({ pools: { documents: gatedPool() }, shutdown: 'close-on-destroy' })],
    });
    const pool = app.get<GatedPool>(getPoolToken('documents'));
    const states: string[] = [];
    pool.on('state', ({ to }) => states.push(to));
    await app.close();
    expect(states).toEqual(['closed']);
  });

  it('says who still held what when the deadline took it away', async () => {
    const app = await boot({
      imports: [PoolModule.forRoot({ pools: { documents: gatedPool({ closeTimeoutMs: 0 }) } })],
    });
    const lease = await app.get<GatedPool>(getPoolToken('documents')).acquire();
    await app.close();
    expect(lease.signal.aborted).toBe(true);
    expect(logged).toContainEqual(expect.stringContaining('taken from borrowers that had not given back: #'));
  });

  it('never throws, not even for a pool whose close does, and closes the others', async () => {
    const documents = gatedPool();
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents, other: gatedPool() } })] });
    const [first, second] = app.get(PoolRegistry).list();
    first!.pool.close = () => Promise.reject(new Error('cannot close'));
    first!.pool.drain = () => {
      throw new Error('cannot drain');
    };
    await app.close();
    expect(second!.pool.state).toBe('closed');
    expect(logged).toContainEqual('error Pool(documents): drain failed: Error');
    expect(logged).toContainEqual('error Pool(documents): close failed: Error');
    await ConnectionPool.prototype.close.call(first!.pool);
  });

  it('is harmless when its hooks run twice, as Nest 11 may do', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })] });
    await app.close();
    await app.close();
    expect(app.get<GatedPool>(getPoolToken('documents')).state).toBe('closed');
  });
});

describe('the log of a pool', () => {
  it('tells once that the upstream went, and once that it came back', async () => {
    const definition = gatedPool({ minConnections: 0, downAfter: Infinity });
    definition.gate.hold('create');
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] });
    const pool = app.get<GatedPool>(getPoolToken('documents'));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const acquiring = pool.acquire().catch(() => undefined);
      definition.gate.next('create').fail(Object.assign(new Error('secret host'), { code: 'ECONNREFUSED' }));
      await acquiring;
    }
    definition.gate.letPass('create');
    (await pool.acquire()).release();
    expect(logged.filter((line) => line.includes('Pool(documents)'))).toEqual([
      'warn Pool(documents): cannot open a connection to a test upstream: ECONNREFUSED',
      'log Pool(documents): connected to a test upstream again, after 3 failed attempts',
    ]);
  });

  it('tells once of leases that are given back twice', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })] });
    const lease = await app.get<GatedPool>(getPoolToken('documents')).acquire();
    lease.release();
    lease.release();
    lease.release();
    expect(logged.filter((line) => line.includes('given back twice'))).toHaveLength(1);
  });

  it('tells of a lease that is not given back, where it was acquired, and of its late return', async () => {
    const clock = new ManualClock();
    const definition = onClock(clock);
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] });
    async function forgetful(): Promise<() => void> {
      const lease = await app.get<GatedPool>(getPoolToken('documents')).acquire();
      return () => lease.release();
    }
    const giveBack = await forgetful();
    await clock.advance(60_000);
    await clock.advance(15_000);
    giveBack();
    const [warning, notice] = logged.filter((line) => line.includes('has been held'));
    expect(warning).toMatch(
      /^warn Pool\(documents\): connection #1 has been held for 60 s; is it ever given back\? It was acquired\n/,
    );
    expect(warning).toContain('forgetful');
    expect(notice).toBe('log Pool(documents): connection #1 has been held for 75 s, and was given back after all');
  });

  it('tells when the upstream counts as down', async () => {
    const definition = gatedPool({ minConnections: 0, downAfter: 1 });
    definition.gate.hold('create');
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] });
    const acquiring = app.get<GatedPool>(getPoolToken('documents')).acquire();
    definition.gate.next('create').fail(Object.assign(new Error('secret host'), { code: 'ECONNREFUSED' }));
    await expect(acquiring).rejects.toThrow('ECONNREFUSED');
    expect(logged).toContain(
      'error Pool(documents): a test upstream is down, 1 failed attempts in a row: ECONNREFUSED; acquires fail at once',
    );
    expect(logged.join()).not.toContain('secret');
  });
});

describe('what an application wants of its pools', () => {
  const environment = process.env.NODE_ENV;
  afterEach(() => void (process.env.NODE_ENV = environment));

  it.each([
    ['development', { leakWarnAfterMs: 60_000, leakStackSampleRate: 1, reclaimLeaked: true, detectDeadlock: true }],
    ['production', { leakWarnAfterMs: 60_000, leakStackSampleRate: 0, reclaimLeaked: true, detectDeadlock: false }],
  ])('is, in %s, to hear of forgotten leases; unless a definition says otherwise', async (name, expected) => {
    process.env.NODE_ENV = name;
    const asked: PoolLimits[] = [];
    const noting = (limits: PoolLimits = {}): ReturnType<typeof gatedPool> => {
      const definition = gatedPool(limits);
      const createPool: typeof definition.createPool = (options) => {
        asked.push(options);
        return definition.createPool(options);
      };
      return { ...definition, createPool };
    };
    const pools = { documents: noting(), others: noting({ leakWarnAfterMs: 5, reclaimLeaked: false }) };
    await boot({ imports: [PoolModule.forRoot({ pools })] });
    expect(asked).toMatchObject([expected, { ...expected, leakWarnAfterMs: 5, reclaimLeaked: false }]);
  });
});

function onClock(clock: ManualClock): ReturnType<typeof gatedPool> {
  const definition = gatedPool({ minConnections: 0 });
  return { ...definition, createPool: (options) => new ConnectionPool({ ...options, clock }) };
}
