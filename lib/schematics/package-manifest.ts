import { readFileSync } from 'node:fs';
import type { SchematicContext, SchematicTree } from './schematic.js';

interface Manifest {
  readonly type?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const MANIFEST = 'package.json';

/** @internal */
export function isEsmProject(tree: SchematicTree): boolean {
  return tree.exists(MANIFEST) && read(tree).type === 'module';
}

/**
 * Has an optional peer of this package in the project, in the range that this package asks for; or, with `isDev`, what only
 * its types need. One that is there already stays as it is.
 *
 * @internal
 */
export function requirePackage(
  tree: SchematicTree,
  context: SchematicContext,
  name: string,
  { skipInstall = false, isDev = false }: { readonly skipInstall?: boolean; readonly isDev?: boolean },
): void {
  if (!tree.exists(MANIFEST)) throw new Error(`${MANIFEST}: there is no such file; run this in the project's root.`);
  const manifest = read(tree);
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = manifest;
  if (name in { ...peerDependencies, ...optionalDependencies, ...devDependencies, ...dependencies }) return;

  const group = isDev ? 'devDependencies' : 'dependencies';
  const entries = Object.entries({ ...manifest[group], [name]: ownRange(name) });
  const sorted = Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const text = tree.readText(MANIFEST);
  const indent = /^[ \t]+/m.exec(text)?.[0] ?? '  ';
  const ending = /\s*$/.exec(text)![0];
  tree.overwrite(MANIFEST, JSON.stringify({ ...manifest, [group]: sorted }, undefined, indent) + ending);
  if (skipInstall) return context.logger.info(`package.json now names ${name}: install it.`);
  // What the devkit's NodePackageInstallTask comes to.
  const options = { command: 'install', quiet: true, hideOutput: true, allowScripts: false };
  context.addTask({ toConfiguration: () => ({ name: 'node-package', options }) });
}

function read(tree: SchematicTree): Manifest {
  return JSON.parse(tree.readText(MANIFEST)) as Manifest;
}

function ownRange(name: string): string {
  const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest;
  return (own.peerDependencies![name] ?? own.devDependencies![name])!;
}
