import 'reflect-metadata';
import { Injectable, Module, type Type } from '@nestjs/common';
import {
  type AnyPoolDefinition,
  customPool,
  InjectPool,
  Leased,
  LeasePerRequest,
  type PoolLimits,
  PoolModule,
  type PoolOptionsFactory,
  PoolRegistry,
  UsePool,
} from 'nestjs-pools';
import { httpPool } from 'nestjs-pools/http';
import { boot, closeAll, gatedPool, type GatedPool, message } from '../support/nest-app.js';

afterEach(closeAll);

const pools = { documents: gatedPool() };

/** Options as JavaScript has them, which no compiler has seen. */
const unchecked = (options: object): never => options as never;

describe('a pool that nobody registered', () => {
  it('stops the boot where it is injected, and is named with the class, the argument and the module', async () => {
    @Injectable()
    class Repository {
      constructor(@InjectPool('documnts') readonly pool: GatedPool) {}
    }
    const error = await message(boot({ imports: [PoolModule.forRoot({ pools })], providers: [Repository] }));
    expect(error).toContain("Nest can't resolve dependencies of the Repository (?)");
    expect(error).toContain('the argument "Pool(documnts)" at index [0] is available in the TestModule module');
    expect(error).toContain('Potential solutions');
  });

  it('stops the boot where a method uses it, and the message says by which decorator, and what is missing', async () => {
    @Injectable()
    class Search {
      @UsePool('documnts')
      async find(@Leased() _connection?: unknown): Promise<void> {}
    }
    const error = await message(boot({ imports: [PoolModule.forRoot({ pools })], providers: [Search] }));
    expect(error).toContain("Nest can't resolve dependencies of the Search");
    expect(error).toContain(`@UsePool('documnts') on Search.find(): a PoolModule that registers "documnts"`);
  });

  it('is told at the call where the instance is none of Nest, with the cure', async () => {
    class Search {
      @UsePool('documnts')
      async find(@Leased() _connection?: unknown): Promise<void> {}
    }
    await expect(new Search().find()).rejects.toThrow(
      '@UsePool(\'documnts\') on Search.find(): no pool "documnts" was injected. Register it with PoolModule. If the ' +
        'instance was made by `new`, Nest does not know it: pass the pool to its constructor and write ' +
        '@UsePool((self) => self.pool)',
    );
  });

  it('is told by the registry, with the pools that there are and the likely one', async () => {
    const app = await boot({ imports: [PoolModule.forRoot({ pools })] });
    expect(() => app.get(PoolRegistry).get('document')).toThrow(
      'Pool "document": no pool of this name; there is "documents" (did you mean documents?)',
    );
  });
});

describe('a decorator without a module', () => {
  it('stops the boot', async () => {
    @Injectable()
    class Search {
      @UsePool('documents')
      async find(): Promise<void> {}
    }
    @Module({ providers: [Search] })
    class SearchModule {}
    const error = await message(boot({ imports: [SearchModule] }));
    expect(error).toContain(`on Search.find(): a PoolModule that registers "documents"`);
  });
});

describe('two pools of one name', () => {
  it('stop the boot, whichever way they were registered', async () => {
    const twice = 'Pool "documents": two pools of this name are registered; a name stands for one upstream';
    const again = [
      () => PoolModule.forRoot({ pools }),
      () => PoolModule.forRootAsync({ pools: ['documents'], useFactory: () => pools }),
      () => PoolModule.forFeature({ name: 'documents', pool: pools.documents }),
    ];
    for (const form of again) {
      expect(await message(boot({ imports: [PoolModule.forRoot({ pools }), form()] }))).toContain(twice);
    }
  });
});

describe('a factory that returned the wrong keys', () => {
  const wrong: [string, unknown, string][] = [
    ['keys that are missing', { a: gatedPool() }, 'no definition came back for "b"; pools names "a", "b"'],
    [
      'keys too many',
      { a: gatedPool(), b: gatedPool(), c: gatedPool() },
      'a definition came back for "c", which pools',
    ],
    ['nothing', undefined, 'no definition came back for "a", "b"'],
    [
      'a value that is no definition',
      { a: gatedPool(), b: {} },
      'b: expected what httpPool(…), customPool(…) or another',
    ],
  ];
  it.each(wrong)('stops the boot: %s', async (_what, made, expected) => {
    const useFactory = (() => made) as unknown as () => Record<'a' | 'b', AnyPoolDefinition>;
    expect(await message(boot({ imports: [PoolModule.forRootAsync({ pools: ['a', 'b'], useFactory })] }))).toContain(
      expected,
    );
  });

  it('stops the boot where it is a feature that got several', async () => {
    const useFactory = unchecked(() => pools);
    expect(await message(boot({ imports: [PoolModule.forFeatureAsync({ name: 'a', useFactory })] }))).toContain(
      'Pool "a": a: expected what httpPool(…), customPool(…) or another kind returns',
    );
  });
});

