/**
 * The type tests, and the built declarations that they import, by every compiler that consumers have: the last 5, the 6 that
 * is installed here, and 7, which is another program. Needs the npm registry and a built dist/.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { version as installed } from 'typescript';

const root = join(import.meta.dirname, '../..');
const config = join(import.meta.dirname, 'tsconfig.json');
const execute = promisify(execFile);

const versions = ['5.9.3', installed, '7.0.2'];
const checks = versions.map((version) => check(version));
for (const [index, version] of versions.entries()) {
  const complaints = await checks[index];
  if (complaints !== undefined) process.exitCode = 1;
  console.log(`TypeScript ${version}: ${complaints === undefined ? 'ok' : `FAILED\n${complaints}`}`);
}

/** What it complains of, if it does. */
async function check(version) {
  try {
    // That it is that one which runs, and not the one installed, is the first thing to see to.
    assertIs(version, (await tsc(version, '--version')).stdout);
    await tsc(version, '-p', config);
    return undefined;
  } catch (error) {
    return error.stdout || String(error);
  }
}

function tsc(version, ...args) {
  const own = join(root, 'node_modules/typescript/bin/tsc');
  if (version === installed) return execute(process.execPath, [own, ...args], { cwd: root });
  return execute('npx', ['-y', '-p', `typescript@${version}`, 'tsc', ...args], { cwd: root });
}

function assertIs(version, output) {
  if (output.trim() !== `Version ${version}`) throw new Error(`another compiler runs: ${output}`);
}
