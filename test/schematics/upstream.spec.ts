import {
  customUpstream,
  mysqlUpstream,
  postgresUpstream,
  redisUpstream,
  upstream,
  type UpstreamOptions,
} from '../../lib/schematics/upstream.js';
import { readJson } from '../house/library-sources.js';
import { appWith, FRESH_APP } from './fresh-app.js';
import { formatted, runSchematic } from './run-schematic.js';

const { peerDependencies } = readJson<{ peerDependencies: Record<string, string> }>('package.json');

const generate = (options: UpstreamOptions, before = FRESH_APP) => runSchematic(upstream(options), before);

describe('nest g -c nestjs-pools upstream', () => {
  it('writes a pool of HTTP connections, its type, and an error for a URL that is missing', () => {
    const { files } = generate({ name: 'my-search' });
    expect(files['src/upstreams/my-search.upstream.ts']).toBe(`\
import { PoolModule } from 'nestjs-pools';
import { type HttpPool, httpPool } from 'nestjs-pools/http';

// Tells its type wherever the pool is asked for by its name.
declare module 'nestjs-pools' {
  interface PoolRegistryTypes {
    mySearch: HttpPool;
  }
}

/** Import it once. Then every class can have \`@InjectPool('mySearch')\`. */
export const mySearchUpstream = PoolModule.forFeatureAsync({
  name: 'mySearch',
  useFactory: () => {
    const url = process.env.MY_SEARCH_URL;
    if (!url) {
      throw new Error(
        'MY_SEARCH_URL is not set: the upstream "mySearch" needs its URL, as in http://localhost:8080',
      );
    }
    return httpPool({ baseURL: url, maxConnections: 20 });
  },
});
`);
  });

  it('registers it in the root module, behind what is there', () => {
    const { files, told } = generate({ name: 'my-search' });
    expect(files['src/app.module.ts']).toContain(
      "import { mySearchUpstream } from './upstreams/my-search.upstream.js';\n",
    );
    expect(files['src/app.module.ts']).toContain('  imports: [mySearchUpstream],\n');
    expect(told).toEqual(["Next: set MY_SEARCH_URL, and inject the pool with @InjectPool('mySearch')."]);
  });

  it('breaks a list that would not fit its line', () => {
    const list = '[UsersModule, OrdersModule, PaymentsModule, WarehouseModule]';
    const { files } = generate(
      { name: 'prices' },
      appWith(`@Module({\n  imports: ${list},\n})\nexport class AppModule {}\n`),
    );
    expect(files['src/app.module.ts']).toContain('    WarehouseModule,\n    pricesUpstream,\n  ],\n');
  });

  it('asks for axios, which HTTP connections need, once', () => {
    const once = generate({ name: 'one' });
    expect(JSON.parse(once.files['package.json']!)).toHaveProperty('dependencies.axios', peerDependencies.axios);
    expect(once.tasks).toHaveLength(1);
    const twice = generate({ name: 'two' }, once.files);
    expect([twice.files['package.json'], twice.tasks]).toEqual([once.files['package.json'], []]);
    expect(twice.files['src/app.module.ts']).toContain('  imports: [oneUpstream, twoUpstream],\n');
  });

  it.each((['http', 'postgres', 'mysql', 'redis', 'custom'] as const).map((kind) => ({ kind })))(
    'writes %j as the formatter of a fresh application would',
    async ({ kind }) => {
      const { files } = generate({ name: 'some-renderers', kind });
      for (const file of ['src/upstreams/some-renderers.upstream.ts', 'src/app.module.ts']) {
        expect(files[file]).toBe(await formatted(files[file]!));
      }
    },
  );

  it('writes a factory to be filled in for the custom kind, and asks for no package', () => {
    const { files, tasks } = runSchematic(customUpstream({ name: 'renderers' }), FRESH_APP);
    const text = files['src/upstreams/renderers.upstream.ts'];
    expect(text).toContain('export interface RenderersConnection {');
    expect(text).toContain('    renderers: ConnectionPool<RenderersConnection>;');
    expect(text).toContain('const factory: ConnectionFactory<RenderersConnection> = {');
    expect([files['package.json'], tasks]).toEqual([FRESH_APP['package.json'], []]);
  });

  it.each([
    ['postgres', postgresUpstream, 'connectionString', 'PostgresPool', 'pg'],
    ['mysql', mysqlUpstream, 'uri', 'MysqlPool', 'mysql2'],
    ['redis', redisUpstream, 'url', 'RedisPool', 'ioredis'],
  ] as const)('writes a pool of %s clients, and asks for its driver', (kind, schematic, option, type, driver) => {
    const { files, tasks } = runSchematic(schematic({ name: 'documents' }), FRESH_APP);
    const text = files['src/upstreams/documents.upstream.ts'];
    expect(text).toContain(`import { type ${type}, ${kind}Pool } from 'nestjs-pools/${kind}';`);
    expect(text).toContain(`    documents: ${type};`);
    expect(text).toContain(`    return ${kind}Pool({ ${option}: url, maxConnections: 10 });`);
    expect(JSON.parse(files['package.json']!)).toHaveProperty(['dependencies', driver], peerDependencies[driver]);
    expect(tasks).not.toEqual([]);
    expect(generate({ name: 'documents', kind }).files).toEqual(files);
  });

  it('asks for the types of pg beside it, which the application does not need at work', () => {
    const { files } = generate({ name: 'documents', kind: 'postgres' });
    expect(JSON.parse(files['package.json']!)).toHaveProperty(['devDependencies', '@types/pg']);
  });

  it('is the same for --kind=custom', () => {
    const one = generate({ name: 'renderers', kind: 'custom' });
    expect(one).toEqual(runSchematic(customUpstream({ name: 'renderers' }), FRESH_APP));
  });
});

