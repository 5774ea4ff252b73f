import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/**
 * The package as it would be published: packed into `folder`, or the one that `PACKED` names, so that who runs several
 * of these packs once.
 */
export function packed(folder) {
  const { PACKED } = process.env;
  if (PACKED !== undefined) return resolve(PACKED);
  // With its scripts: `prepack` builds what is packed.
  const args = ['pack', '--silent', '--pack-destination', folder];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}\n${stdout}\n${stderr}`);
  return join(folder, stdout.trim().split('\n').at(-1));
}
