import { nestAdd } from '../../lib/schematics/nest-add.js';
import { readJson } from '../house/library-sources.js';
import { appWith, FRESH_APP } from './fresh-app.js';
import { formatted, runSchematic } from './run-schematic.js';

const { peerDependencies } = readJson<{ peerDependencies: Record<string, string> }>('package.json');

const EXAMPLE = `\
    PoolModule.forRootAsync({
      pools: ['example'], // the names, one per upstream
      useFactory: () => ({
        // To be replaced by an upstream of yours: nest g -c nestjs-pools upstream <name>
        example: customPool({
          factory: { create: () => ({ openedAt: new Date() }) },
          maxConnections: 2,
        }),
      }),
    }),
`;

const moduleAfter = (module: string, options = {}) => {
  const { files, error } = runSchematic(nestAdd(options), appWith(module));
  return error ?? files['src/app.module.ts']!;
};

describe('nest add nestjs-pools', () => {
  it('adds a pool and the health routes to a fresh application', () => {
    const { files } = runSchematic(nestAdd({ sourceRoot: 'src' }), FRESH_APP);
    expect(files['src/app.module.ts']).toBe(`\
import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';
import { customPool, PoolModule } from 'nestjs-pools';
import { PoolHealthModule } from 'nestjs-pools/health';

@Module({
  imports: [
${EXAMPLE}    PoolHealthModule,
  ],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
`);
  });

  it('writes as the formatter of a fresh application would', async () => {
    const { files } = runSchematic(nestAdd({}), FRESH_APP);
    for (const file of ['src/app.module.ts', 'src/main.ts']) {
      expect(files[file]).toBe(await formatted(files[file]!));
    }
  });

  it('enables the shutdown hooks where the application is made', () => {
    const { files, told } = runSchematic(nestAdd({}), FRESH_APP);
    expect(files['src/main.ts']).toContain(
      '  const app = await NestFactory.create(AppModule);\n  app.enableShutdownHooks();\n  await app.listen(',
    );
    expect(told).toEqual([]);
  });

  it('enables them below a call of several lines, and a comment behind it', () => {
    const main =
      'const app = await NestFactory.create<NestExpressApplication>(AppModule, {\n  cors: true,\n}); // CORS\n';
    const { files } = runSchematic(nestAdd({}), { ...FRESH_APP, 'src/main.ts': main });
    expect(files['src/main.ts']).toBe(`${main}app.enableShutdownHooks();\n`);
  });

  it('leaves shutdown hooks that are enabled alone, whatever is handed to them', () => {
    const main = "const app = await NestFactory.create(AppModule);\napp.enableShutdownHooks(['SIGTERM']);\n";
    const { files, told } = runSchematic(nestAdd({}), { ...FRESH_APP, 'src/main.ts': main });
    expect([files['src/main.ts'], told]).toEqual([main, []]);
  });

  it.each([
    ['makes the application otherwise', 'export const start = () => NestFactory.create(AppModule);\n'],
    ['is not there', undefined],
  ])('says what to do about shutdown hooks when main.ts %s', (_, main) => {
    const { 'src/main.ts': fresh, ...rest } = FRESH_APP;
    const before = main === undefined ? rest : { ...rest, 'src/main.ts': main };
    const { files, told } = runSchematic(nestAdd({}), before);
    expect(fresh).toContain('NestFactory');
    expect(files['src/main.ts']).toBe(main);
    expect(files['src/app.module.ts']).toContain('PoolHealthModule');
    expect(told).toEqual([expect.stringMatching(/^src\/main\.ts: .*Call app\.enableShutdownHooks\(\)/)]);
  });

  it('asks for Terminus in the range that the health module takes, and installs it', () => {
    const { files, tasks } = runSchematic(nestAdd({}), FRESH_APP);
    expect(files['package.json']).toBe(
      FRESH_APP['package.json']!.replace(
        '    "nestjs-pools"',
        `    "@nestjs/terminus": "${peerDependencies['@nestjs/terminus']}",\n    "nestjs-pools"`,
      ),
    );
    expect(tasks).toEqual([{ name: 'node-package', options: expect.objectContaining({ command: 'install' }) }]);
  });

  it('installs nothing when told so, and says what is to be installed', () => {
    const { told, tasks } = runSchematic(nestAdd({ skipInstall: true }), FRESH_APP);
    expect([told, tasks]).toEqual([[expect.stringContaining('@nestjs/terminus')], []]);
  });

  it('leaves a Terminus that is there as it is', () => {
    const manifest = '{"devDependencies":{"@nestjs/terminus":"11.0.0"}}';
    const { files, tasks } = runSchematic(nestAdd({}), { ...FRESH_APP, 'package.json': manifest });
    expect([files['package.json'], tasks]).toEqual([manifest, []]);
  });

  it('changes nothing the second time', () => {
    const once = runSchematic(nestAdd({}), FRESH_APP);
    const twice = runSchematic(nestAdd({}), once.files);
    expect(twice).toEqual({ files: once.files, told: [], tasks: [], error: undefined });
  });
});

