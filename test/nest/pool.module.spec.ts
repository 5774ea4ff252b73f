import { Inject, Injectable, Module, type Type } from '@nestjs/common';
import { ConfigModule, registerAs } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import {
  type AnyPoolDefinition,
  ConnectionPool,
  getPoolToken,
  InjectPool,
  PoolModule,
  PoolRegistry,
  type PoolOptionsFactory,
} from 'nestjs-pools';
import { boot, closeAll, gatedPool, type GatedPool } from '../support/nest-app.js';

afterEach(closeAll);

@Injectable()
class Repository {
  constructor(@InjectPool('documents') readonly pool: GatedPool) {}
}

@Injectable()
class Settings {
  readonly maxConnections = 7;
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

async function message(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );
}

describe('PoolModule.forRoot', () => {
  it('injects the pool of a name, made with its limits', async () => {
    const app = await boot({
      imports: [PoolModule.forRoot({ pools: { documents: gatedPool({ maxConnections: 3 }) } })],
      providers: [Repository],
    });
    const { pool } = app.get(Repository);
    expect(pool).toBeInstanceOf(ConnectionPool);
    expect([pool.name, pool.stats().maxConnections]).toEqual(['documents', 3]);
    expect(app.get(getPoolToken('documents'))).toBe(pool);
    expect(app.get(PoolRegistry).get('documents')).toBe(pool);
  });

  it('lets a module that does not import it inject, unless it is told not to', async () => {
    @Module({ providers: [Repository] })
    class FeatureModule {}
    const pools = { documents: gatedPool() };
    const app = await boot({ imports: [PoolModule.forRoot({ pools }), FeatureModule] });
    expect(app.get(Repository, { strict: false }).pool.name).toBe('documents');
    expect(await message(boot({ imports: [PoolModule.forRoot({ pools, isGlobal: false }), FeatureModule] }))).toContain(
      'Pool(documents)',
    );
  });

  it('refuses a definition that is none, by its name', () => {
    const notOne = { factory: {} } as unknown as AnyPoolDefinition;
    expect(() => PoolModule.forRoot({ pools: { documents: notOne } })).toThrow('documents: expected what httpPool');
    expect(() => PoolModule.forRoot({ pools: {} })).toThrow('pools: expected at least one');
  });
});

describe('PoolModule.forRootAsync', () => {
  it('makes the pools of what its factory returns, from what it injects', async () => {
    const app = await boot({
      imports: [
        PoolModule.forRootAsync({
          pools: ['documents', 'embeddings'],
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: async ({ maxConnections }: Settings) => ({
            documents: gatedPool({ maxConnections }),
            embeddings: gatedPool(),
          }),
        }),
      ],
    });
    const { documents, embeddings } = app.get(PoolRegistry).stats();
    expect([documents?.maxConnections, embeddings?.maxConnections]).toEqual([7, 20]);
  });

  it('takes a class that makes the definitions, new or existing, and tells it the names', async () => {
    const asked: (readonly string[])[] = [];
    @Injectable()
    class Definitions implements PoolOptionsFactory<'documents'> {
      constructor(@Inject(Settings) private readonly settings: Settings) {}
      createPoolOptions(names: readonly 'documents'[]): Record<'documents', AnyPoolDefinition> {
        asked.push(names);
        return { documents: gatedPool({ maxConnections: this.settings.maxConnections }) };
      }
    }
    @Module({ imports: [SettingsModule], providers: [Definitions], exports: [Definitions] })
    class DefinitionsModule {}
    const forms = [
      PoolModule.forRootAsync({ pools: ['documents'], imports: [SettingsModule], useClass: Definitions }),
      PoolModule.forRootAsync({ pools: ['documents'], imports: [DefinitionsModule], useExisting: Definitions }),
    ];
    for (const form of forms) {
      const app = await boot({ imports: [form] });
      expect(app.get(PoolRegistry).get('documents').stats().maxConnections).toBe(7);
    }
    expect(asked).toEqual([['documents'], ['documents']]);
  });

  it('takes what asProvider() of @nestjs/config gives', async () => {
    const poolsConfig = registerAs('pools', () => ({ documents: gatedPool({ maxConnections: 9 }) }));
    const app = await boot({
      imports: [
        ConfigModule.forRoot({ ignoreEnvFile: true }),
        PoolModule.forRootAsync({ pools: ['documents'], ...poolsConfig.asProvider() }),
      ],
    });
    expect(app.get(PoolRegistry).get('documents').stats().maxConnections).toBe(9);
  });

  it('may stand several times in an application, with different names', async () => {
    const one = PoolModule.forRootAsync({ pools: ['a'], useFactory: () => ({ a: gatedPool() }) });
    const two = PoolModule.forRootAsync({ pools: ['b'], useFactory: () => ({ b: gatedPool() }) });
    const app = await boot({ imports: [one, two] });
    expect(
      app
        .get(PoolRegistry)
        .list()
        .map(({ name }) => name),
    ).toEqual(['a', 'b']);
  });

  it('opens nothing before the application has booted, then the minimum, and does not wait for it', async () => {
    const definition = gatedPool({ minConnections: 2 });
    definition.gate.hold('create');
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] });
    expect(definition.gate.waiting('create')).toBe(2);
    definition.gate.next('create').pass();
    definition.gate.next('create').pass();
    await app.get<GatedPool>(getPoolToken('documents')).ready();
  });

  it('boots although an upstream is down', async () => {
    const definition = gatedPool({ minConnections: 1 });
    definition.gate.hold('create');
    await boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] });
    definition.gate.next('create').fail(new Error('refused'));
  });
});

