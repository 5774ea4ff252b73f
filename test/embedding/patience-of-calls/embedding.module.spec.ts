import { type DynamicModule, Inject, Injectable } from '@nestjs/common';
import { PoolModule } from 'nestjs-pools';
import { EmbeddingModule, EmbeddingService, getEmbeddingsToken, InjectEmbeddings } from 'nestjs-pools/embedding';
import { httpPool } from 'nestjs-pools/http';
import type { EmbeddingServer } from '../../support/embedding-server.js';
import { boot, closeAll, message } from '../../support/nest-app.js';
import { MODEL, serverOf, tidyUp } from './rig.js';

afterEach(async () => {
  await closeAll();
  await tidyUp();
});

/** Pools of these names, each to its own server. */
function pools(servers: Record<string, EmbeddingServer>): DynamicModule {
  const entries = Object.entries(servers);
  return PoolModule.forRoot({
    pools: Object.fromEntries(entries.map(([name, { url }]) => [name, httpPool({ baseURL: url })])),
  });
}

describe('EmbeddingModule', () => {
  it('makes as many services as there are names, over one pool or several', async () => {
    @Injectable()
    class Search {
      constructor(
        @Inject(EmbeddingService) readonly usual: EmbeddingService,
        @InjectEmbeddings() readonly same: EmbeddingService,
        @InjectEmbeddings('large') readonly large: EmbeddingService,
        @InjectEmbeddings('elsewhere') readonly elsewhere: EmbeddingService,
      ) {}
    }
    const [here, there] = [await serverOf(), await serverOf()];
    const app = await boot({
      imports: [
        pools({ here, there }),
        EmbeddingModule.forRoot({ pool: 'here', model: 'small' }),
        EmbeddingModule.forRoot({ pool: 'here', name: 'large', model: 'large' }),
        EmbeddingModule.forRootAsync({ pool: 'there', name: 'elsewhere', useFactory: () => ({ model: 'other' }) }),
      ],
      providers: [Search],
    });
    const { usual, same, large, elsewhere } = app.get(Search);
    expect(same).toBe(usual);
    expect([usual.model, large.model, elsewhere.model]).toEqual(['small', 'large', 'other']);
    await Promise.all([usual, large, elsewhere].map((service) => service.embed('a')));
    expect(here.requests.map(({ body }) => String(body['model'])).toSorted()).toEqual(['large', 'small']);
    expect(there.requests.map(({ body }) => body['model'])).toEqual(['other']);
    expect(app.get(getEmbeddingsToken('large'))).toBe(large);
  });

  it('has other pools asked for when the first is down, by their names', async () => {
    const [first, second, third] = [await serverOf(), await serverOf(), await serverOf()];
    for (const server of [first, second]) server.script = () => ({ error: [402, 'spent'] });
    const app = await boot({
      imports: [
        pools({ first, second, third }),
        EmbeddingModule.forRoot({
          pool: 'first',
          model: MODEL,
          failover: ['second', { pool: 'third', model: 'its own' }],
        }),
      ],
    });
    const service = app.get(EmbeddingService);
    expect(await service.embed('a')).toHaveLength(8);
    expect([first, second, third].map(({ requests }) => requests[0]?.body['model'])).toEqual([MODEL, MODEL, 'its own']);
    expect(service.stats().endpoints.map(({ pool, state }) => [pool, state])).toEqual([
      ['first', 'open'],
      ['second', 'open'],
      ['third', 'closed'],
    ]);
  });

  it('takes its options from what it injects', async () => {
    const server = await serverOf();
    const settings = {
      module: class Settings {},
      providers: [{ provide: 'MODEL', useValue: 'injected' }],
      exports: ['MODEL'],
    };
    const app = await boot({
      imports: [
        pools({ embeddings: server }),
        EmbeddingModule.forRootAsync({
          pool: 'embeddings',
          failover: [],
          imports: [settings],
          inject: ['MODEL'],
          useFactory: async (model: unknown) => ({ model: model as string }),
        }),
      ],
    });
    expect(app.get(EmbeddingService).model).toBe('injected');
  });

  it('keeps the application from booting with wrong options, and names all of them', async () => {
    const server = await serverOf();
    const options = { model: MODEL, batchSize: 0, retry: { attempts: 0 }, nonsense: 1, breaker: { minCalls: -1 } };
    const wrong = [
      EmbeddingModule.forRoot({ pool: 'embeddings', ...options } as never),
      EmbeddingModule.forRootAsync({ pool: 'embeddings', useFactory: () => options as never }),
    ];
    for (const embeddings of wrong) {
      const said = await message(boot({ imports: [pools({ embeddings: server }), embeddings] }));
      for (const name of ['batchSize', 'retry.attempts', 'nonsense', 'breaker.minCalls']) expect(said).toContain(name);
    }
  });

  it('refuses names that are none, and a pool that stands there twice', () => {
    const make = (options: object) => () => EmbeddingModule.forRoot({ model: MODEL, ...options } as never);
    expect(make({})).toThrow('pool: expected the name of a pool');
    expect(make({ pool: 'a', failover: [{ pool: 1 }], name: 2 })).toThrow(/failover\[0\]\.pool: .*\n.*name: /);
    expect(make({ pool: 'a', failover: ['a'] })).toThrow('a pool stands in it twice');
  });

  it('names the pool that there is not', async () => {
    const server = await serverOf();
    const embeddings = EmbeddingModule.forRoot({ pool: 'nowhere', model: MODEL });
    expect(await message(boot({ imports: [pools({ embeddings: server }), embeddings] }))).toContain('nowhere');
  });

  it('refuses two services of one name that every module would see, of which Nest would take either', async () => {
    const server = await serverOf();
    for (const name of [undefined, 'large']) {
      const named = { pool: 'embeddings', ...(name === undefined ? {} : { name }) };
      const two = [
        EmbeddingModule.forRoot({ ...named, model: 'one' }),
        EmbeddingModule.forRoot({ ...named, model: 'other' }),
      ];
      const said = await message(boot({ imports: [pools({ embeddings: server }), ...two] }));
      expect(said).toContain(`two services that are called "${name ?? 'default'}"`);
    }
  });

  it('takes two of one name where one of them is for the modules alone that import it', async () => {
    const app = await boot({
      imports: [
        pools({ embeddings: await serverOf() }),
        EmbeddingModule.forRoot({ pool: 'embeddings', model: 'one' }),
        EmbeddingModule.forRoot({ pool: 'embeddings', model: 'other', isGlobal: false }),
      ],
    });
    expect(
      app
        .get(EmbeddingService, { each: true })
        .map(({ model }) => model)
        .toSorted(),
    ).toEqual(['one', 'other']);
  });
});
