import { readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix } from 'node:path';
import ts from 'typescript';

const root = join(import.meta.dirname, '../..');

interface Import {
  readonly specifier: string;
  /** As `core/lease.ts`, for one inside the library. */
  readonly file?: string;
  /** As `@nestjs/common`, for one from a package; `node:net` for one of Node's own. */
  readonly package?: string;
}

export interface Source {
  /** From lib/, with slashes: `core/lease.ts`. */
  readonly path: string;
  /** The folder of lib/ it stands in: `core`; `index` for lib/index.ts itself. */
  readonly section: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly tree: ts.SourceFile;
}

export function parseSource(path: string, text: string): Source {
  const specifiers = ts.preProcessFile(text, true, true).importedFiles.map((file) => file.fileName);
  return {
    path,
    section: path.includes('/') ? path.slice(0, path.indexOf('/')) : 'index',
    lines: text.split('\n').length - 1,
    imports: specifiers.map((specifier) => resolveImport(path, specifier)),
    tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true),
  };
}

export function readLibrary(): Source[] {
  return readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.[cm]?[jt]sx?$/.test(file))
    .map((file) => parseSource(file.replaceAll('\\', '/'), readFileSync(join(root, 'lib', file), 'utf8')));
}

export function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(join(root, file), 'utf8')) as T;
}

function resolveImport(from: string, specifier: string): Import {
  if (specifier.startsWith('.')) {
    return { specifier, file: posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts') };
  }
  if (specifier.startsWith('node:')) return { specifier, package: specifier };
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return { specifier, package: builtinModules.includes(name) ? `${specifier} (write node:${specifier})` : name };
}
