/**
 * Compares the pool with its peers, and with the least that a pool can cost.
 *
 *     npm run bench                                  all of it, about ten minutes
 *     npm run bench -- --quick                       a glance, without the storms
 *     npm run bench -- --only burst-1e4,validate --adapters floor,ours --rounds 3
 *     npm run bench -- --json a.json --svg a.svg --markdown a.md
 *
 * One measurement in this process, as long as a profiler needs:
 *
 *     node --expose-gc --cpu-prof test/bench/bench.mjs --run ours:burst-1e4 --seconds 5
 */
import { parseArgs } from 'node:util';
import { measure } from './measure.mjs';
import { scenarioOf } from './scenarios.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    adapters: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
    markdown: { type: 'string' },
    run: { type: 'string' },
    seconds: { type: 'string' },
  },
});

if (options.run === undefined) await compareAll();
else await measureHere(...options.run.split(':'));
// Some pools' timers would keep it alive.
process.exit();

async function measureHere(adapter, scenario) {
  // Others wait by timers that do not.
  setInterval(() => undefined, 60_000);
  const { seconds } = options;
  const plan = seconds === undefined ? {} : { repetitions: Infinity, enoughMs: Number(seconds) * 1_000 };
  console.log(JSON.stringify(await measure(scenarioOf(scenario), adapter, plan)));
}

/** What it needs is loaded here, because every measurement starts this file too. */
async function compareAll() {
  const { compare } = await import('./compare.mjs');
  const { markdown } = await import('./report.mjs');
  const { chart } = await import('./chart.mjs');
  const { record } = await import('./record.mjs');
  const { save } = await import('./save.mjs');
  const began = performance.now();
  const say = (line) => process.stderr.write(`${line}\n`);
  const run = await compare(options, say);
  console.log(markdown(run));
  if (options.markdown !== undefined) await save(options.markdown, markdown(run));
  if (options.json !== undefined) await save(options.json, record(run));
  if (options.svg !== undefined) await save(options.svg, chart(run));
  say(`${Math.round((performance.now() - began) / 1_000)} s`);
}
