/**
 * Packs the package, makes a fresh application with Nest's CLI, runs `nest add` and `nest generate` in it, builds it, boots
 * it, and ends it. Needs the npm registry, so it is a step of CI and no part of `npm test`.
 *
 * The parts that only a real CLI shows: how it finds the collection, which options it lets through, what it installs.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packed } from './packed.mjs';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'nestjs-pools-schematics-'));
const app = join(folder, 'app');
const quiet = ['--silent', '--no-audit', '--no-fund'];
const children = [];

/** What a command says; a failure says it too, for CLIs write their errors to either stream. */
function run(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The CLI that the application itself has installed. */
const nest = (...args) => run(process.execPath, ['node_modules/@nestjs/cli/bin/nest.js', ...args], app);
const read = (path) => readFileSync(join(app, path), 'utf8');

// What the generated upstreams declare must be known without an import of them.
const USES_UPSTREAMS = `\
import { Injectable } from '@nestjs/common';
import { type ConnectionPool, InjectPool, PoolRegistry } from 'nestjs-pools';
import type { HttpPool } from 'nestjs-pools/http';

@Injectable()
export class UsesUpstreams {
  constructor(
    @InjectPool('embeddings') readonly embeddings: HttpPool,
    private readonly registry: PoolRegistry,
  ) {}

  typed(): [HttpPool, ConnectionPool<{ url: string }>] {
    return [this.registry.get('embeddings'), this.registry.get('myRenderers')];
  }

  mistyped(): ConnectionPool<string> {
    // @ts-expect-error: its connections are no strings
    return this.registry.get('myRenderers');
  }
}
`;

try {
  const tarball = packed(folder);
  const newApp = ['new', 'app', '--skip-install', '--skip-git', '--no-observe', '--package-manager', 'npm'];
  run(process.execPath, [join(root, 'node_modules/@nestjs/cli/bin/nest.js'), ...newApp], folder);
  // What `nest add` does first; it would take the package from the registry.
  run('npm', ['install', ...quiet, tarball], app);
  step('a fresh application has the package');

  const touched = ['package.json', 'src/app.module.ts', 'src/main.ts'];
  // Not written out as --skip-install: the CLI would hand that on, and the schematic would then install nothing.
  nest('add', 'nestjs-pools', '-s');
  const after = touched.map(read);
  assert.match(read('node_modules/@nestjs/terminus/package.json'), /"version": "12/);
  assert.match(nest('add', 'nestjs-pools', '-s'), /Nothing to be done/);
  assert.deepEqual(touched.map(read), after);
  step('nest add registers a pool and the health routes, once');

  nest('generate', '-c', 'nestjs-pools', 'upstream', 'embeddings');
  nest('generate', '-c', 'nestjs-pools', 'custom-upstream', 'myRenderers');
  // They compile; there need be no such servers for the boot.
  for (const kind of ['postgres', 'mysql', 'redis']) {
    nest('generate', '-c', 'nestjs-pools', `${kind}-upstream`, `my-${kind}`, '--skip-import');
  }
  assert.match(read('src/app.module.ts'), /embeddingsUpstream,\n {4}myRenderersUpstream,/);
  writeFileSync(join(app, 'src/uses-upstreams.ts'), USES_UPSTREAMS);
  nest('build');
  step('nest generate writes upstreams that compile, and type their pools');

  const port = await freePort();
  const environment = { ...process.env, PORT: port, MY_RENDERERS_URL: 'http://127.0.0.1:9', NO_COLOR: '1' };
  const refused = boot({ ...environment, EMBEDDINGS_URL: '' });
  assert.equal((await refused.ended)[0], 1);
  assert.match(refused.output(), /EMBEDDINGS_URL is not set: the upstream "embeddings" needs its URL/);
  step('a URL that is missing ends the boot, and is named');

  const booted = boot({ ...environment, EMBEDDINGS_URL: 'http://127.0.0.1:9' });
  const live = await answer(`http://127.0.0.1:${port}/health/live`, booted);
  const ready = await answer(`http://127.0.0.1:${port}/health/ready`, booted);
  assert.deepEqual([live.status, ready.status], ['ok', 'ok']);
  assert.deepEqual(Object.keys(ready.details).toSorted(), ['embeddings', 'example', 'myRenderers']);
  step('the application boots without a network and answers both health routes');

  const began = performance.now();
  booted.child.kill('SIGTERM');
  assert.deepEqual(await booted.ended, [null, 'SIGTERM']);
  // Nest ends itself by the same signal once all hooks have run; that they ran is in the log.
  assert.match(booted.output(), /Pool\(example\)\] closed in/);
  assert.ok(performance.now() - began < 5_000);
  step('SIGTERM closes the pools');
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}

function boot(env) {
  const child = spawn(process.execPath, ['dist/main.js'], { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  // Not 'exit': what it wrote last may come after that.
  return { child, ended: once(child, 'close'), output: () => output };
}

async function answer(url, { child, output }) {
  for (let tries = 0; tries < 100; tries += 1) {
    assert.equal(child.exitCode, null, output());
    try {
      return await (await fetch(url, { headers: { connection: 'close' } })).json();
    } catch {
      await sleep(100);
    }
  }
  throw new Error(`no answer from ${url}:\n${output()}`);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

function step(what) {
  console.log(`${process.uptime().toFixed(0).padStart(3)} s  ${what}`);
}