describe('nest add nestjs-pools, in a root module that is in use', () => {
  it('goes behind what is imported already', async () => {
    const module = `\
import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true }),
    UsersModule, // our own
  ],
})
export class AppModule {}
`;
    const after = moduleAfter(module);
    expect(after).toContain(`    UsersModule, // our own\n${EXAMPLE}    PoolHealthModule,\n  ],\n`);
    expect(after).toBe(await formatted(after));
  });

  it('breaks a list of one line', () => {
    const after = moduleAfter(
      "import { Module } from '@nestjs/common';\n\n@Module({\n  imports: [A, B],\n})\nexport class AppModule {}\n",
    );
    expect(after).toContain(`  imports: [\n    A,\n    B,\n${EXAMPLE}    PoolHealthModule,\n  ],\n`);
  });

  it.each([
    ['[A /* one */, B]', '[A /* one */, B,\n'],
    ['[\n    A,\n    // B,\n  ]', '[\n    A,\n    // B,\n'],
    ['[\n    A, // one\n    ...more\n  ]', '[\n    A, // one\n    ...more,\n'],
    ['[ // none yet\n  ]', '[ // none yet\n'],
  ])('keeps the comments in %j', (list, kept) => {
    const after = moduleAfter(`@Module({\n  imports: ${list},\n})\nexport class AppModule {}\n`);
    expect(after).toContain(`  imports: ${kept}${EXAMPLE}    PoolHealthModule,\n  ],\n`);
  });

  it.each(['@Module({})', '@Module({ providers: [A] })', '@Module({\n  providers: [A],\n})'])(
    'gives %j its first imports',
    async (decorator) => {
      const after = moduleAfter(
        `import { Module } from '@nestjs/common';\n\n${decorator}\nexport class AppModule {}\n`,
      );
      expect(after).toContain(`  imports: [\n${EXAMPLE}    PoolHealthModule,\n  ],\n})\nexport class AppModule {}`);
      expect(after).toBe(await formatted(after));
    },
  );

  it('adds what is missing when a health module of ours is there, under whatever name', () => {
    const module = `\
import { Module } from '@nestjs/common';
import { PoolHealthModule as Health } from 'nestjs-pools/health';

@Module({
  imports: [Health.forRoot({ path: 'status' })],
})
export class AppModule {}
`;
    const after = moduleAfter(module);
    expect(after).toContain(`  imports: [\n    Health.forRoot({ path: 'status' }),\n${EXAMPLE}  ],\n`);
    expect(after.match(/nestjs-pools\/health/g)).toHaveLength(1);
  });

  it('adds the health routes alone to pools that are registered, and extends the import that is there', () => {
    const module = `\
import { Module } from '@nestjs/common';
import { PoolModule } from 'nestjs-pools';

@Module({
  imports: [
    PoolModule.forRoot({ pools }),
  ],
})
export class AppModule {}
`;
    const after = moduleAfter(module);
    expect(after).toContain('    PoolModule.forRoot({ pools }),\n    PoolHealthModule,\n');
    expect(after).not.toContain('example');
  });

  it('extends an import of ours that is there', () => {
    const after = moduleAfter("import { InjectPool } from 'nestjs-pools';\n@Module({})\nexport class AppModule {}\n");
    expect(after).toContain("import { InjectPool, customPool, PoolModule } from 'nestjs-pools';\n");
  });

  it('is not misled by what is commented out', () => {
    const after = moduleAfter(
      '@Module({\n  imports: [\n    // PoolModule.forRoot({ pools }),\n  ],\n})\nexport class AppModule {}\n',
    );
    expect(after).toContain(EXAMPLE);
  });

  it('takes the exported module of a file that has helpers', () => {
    const helper = '@Module({ imports: [] })\nclass HelperModule {}\n';
    const after = moduleAfter(`${helper}\n@Module({\n  imports: [HelperModule],\n})\nexport class AppModule {}\n`);
    expect(after).toContain(helper);
    expect(after).toContain(`  imports: [\n    HelperModule,\n${EXAMPLE}`);
  });

  it('keeps the line ends and the indentation of the file', () => {
    const module =
      "import { Module } from '@nestjs/common';\r\n\r\n@Module({\r\n\timports: [],\r\n})\r\nexport class AppModule {}\r\n";
    const after = moduleAfter(module);
    expect(after.replaceAll('\r\n', '')).not.toContain('\n');
    expect(after).toContain("\r\n\timports: [\r\n\t\tPoolModule.forRootAsync({\r\n\t\t\tpools: ['example'],");
  });
});