describe('the name of an upstream', () => {
  it.each([
    ['embeddings', 'embeddings', 'embeddings', 'EMBEDDINGS_URL'],
    ['my-search', 'my-search', 'mySearch', 'MY_SEARCH_URL'],
    ['mySearch', 'my-search', 'mySearch', 'MY_SEARCH_URL'],
    ['MySearch', 'my-search', 'mySearch', 'MY_SEARCH_URL'],
    ['my_search', 'my-search', 'mySearch', 'MY_SEARCH_URL'],
    ['My Search', 'my-search', 'mySearch', 'MY_SEARCH_URL'],
    ['-my--search-', 'my-search', 'mySearch', 'MY_SEARCH_URL'],
    ['gpt-4', 'gpt-4', 'gpt4', 'GPT_4_URL'],
    ['class', 'class', 'class', 'CLASS_URL'],
  ])('%j comes to %s.upstream.ts, the pool %s and %s', (name, file, pool, variable) => {
    const { files } = generate({ name });
    const text = files[`src/upstreams/${file}.upstream.ts`];
    expect(text).toContain(`export const ${pool}Upstream = PoolModule.forFeatureAsync({\n  name: '${pool}',`);
    expect(text).toContain(`    ${pool}: HttpPool;`);
    expect(text).toContain(`process.env.${variable};`);
  });

  it.each(['4gpt', 'größe', "it's", 'a.b', '', '--', '${x}'])('cannot be %j', (name) => {
    const { files, error } = generate({ name });
    expect(files).toEqual(FRESH_APP);
    expect(error).toContain(`"${name}" cannot be the name of an upstream`);
  });
});

describe('the place of an upstream', () => {
  it.each([
    [{ name: 'prices' }, 'src/upstreams/prices.upstream.ts'],
    [{ name: 'prices', flat: true }, 'src/prices.upstream.ts'],
    [{ name: 'prices', path: 'shop' }, 'src/shop/upstreams/prices.upstream.ts'],
    [{ name: 'shop/prices', flat: true }, 'src/shop/prices.upstream.ts'],
    [{ name: 'prices', sourceRoot: 'apps/shop/src' }, 'apps/shop/src/upstreams/prices.upstream.ts'],
  ])('is, for %j, %s', (options, path) => {
    const before = { ...FRESH_APP, 'apps/shop/src/app.module.ts': FRESH_APP['src/app.module.ts']! };
    const { files } = generate(options, before);
    expect(Object.keys(files)).toContain(path);
  });

  it('is imported from wherever the module is', () => {
    const before = { ...FRESH_APP, 'src/shop/shop.module.ts': FRESH_APP['src/app.module.ts']! };
    const { files } = generate({ name: 'prices', module: 'shop/shop' }, before);
    expect(files['src/shop/shop.module.ts']).toContain("from '../upstreams/prices.upstream.js';");
  });

  it.each([
    ["import { A } from './a';\n", '"module"', "'./upstreams/prices.upstream'"],
    ["import { A } from './a.ts';\n", '"module"', "'./upstreams/prices.upstream.ts'"],
    ['', '"module"', "'./upstreams/prices.upstream.js'"],
    ['', '"commonjs"', "'./upstreams/prices.upstream'"],
  ])('is imported as beside %j, in a project of type %s, from %s', (imported, type, from) => {
    const module = appWith(`${imported}@Module({})\nexport class AppModule {}\n`);
    const { files } = generate({ name: 'prices' }, { ...module, 'package.json': `{ "type": ${type} }` });
    expect(files['src/app.module.ts']).toContain(`import { pricesUpstream } from ${from};`);
  });
});

describe('nest g -c nestjs-pools upstream, where it cannot', () => {
  it('leaves a file that is there alone', () => {
    const once = generate({ name: 'prices' });
    const twice = generate({ name: 'Prices' }, once.files);
    expect(twice.files).toEqual(once.files);
    expect(twice.error).toMatch(/^src\/upstreams\/prices\.upstream\.ts: it is there already\./);
  });

  it.each([
    ['understood', appWith('@Module(metadata)\nexport class AppModule {}\n')],
    ['found', { 'package.json': '{}' }],
  ])('writes nothing when the root module is not %s, and says how to have the file alone', (_, before) => {
    const { files, error, tasks } = generate({ name: 'prices' }, before);
    expect([files, tasks]).toEqual([before, []]);
    expect(error).toMatch(/^src\/app\.module\.ts: .*--skip-import/);
  });

  it('writes the file alone with --skip-import, and says what to import', () => {
    const { files, told } = generate({ name: 'prices', skipImport: true }, appWith('@Module(metadata)'));
    expect(Object.keys(files)).toContain('src/upstreams/prices.upstream.ts');
    expect(files['src/app.module.ts']).toBe('@Module(metadata)');
    expect(told).toEqual([expect.stringContaining('import pricesUpstream in a module')]);
  });
});
