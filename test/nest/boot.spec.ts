import { Injectable, Module } from '@nestjs/common';
import { LazyModuleLoader, NestFactory } from '@nestjs/core';
import { customPool, InjectPool, PoolModule, PoolRegistry } from 'nestjs-pools';
import { boot, closeAll, gatedPool, type GatedPool, logged } from '../support/nest-app.js';

afterEach(closeAll);

const refused = Object.assign(new Error('secret host'), { code: 'ECONNREFUSED' });
const unreachable = (description: string): ReturnType<typeof customPool> =>
  customPool({ description, factory: { create: () => Promise.reject(refused) }, minConnections: 0 });

describe('failOnStart', () => {
  it('lets an application boot whose upstream is down, unless it is told not to', async () => {
    await boot({ imports: [PoolModule.forRoot({ pools: { down: unreachable('an upstream') } })] });
    const booting = boot({ imports: [PoolModule.forRoot({ pools: { down: unreachable('x') }, failOnStart: true })] });
    await expect(booting).rejects.toMatchObject({ pool: 'down', code: 'POOL_CREATE_FAILED', cause: refused });
    expect(logged).toContainEqual(
      'error PoolModule: the application does not start without the pool "down" (failOnStart)',
    );
  });

  it('holds for the pools that it names, and closes all when one of them fails', async () => {
    const documents = gatedPool({ minConnections: 1 });
    const pools = { documents, down: unreachable('x'), alsoDown: unreachable('y') };
    await boot({ imports: [PoolModule.forRoot({ pools, failOnStart: ['documents'] })] });
    await closeAll();
    expect(documents.gate.log).toEqual(['create 1', 'reset 1', 'destroy 1']);

    const again = gatedPool({ minConnections: 1 });
    const booting = boot({
      imports: [PoolModule.forRoot({ pools: { documents: again, down: unreachable('x') }, failOnStart: ['down'] })],
    });
    await expect(booting).rejects.toThrow('Pool "down": could not open a connection: ECONNREFUSED');
    expect(again.gate.open).toEqual([]);
  });

  it('holds for the pool of a feature', async () => {
    const booting = boot({
      imports: [PoolModule.forFeature({ name: 'down', pool: unreachable('x'), failOnStart: true })],
    });
    await expect(booting).rejects.toThrow('Pool "down"');
  });
});

describe('a module that is loaded lazily', () => {
  it('has its pool started at once, and closed with the application', async () => {
    const definition = gatedPool({ minConnections: 1 });
    @Module({ imports: [PoolModule.forFeature({ name: 'late', pool: definition })] })
    class LateModule {}
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })] });
    await app.get(LazyModuleLoader).load(() => LateModule);
    await app.get(PoolRegistry).get('late').ready();
    expect(definition.gate.open).toHaveLength(1);
    await closeAll();
    expect(definition.gate.open).toEqual([]);
  });
});

describe.each(['onModuleInit', 'onApplicationBootstrap'] as const)('a boot that fails in %s of a module', (hook) => {
  it('closes the pools that were opened, and leaves the hook as it was', async () => {
    const definition = gatedPool({ minConnections: 1 });
    const made: Fails[] = [];
    @Injectable()
    class Fails {
      constructor(@InjectPool('documents') readonly pool: GatedPool) {
        made.push(this);
      }
      async [hook](): Promise<void> {
        await this.pool.use(() => undefined);
        throw new Error('cannot start');
      }
    }
    @Module({ imports: [PoolModule.forRoot({ pools: { documents: definition } })], providers: [Fails] })
    class AppModule {}
    await expect(
      NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false }),
    ).rejects.toThrow('cannot start');
    expect(made[0]!.pool.state).toBe('closed');
    expect([definition.gate.open, definition.gate.log[0]]).toEqual([[], 'create 1']);
    expect(Object.getOwnPropertyNames(made[0])).toEqual(['pool']);
  });

  it('lets hooks that succeed do what they do, with their own this', async () => {
    const calls: string[] = [];
    class Succeeds {
      readonly name = 'itself';
      [hook](): string {
        calls.push(this.name);
        return this.name;
      }
    }
    const shared = Object.freeze({ [hook]: () => calls.push('frozen') });
    await boot({
      imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } })],
      providers: [Succeeds, { provide: 'alias', useExisting: Succeeds }, { provide: 'frozen', useValue: shared }],
    });
    expect(calls.toSorted()).toEqual(['frozen', 'itself']);
  });
});
