import { type DynamicModule, Inject, Injectable, Module } from '@nestjs/common';
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
import { boot, closeAll, gatedPool, type GatedPool, message } from '../support/nest-app.js';

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

describe('PoolModule.forFeature', () => {
  @Injectable()
  class Reports {
    constructor(@InjectPool('reports') readonly pool: GatedPool) {}
  }
  @Module({
    imports: [PoolModule.forFeature({ name: 'reports', pool: gatedPool({ maxConnections: 4 }) })],
    providers: [Reports],
    exports: [Reports],
  })
  class ReportsModule {}

  it('gives a module a pool of its own, which the registry knows and other modules cannot inject', async () => {
    const app = await boot({ imports: [ReportsModule] });
    expect(app.get(Reports).pool.stats().maxConnections).toBe(4);
    expect(app.get(PoolRegistry).has('reports')).toBe(true);
    class Elsewhere {
      constructor(readonly pool: GatedPool) {}
    }
    InjectPool('reports')(Elsewhere, undefined, 0);
    Injectable()(Elsewhere);
    expect(await message(boot({ imports: [ReportsModule], providers: [Elsewhere] }))).toContain('Pool(reports)');
  });

  it('lets every module inject it where it says so', async () => {
    const feature = PoolModule.forFeature({ name: 'reports', pool: gatedPool(), isGlobal: true });
    @Module({ providers: [Reports] })
    class Other {}
    const app = await boot({ imports: [feature, Other] });
    expect(app.get(Reports, { strict: false }).pool.name).toBe('reports');
  });

  it('makes it by a factory, a class, or what asProvider() gives', async () => {
    @Injectable()
    class Definitions implements PoolOptionsFactory {
      createPoolOptions(names: readonly string[]): Record<string, AnyPoolDefinition> {
        return { [names[0]!]: gatedPool({ maxConnections: 6 }) };
      }
    }
    const config = registerAs('d', () => gatedPool({ maxConnections: 9 }));
    const app = await boot({
      imports: [
        PoolModule.forFeatureAsync({
          name: 'a',
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: ({ maxConnections }) => gatedPool({ maxConnections }),
        }),
        PoolModule.forFeatureAsync({
          name: 'b',
          inject: ['more'],
          extraProviders: [{ provide: 'more', useValue: 8 }],
          useFactory: async (maxConnections: number) => gatedPool({ maxConnections }),
        }),
        PoolModule.forFeatureAsync({ name: 'c', useClass: Definitions }),
        ConfigModule.forRoot({ ignoreEnvFile: true }),
        PoolModule.forFeatureAsync({ name: 'd', ...config.asProvider() }),
      ],
    });
    const stats = app.get(PoolRegistry).stats();
    expect(['a', 'b', 'c', 'd'].map((name) => stats[name]?.maxConnections)).toEqual([7, 8, 6, 9]);
  });

  it('stands beside forRoot, and its name is taken for the whole application', async () => {
    const feature = (): DynamicModule => PoolModule.forFeature({ name: 'reports', pool: gatedPool() });
    const app = await boot({ imports: [PoolModule.forRoot({ pools: { documents: gatedPool() } }), feature()] });
    expect(Object.keys(app.get(PoolRegistry).stats()).toSorted()).toEqual(['documents', 'reports']);
    expect(await message(boot({ imports: [feature(), feature()] }))).toContain(
      'Pool "reports": two pools of this name are registered',
    );
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
