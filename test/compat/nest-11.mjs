/**
 * Packs the package, installs it into an empty CommonJS project with Nest 11 and Terminus 11, and runs app.cjs there.
 * Needs the npm registry, so it is a step of CI and no part of `npm test`.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'nestjs-pools-nest-11-'));
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] }).toString();

try {
  // With its scripts: `prepack` builds what is packed.
  const packed = run('npm', ['pack', '--silent', '--pack-destination', folder], root).trim().split('\n').at(-1);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "commonjs" }');
  const nest = ['common', 'core', 'platform-express', 'platform-fastify', 'terminus'].map(
    (name) => `@nestjs/${name}@11`,
  );
  run(
    'npm',
    ['install', '--silent', '--no-audit', '--no-fund', `./${packed}`, ...nest, 'reflect-metadata', 'rxjs'],
    folder,
  );
  copyFileSync(join(import.meta.dirname, 'app.cjs'), join(folder, 'app.cjs'));
  process.stdout.write(run(process.execPath, ['app.cjs'], folder));
} finally {
  rmSync(folder, { recursive: true });
}
