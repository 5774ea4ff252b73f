/**
 * Every kind of pool under fire: 200 workers while the server is restarted twice, sessions are killed from its side ten times
 * per second, and the network between stalls, resets, half-opens, cuts and delays.
 *
 *     node test/chaos/chaos.mjs                                   all kinds, 30 s each
 *     node test/chaos/chaos.mjs --kinds http,postgres --seconds 10
 *     node test/chaos/chaos.mjs --seed 7                          the same faults and the same borrowers again
 *     node test/chaos/chaos.mjs --json chaos.json                 writes what was seen
 *
 * It imports this package from `dist/`, so build first. Exit code 1 where a rule was broken (rules.mjs), and where a server is not
 * there to be started, unless the kind was not asked for by name.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { NotInstalledError } from '../support/private-servers/index.mjs';
import { KINDS } from './kinds/index.mjs';
import { printReport } from './report.mjs';
import { runKind } from './run-kind.mjs';

const { values: args } = parseArgs({
  options: {
    kinds: { type: 'string' },
    seconds: { type: 'string', default: '30' },
    workers: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'string' },
  },
});

const chosen = args.kinds?.split(',') ?? Object.keys(KINDS);
const unknown = chosen.filter((name) => !Object.hasOwn(KINDS, name));
if (unknown.length > 0)
  throw new Error(`no such kind: ${unknown.join(', ')}; there are ${Object.keys(KINDS).join(', ')}`);

const seed = Number(args.seed);
console.log(`${args.workers} workers, ${args.seconds} s for each kind, seed ${seed}`);
const reports = [];
for (const name of chosen) {
  const settings = { name, seed, seconds: Number(args.seconds), workers: Number(args.workers) };
  const report = await runKind(KINDS[name], settings).catch(skipped(name));
  if (report === undefined) continue;
  reports.push(report);
  printReport(report);
}
if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify({ seed, reports }, undefined, 2)}\n`);
if (reports.some(({ broken }) => broken.length > 0)) process.exitCode = 1;

function skipped(name) {
  return (error) => {
    if (!(error instanceof NotInstalledError)) throw error;
    console.error(`SKIPPED ${name}: ${error.message}`);
    if (args.kinds !== undefined || process.env.REQUIRE_SERVICES === '1') process.exitCode = 1;
  };
}
