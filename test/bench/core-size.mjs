import { readdir, readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { minify } from '@swc/core';

const CORE = new URL('../../dist/core/', import.meta.url);

/**
 * The core as a bundler would send it, or a little more: every file is minified alone, so names that only meet across
 * files stay long, and so do the imports.
 */
export async function coreSize() {
  const names = (await readdir(CORE)).filter((name) => name.endsWith('.js')).sort();
  const options = { module: true, compress: true, mangle: { toplevel: true } };
  const parts = await Promise.all(
    names.map(async (name) => (await minify(await readFile(new URL(name, CORE), 'utf8'), options)).code),
  );
  const text = parts.join('\n');
  return { files: names.length, minified: text.length, gzipped: gzipSync(text, { level: 9 }).length };
}
