/**
 * The package as its consumers have it, on every Nest that it promises to work with: packed once, installed with Nest 11 and
 * with Nest 12, and in each a CommonJS and an ESM application, compiled there, on Express and on Fastify.
 *
 * Needs the npm registry, so it is a step of CI and no part of `npm test`. Prints a line per cell.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppProcess } from './app-process.mjs';
import { ConsumerFolder, FORMATS } from './consumer-folder.mjs';
import { ENDINGS, HttpCell } from './http-cell.mjs';
import { packed } from './packed.mjs';

// Each with the compiler that its users have: 5.9 is the last that Nest 11 knows, 7 has no other API than its types.
const MAJORS = [
  { nest: 11, typescript: '5.9.3' },
  { nest: 12, typescript: '7.0.2' },
];

const scratch = await mkdtemp(join(tmpdir(), 'nestjs-pools-matrix-'));
try {
  const tarball = packed(scratch);
  const folders = MAJORS.map((major) => new ConsumerFolder(join(scratch, `nest-${major.nest}`), major));
  await Promise.all(folders.map((folder) => prepare(folder, tarball)));
  for (const folder of folders) {
    for (const format of Object.keys(FORMATS)) {
      for (const platform of ['Express', 'Fastify']) {
        for (const ending of Object.keys(ENDINGS)) await overHttp(folder, format, platform, ending);
      }
      await withoutServer(folder, format);
    }
  }
} finally {
  await rm(scratch, { recursive: true });
}

async function prepare(folder, tarball) {
  await folder.install(tarball);
  for (const format of Object.keys(FORMATS)) await folder.compile(format);
  say(folder.versions, 'installed; the application compiles, all libraries checked');
}

async function overHttp(folder, format, platform, ending) {
  const where = name(folder, format, platform);
  const cell = new HttpCell(folder.of(format), platform);
  try {
    await cell.boots();
    await cell.leases();
    await cell.tellsItsHealth(folder.nest);
    say(where, `leases, health; ${ending}: ${await cell.shutsDown(ENDINGS[ending])}`);
  } catch (error) {
    fail(where, `${ending}: ${await cell.explain(error)}`);
  }
}

async function withoutServer(folder, format) {
  const where = name(folder, format, 'no server');
  const app = new AppProcess(folder.of(format), 'without-server');
  const { code } = await app.ended;
  const passed = app.facts.filter((fact) => 'passed' in fact).map(({ passed, tookMs }) => `${passed} ${tookMs} ms`);
  if (code === 0) say(where, passed.join(', '));
  else fail(where, `passed: ${passed.join(', ')}; then ended with ${code}\n${app.output}`);
}

/** The other cells are tried all the same. */
function fail(where, why) {
  process.exitCode = 1;
  say(where, `FAILED ${why}`);
}

function name({ nest }, format, platform) {
  return `Nest ${nest} ${format} ${platform}`;
}

function say(where, what) {
  console.log(`${process.uptime().toFixed(0).padStart(3)} s  ${where.padEnd(22)}  ${what}`);
}