describe('nest add nestjs-pools, where it cannot', () => {
  it.each([
    ['@Module({ imports: shared })\nexport class AppModule {}', 'the `imports` of @Module() are no list in brackets'],
    ['@Module({ ...shared })\nexport class AppModule {}', 'the spread in @Module() may have `imports`'],
    ['@Module(metadata)\nexport class AppModule {}', '@Module() is not given an object literal'],
    ['export class AppModule {}', 'it has no class with @Module'],
    ['@Module({})\nexport class A {}\n@Module({})\nexport class B {}', 'it has several modules'],
  ])('changes nothing in %j, and says what to add by hand', (module, reason) => {
    const before = appWith(module);
    const { files, error, tasks } = runSchematic(nestAdd({}), before);
    expect([files, tasks]).toEqual([before, []]);
    expect(error).toContain(`src/app.module.ts: ${reason}`);
    expect(error).toContain("import { customPool, PoolModule } from 'nestjs-pools';\nPoolModule.forRootAsync({");
    expect(error).toContain("import { PoolHealthModule } from 'nestjs-pools/health';\nPoolHealthModule,");
  });

  it('names the file that it misses, those that are there, and the option', () => {
    const { 'src/app.module.ts': module, ...rest } = FRESH_APP;
    const before = { ...rest, 'src/one.module.ts': module!, 'src/two.module.ts': module! };
    const { files, error } = runSchematic(nestAdd({}), before);
    expect(files).toEqual(before);
    expect(error).toBe(
      'src/app.module.ts: there is no such file, so nothing was changed. src/ has one.module.ts, two.module.ts. ' +
        'Name the root module: --module=<file>',
    );
  });

  it('says so when it is run in no project', () => {
    const { 'package.json': _, ...before } = FRESH_APP;
    expect(runSchematic(nestAdd({}), before).error).toMatch(/^package\.json: there is no such file/);
  });
});

describe('nest add nestjs-pools, in other layouts', () => {
  const changed = (options: Parameters<typeof nestAdd>[0], before: Record<string, string>) => {
    const { files, error } = runSchematic(nestAdd({ ...options, skipInstall: true }), before);
    return error ?? Object.keys(files).filter((path) => files[path] !== before[path] && path !== 'package.json');
  };
  const { 'src/app.module.ts': module, 'src/main.ts': main, 'package.json': manifest } = FRESH_APP;
  const monorepo = {
    'package.json': manifest!,
    'nest-cli.json': `{
      // A project of the workspace.
      "sourceRoot": "apps/shop/src",
      "projects": { "shop": { "sourceRoot": "apps/shop/src" }, "mail": { "sourceRoot": "apps/mail/src", "entryFile": "boot" } },
    }`,
    'apps/shop/src/app.module.ts': module!,
    'apps/shop/src/main.ts': main!,
    'apps/mail/src/mail.module.ts': module!,
    'apps/mail/src/boot.ts': main!,
  };

  it.each([
    ['the default project', {}, ['apps/shop/src/app.module.ts', 'apps/shop/src/main.ts']],
    ['a named project', { project: 'mail' }, ['apps/mail/src/boot.ts', 'apps/mail/src/mail.module.ts']],
    [
      "the CLI's source root",
      { sourceRoot: './apps\\mail\\src/' },
      ['apps/mail/src/boot.ts', 'apps/mail/src/mail.module.ts'],
    ],
  ])('finds the files of %s in a monorepo', (_, options, expected) => {
    expect(changed(options, monorepo)).toEqual(expect.arrayContaining(expected));
    expect(changed(options, monorepo)).toHaveLength(2);
  });

  it('names the projects that there are', () => {
    expect(changed({ project: 'shp' }, monorepo)).toBe(
      'nest-cli.json: it has no project "shp". Projects there: shop, mail.',
    );
  });

  it.each(['src/shop/shop.module.ts', 'src/shop/shop', 'shop/shop.module', 'shop/shop'])(
    'takes the module that --module=%s names',
    (option) => {
      const before = { ...FRESH_APP, 'src/shop/shop.module.ts': module! };
      expect(changed({ module: option }, before)).toEqual(['src/main.ts', 'src/shop/shop.module.ts']);
    },
  );

  it('says that there is no module of that name', () => {
    expect(changed({ module: 'shp' }, FRESH_APP)).toBe(
      "shp: no such module, neither from the project's root nor from src/.",
    );
  });

  it('finds the root module above a baseDir of nest-cli.json', () => {
    expect(changed({ sourceRoot: 'src/features' }, FRESH_APP)).toEqual(['src/app.module.ts']);
  });
});
