import {
  MAX_LINES,
  NOT_IMPORTED_BY_NAME,
  defaultExportBreaches,
  importBreaches,
  placeOf,
  timeBreaches,
} from './house-rules.js';
import { type Source, parseSource, readJson, readLibrary } from './library-sources.js';

const library = readLibrary();
const places = [...new Set(library.map((source) => placeOf(source.path)))].toSorted();
const folders = [...new Set(library.map((source) => source.section))].filter((section) => section !== 'index');
const entries = Object.keys(readJson<{ exports: object }>('package.json').exports)
  .filter((entry) => entry !== './package.json')
  .map((entry) => (entry === '.' ? 'index.ts' : `${entry.slice(2)}/index.ts`));

const breaches = (rule: (source: Source) => string[]) => library.flatMap(rule);

describe('The architecture of lib/', () => {
  it('has a core and a root entry to look at', () => {
    expect(places).toEqual(expect.arrayContaining(['core', 'index']));
  });

  it.each(places)('lets %s import only what its place allows', (place) => {
    expect(library.filter((source) => placeOf(source.path) === place).flatMap(importBreaches)).toEqual([]);
  });

  it('is written in TypeScript modules only', () => {
    expect(library.map((source) => source.path).filter((path) => !path.endsWith('.ts'))).toEqual([]);
  });

  it('lets core tell the time by its clock alone', () => {
    expect(breaches(timeBreaches)).toEqual([]);
  });

  it('has no default exports', () => {
    expect(breaches(defaultExportBreaches)).toEqual([]);
  });

  it(`has no file longer than ${MAX_LINES} lines`, () => {
    const long = library.filter((source) => source.lines > MAX_LINES);
    expect(long.map((source) => `${source.path}: ${source.lines} lines`)).toEqual([]);
  });

  it('imports no file that is not there', () => {
    const imported = library.flatMap((source) => source.imports.flatMap(({ file }) => file ?? []));
    const paths = new Set(library.map((source) => source.path));
    expect(imported.filter((file) => !paths.has(file))).toEqual([]);
  });
});

describe('The entry points in package.json', () => {
  it.each(folders.filter((folder) => !NOT_IMPORTED_BY_NAME.includes(folder)))('have one for lib/%s', (folder) => {
    expect(entries).toContain(`${folder}/index.ts`);
  });

  const isWritten = (entry: string) => entry === 'index.ts' || folders.includes(entry.split('/')[0]!);

  it.each(entries.filter(isWritten))('find lib/%s', (entry) => {
    expect(library.map(({ path }) => path)).toContain(entry);
  });

  // An entry point without any code behind it fails `npm run check:package`: the file that it names is not in dist/.
  for (const entry of entries.filter((one) => !isWritten(one))) it.todo(`will find lib/${entry}`);
});

describe('The rules of the house', () => {
  const imports = (path: string, specifiers: string[]) =>
    importBreaches(parseSource(path, specifiers.map((specifier) => `import '${specifier}';`).join('\n')));

  it.each([
    [
      'core/a.ts',
      ['axios', 'rxjs', '@nestjs/common', '../http/index.js', '../nest/pool.tokens.js', '../index.js', 'net'],
    ],
    ['http/a.ts', ['pg', '@nestjs/common', '../redis/index.js', '../nest/pool.tokens.js', '../embedding/client.js']],
    ['embedding/client.ts', ['@nestjs/common', 'reflect-metadata', 'rxjs', './embedding.module.js', '../nest/a.js']],
    ['embedding/embedding.module.ts', ['@nestjs/terminus', '../health/index.js', '../testing/index.js']],
    ['nest/pool.module.ts', ['@nestjs/terminus', 'axios', '../http/index.js', '../health/index.js', '../index.js']],
    ['health/pool.health.ts', ['axios', '../metrics/index.js', '../embedding/index.js', '../http/index.js']],
    ['testing/fake.ts', ['axios', '../http/index.js', '../embedding/index.js']],
    [
      'schematics/nest-add.ts',
      ['@nestjs/common', '@angular-devkit/schematics', '../core/index.js', '../http/index.js'],
    ],
    ['index.ts', ['@nestjs/terminus', './http/index.js', './testing/index.js', './schematics/nest-add.js']],
  ])('forbid %s every one of %j', (path, specifiers) => {
    expect(imports(path, specifiers)).toEqual(specifiers.map((specifier) => `${path} imports ${specifier}`));
  });

  it.each([
    ['core/a.ts', ['node:util', './b.js', '../core/c.js']],
    ['http/a.ts', ['node:net', 'axios', 'undici', '../core/index.js', './b.js']],
    ['embedding/client.ts', ['./batch.js', '../http/index.js', '../core/index.js']],
    ['embedding/embedding.service.ts', ['rxjs', './client.js', '../nest/pool.tokens.js', '../http/index.js']],
    ['embedding/index.ts', ['./client.js', './embedding.module.js']],
    ['health/pool.health.ts', ['@nestjs/terminus', '@nestjs/common', '../nest/pool.registry.js', '../core/index.js']],
    ['testing/fake.ts', ['../core/index.js', '../nest/pool.tokens.js', '@nestjs/common']],
    ['schematics/nest-add.ts', ['node:path', 'typescript', './module-file.js']],
    ['index.ts', ['./core/index.js', './nest/pool.module.js']],
  ])('allow %s all of %j', (path, specifiers) => {
    expect(imports(path, specifiers)).toEqual([]);
  });

  it('see an import however it is written', () => {
    const written = [
      `import a from 'a';`,
      `import type { B } from 'b';`,
      `export * from 'c';`,
      `export type { D } from 'd/deep';`,
      `const e = await import('@scope/e/deep');`,
      `type F = import('f').F;`,
      `const g = require('g');`,
    ];
    const { imports: seen } = parseSource('core/a.ts', written.join('\n'));
    expect(seen.map((one) => one.package)).toEqual(['a', 'b', 'c', 'd', '@scope/e', 'f', 'g']);
  });

  it('ask for a place for a new folder', () => {
    expect(importBreaches(parseSource('grpc/index.ts', ''))).toEqual([
      'grpc/index.ts: lib/grpc has no place in the architecture',
    ]);
  });

  it('see core reading a clock or setting a timer of its own', () => {
    const wrong = [
      'Date.now()',
      'performance.now()',
      'new Date()',
      'setTimeout',
      'globalThis.setInterval',
      'setImmediate',
    ];
    const told = timeBreaches(
      parseSource(
        'core/a.ts',
        `import { setTimeout as sleep } from 'node:timers/promises';
         Date.now(); performance.now(); new Date(); setTimeout(f, 1); globalThis.setInterval(f, 1); run(setImmediate);
         clock.now(); clock.setTimeout(f, 1); this.clock.setTimeout; new Date(clock.now()); const c = { setTimeout: f };
         interface Clock { setTimeout(f: () => void): void }`,
      ),
    );
    expect(told).toHaveLength(1 + wrong.length);
    expect(timeBreaches(parseSource('core/clock.ts', 'setTimeout(f, 1)'))).toEqual([]);
    expect(timeBreaches(parseSource('http/a.ts', 'setTimeout(f, 1)'))).toEqual([]);
  });

  it.each([
    'export default class {}',
    'export default function f() {}',
    'export default 1;',
    'export { a as default };',
    "export { default } from './b.js';",
  ])('see the default export in: %s', (text) => {
    expect(defaultExportBreaches(parseSource('core/a.ts', text))).toHaveLength(1);
  });
});
