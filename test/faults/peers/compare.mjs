/**
 * Runs every fault against this pool and its peers, and makes the comparison table of what it saw.
 *
 *     node test/faults/peers/compare.mjs                      prints it, with what was seen
 *     node test/faults/peers/compare.mjs --write README.md    rewrites it between the marks in that file
 *     node test/faults/peers/compare.mjs --check README.md    fails if the table there says something else
 *     node test/faults/peers/compare.mjs --only N21,N22       prints some faults
 *     node test/faults/peers/compare.mjs --ours               prints what this pool alone does, as CI asks
 *
 * It imports this package from `dist/`, so build first. Fails, too, where this pool does not pass.
 */
import { parseArgs } from 'node:util';
import 'nestjs-pools/core'; // where it is not built, this says so before 250 child processes do
import { judge, POOLS } from './judge.mjs';
import { scenarios } from './scenarios/index.mjs';
import { differences, print, SYMBOLS, writeTable } from './table.mjs';

/** Most of the time is waiting, so more at once than there are cores. */
const AT_ONCE = 4;

const { values: args } = parseArgs({
  options: {
    write: { type: 'string' },
    check: { type: 'string' },
    only: { type: 'string' },
    ours: { type: 'boolean', default: false },
  },
});
if ((args.only !== undefined || args.ours) && (args.write ?? args.check) !== undefined)
  throw new Error('--only and --ours make no whole table');

const chosen = args.only?.split(',');
const faults = scenarios.filter(({ id }) => chosen?.includes(id) ?? true);
const pools = args.ours ? POOLS.slice(0, 1) : POOLS;
const rows = faults.map((fault) => ({ fault, verdicts: [] }));
const jobs = rows.flatMap((row) => pools.map((_, index) => ({ row, index })));
await Promise.all(Array.from({ length: AT_ONCE }, workOff));

if (args.write !== undefined) await writeTable(args.write, rows);
else if (args.check !== undefined) await check(args.check);
else print(rows);

for (const { fault, verdicts } of rows) {
  if (verdicts[0].is === 'ok') continue;
  console.error(`${fault.id} ${fault.sentence}: ${POOLS[0]} ${SYMBOLS[verdicts[0].is]} ${verdicts[0].saw}`);
  process.exitCode = 1;
}

async function workOff() {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await run(job);
}

async function run({ row, index }) {
  row.verdicts[index] = await judge(row.fault, POOLS[index]);
}

async function check(file) {
  const first = await differences(file, rows);
  // A few are looked at again, alone, before they count: the machine may have been busy.
  if (first.length <= 10) for (const difference of first) await run(difference);
  const left = await differences(file, rows);
  if (left.length === 0) return console.log(`the table in ${file} says what was seen`);
  console.error(`the table in ${file} says something else than what was seen (npm run faults -- --write ${file}):`);
  for (const { row, index, was } of left) {
    const { is, saw } = row.verdicts[index];
    console.error(`  ${row.fault.id} ${POOLS[index]}: ${was ?? 'nothing'} there, ${SYMBOLS[is]} seen: ${saw}`);
  }
  process.exitCode = 1;
}