describe('options with a typo', () => {
  it('are refused by a pool, which names itself, the option, and the likely one', async () => {
    const limits = { maxConections: 5, minConnections: -1 } as PoolLimits;
    const definition = { ...customPool({ factory: { create: () => ({}) } }), limits };
    expect(await message(boot({ imports: [PoolModule.forRoot({ pools: { documents: definition } })] }))).toMatch(
      /^Pool "documents": wrong options:\n {2}- maxConections: no such option.*\n {2}- minConnections: expected .* got a negative number/s,
    );
  });

  it('are refused by a kind, before any pool is made', () => {
    expect(() => httpPool(unchecked({ baseUrl: 'http://secret' }))).toThrow(/baseUrl: no such option.*baseURL/s);
  });

  it('are refused by the decorators, when the class is defined', () => {
    const use = (options: object): MethodDecorator => UsePool('documents', options) as MethodDecorator;
    const wrong: [MethodDecorator, string][] = [
      [
        use({ acquireTimoutMs: 5, priority: 10, nested: 'reuse', returns: 'stuff', signal: 5 }),
        "@UsePool('documents') on Search.find(): acquireTimoutMs: no such option; " +
          'priority: expected a whole number from 0 to 9, got another number; ' +
          "nested: expected 'new' or 'join', got a text; " +
          "returns: expected 'promise' or 'iterable' or 'observable' or 'stream', got a text; " +
          'signal: expected the name of a parameter, or a function of the arguments, got another number',
      ],
      [use({ acquireTimeoutMS: 5 }), 'acquireTimeoutMS: no such option (did you mean acquireTimeoutMs?)'],
      [
        LeasePerRequest('documents', unchecked({ timeoutMs: 5 })),
        "@LeasePerRequest('documents') on Search.find(): timeoutMs: no such option",
      ],
    ];
    for (const [decorate, message] of wrong) {
      const define = (): unknown => {
        class Search {
          @decorate
          async find(): Promise<void> {}
        }
        return Search;
      };
      expect(define).toThrow(message);
    }
    const onClass = (): unknown => {
      @LeasePerRequest('documents', unchecked({ priority: -1 }))
      class Everywhere {}
      return Everywhere;
    };
    expect(onClass).toThrow("@LeasePerRequest('documents') on Everywhere: priority: expected");
  });

  it.each<[string, () => unknown, string]>([
    [
      'forRoot',
      () => PoolModule.forRoot(unchecked({ pools, isGlobl: true })),
      'Pool "documents": PoolModule.forRoot: isGlobl: no such option',
    ],
    [
      'forRootAsync',
      () => PoolModule.forRootAsync(unchecked({ pools: ['a'], usefactory: () => ({}) })),
      'PoolModule.forRootAsync: usefactory: no such option (did you mean useFactory?)',
    ],
    [
      'forFeature',
      () => PoolModule.forFeature(unchecked({ name: 'a', definition: gatedPool() })),
      'Pool "a": PoolModule.forFeature: definition: no such option',
    ],
    [
      'shutdown',
      () => PoolModule.forRoot(unchecked({ pools, shutdown: 'later' })),
      "shutdown: expected 'two-phase' or 'close-on-destroy', got a text",
    ],
    [
      'failOnStart',
      () => PoolModule.forRoot(unchecked({ pools, failOnStart: ['nope'] })),
      'failOnStart: expected true, false, or some of "documents", got an array',
    ],
    [
      'several makers',
      () => PoolModule.forRootAsync(unchecked({ pools: ['a'], useFactory: () => ({}), useClass: class {} })),
      'give one of useFactory, useClass, useExisting; useFactory and useClass are there',
    ],
    [
      'no maker',
      () => PoolModule.forRootAsync(unchecked({ pools: ['a'] })),
      'give one of useFactory, useClass, useExisting; none of them is there',
    ],
    [
      'names',
      () => PoolModule.forRootAsync({ pools: ['a', 'a'], useFactory: unchecked(() => ({})) }),
      'pools: the same name stands there twice',
    ],
    [
      'no names',
      () => PoolModule.forRootAsync({ pools: [], useClass: class {} as Type<PoolOptionsFactory<never>> }),
      "pools: expected the pools' names, as in ['embeddings']",
    ],
    ['no options', () => PoolModule.forRoot(undefined as never), 'expected an object of options, got nothing'],
    ['no feature', () => PoolModule.forFeature(undefined as never), 'pools: every name must be a text'],
  ])('are refused by the module: %s', (_what, call, expected) => {
    expect(call).toThrow(expected);
  });
});
