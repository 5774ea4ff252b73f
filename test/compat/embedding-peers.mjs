/**
 * The embedding adapters under the frameworks as they are today, which no longer run on our oldest Node; those that still do
 * have their tests in test/embedding/adapters. The package is packed, installed beside them, compiled against their types and
 * run on a newer Node over a real server.
 *
 * Needs the npm registry, so it is a step of CI and no part of `npm test`. Prints a line per check.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { packed } from './packed.mjs';

const execute = promisify(execFile);

/** The current major versions: a new one is looked at before CI goes by it. */
const FRAMEWORKS = [
  'ai@7',
  '@ai-sdk/openai@4',
  '@langchain/core@1',
  '@langchain/openai@^1.6.0',
  // By its tag: npm may take an older version for a range of this one.
  '@llamaindex/core@latest',
  'openai@7',
];
/** undici 8 is not among those that the package takes. */
const OURS = ['@nestjs/common@12', '@nestjs/core@12', 'axios@1', 'reflect-metadata', 'rxjs@7', 'undici@7'];
const COMPILER = ['typescript@7.0.2', '@types/node@24', 'zod@4'];
const SHOWN = ['ai', '@ai-sdk/openai', '@langchain/core', '@langchain/openai', '@llamaindex/core', 'openai'];

/** What undici and openai ask for. */
const OLDEST_NODE = [22, 19];

const COMPILER_OPTIONS = {
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  // The adapters are checked here. Ours are checked in the matrix, those of the frameworks are not ours to mend.
  skipLibCheck: true,
  types: ['node'],
};

const scratch = await mkdtemp(join(tmpdir(), 'nestjs-pools-peers-'));
try {
  await install();
  await compile();
  await run();
} catch (error) {
  process.exitCode = 1;
  // Compilers complain on their stdout; what a command has on its stderr is in the error's message.
  say('peers', `FAILED ${error.stack}\n${error.stdout ?? ''}`.trimEnd());
} finally {
  await rm(scratch, { recursive: true });
}

async function install() {
  await cp(join(import.meta.dirname, 'embedding-peers'), scratch, { recursive: true });
  await writeFile(join(scratch, 'package.json'), '{ "private": true, "type": "module" }');
  const packages = [packed(scratch), ...FRAMEWORKS, ...OURS, ...COMPILER];
  await execute('npm', ['install', '--loglevel=error', '--no-audit', '--no-fund', ...packages], { cwd: scratch });
  const versions = await Promise.all(SHOWN.map(async (name) => `${name} ${await versionOf(name)}`));
  say('installed', versions.join(', '));
}

async function versionOf(name) {
  return JSON.parse(await readFile(join(scratch, 'node_modules', name, 'package.json'), 'utf8')).version;
}

async function compile() {
  // Kept as text: this repository has older versions of the frameworks, which its own compiler would take.
  const types = await readFile(join(scratch, 'types.txt'), 'utf8');
  await writeFile(join(scratch, 'types.ts'), types);
  await writeFile(
    join(scratch, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: ['types.ts'] }),
  );
  await execute(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], { cwd: scratch });
  say('types', "the adapters are what ai, LangChain and LlamaIndex declare, by TypeScript's own check");
}

/** What the script prints has a line per check; it ends with 1 when one has failed. */
async function run() {
  const [command, ...args] = newerNode();
  const child = spawn(command, [...args, 'main.mjs'], { cwd: scratch, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    const [where, ...what] = line.split('\t');
    if (what.length === 0) console.log(line);
    else say(where, what.join('\t'));
  }
  const [code, signal] = await ended;
  if (code !== 0) throw new Error(`the checks ended with ${code ?? signal}`);
}

/** This one where it is new enough, else one from the registry. */
function newerNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [oldest, from] = OLDEST_NODE;
  if (major > oldest || (major === oldest && minor >= from)) return [process.execPath];
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  return ['npx', '--yes', '--package', `node-${platform}-${process.arch}@24`, 'node'];
}

function say(where, what) {
  console.log(`${process.uptime().toFixed(0).padStart(3)} s  ${where.padEnd(17)}  ${what}`);
}