describe('what a developer is told at boot', () => {
  const pools = { documents: gatedPool() };

  it('names a pool that is registered twice', async () => {
    const error = await message(boot({ imports: [PoolModule.forRoot({ pools }), PoolModule.forRoot({ pools })] }));
    expect(error).toContain('Pool "documents": two pools of this name are registered');
  });

  it('names a pool that nobody registered', async () => {
    const error = await message(
      boot({ imports: [PoolModule.forRoot({ pools: { other: gatedPool() } })], providers: [Repository] }),
    );
    expect(error).toContain('Pool(documents)');
  });

  const wrong: [string, unknown, string][] = [
    ['keys that are missing', { a: gatedPool() }, 'no definition came back for "b"; pools names "a", "b"'],
    ['keys too many', { a: gatedPool(), b: gatedPool(), c: gatedPool() }, 'a definition came back for "c"'],
    ['a factory that returned nothing', undefined, 'no definition came back for "a", "b"'],
    ['a value that is no definition', { a: gatedPool(), b: {} }, 'b: expected what httpPool'],
  ];
  it.each(wrong)('names %s', async (_what, made, expected) => {
    const useFactory = (() => made) as unknown as () => Record<'a' | 'b', AnyPoolDefinition>;
    expect(await message(boot({ imports: [PoolModule.forRootAsync({ pools: ['a', 'b'], useFactory })] }))).toContain(
      expected,
    );
  });

  it('names wrong names', () => {
    const useFactory = (): never => ({}) as never;
    expect(() => PoolModule.forRootAsync({ pools: ['a', 'a'], useFactory })).toThrow(
      'the same name stands there twice',
    );
    expect(() => PoolModule.forRootAsync({ pools: [], useFactory })).toThrow("pools: expected the pools' names");
    const neither = { pools: ['a'] } as unknown as { pools: ['a']; useClass: Type<PoolOptionsFactory<'a'>> };
    expect(() => PoolModule.forRootAsync(neither)).toThrow('give one of useFactory, useClass or useExisting');
  });

  it('names the pools that there are when the registry is asked for another', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools })] });
    expect(() => app.get(PoolRegistry).get('nope')).toThrow('Pool "nope": no pool of this name; there is "documents"');
  });
});

describe('a test of an application', () => {
  it('puts its own object in the place of a pool, and the registry knows it', async () => {
    const definition = gatedPool({ minConnections: 1 });
    const fake = { name: 'documents', use: () => Promise.resolve('faked') };
    const testing = await Test.createTestingModule({
      imports: [PoolModule.forRoot({ pools: { documents: definition } })],
      providers: [Repository],
    })
      .overrideProvider(getPoolToken('documents'))
      .useValue(fake)
      .compile();
    await testing.init();
    expect(testing.get(Repository).pool).toBe(fake);
    expect(testing.get(PoolRegistry).get('documents')).toBe(fake);
    expect(definition.gate.log).toEqual([]);
    await testing.close();
  });
});
