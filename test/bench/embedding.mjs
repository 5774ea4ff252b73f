/**
 * The embedding service beside what people use in its place, against one simulated upstream, in one run.
 *
 *     npm run build && node test/bench/embedding.mjs              everything, some forty minutes
 *     node test/bench/embedding.mjs --quick                       one short round, no endless stream unless it is asked for
 *     node test/bench/embedding.mjs --only bulk,low-load          some sections
 *     node test/bench/embedding.mjs --only bulk --contenders ours,openai --rounds 1
 *     node test/bench/embedding.mjs --stream-memory 1000000       the endless stream alone, so long
 *
 * Every measurement has a process of its own, and only one of them works at a time. The contenders take turns within each
 * round, in an order that changes; figures are medians over the rounds, and so are ratios, each of two in one round. All
 * have as many connections and make no second attempt. A miss of speed
 * fails nothing, for somebody's machine is no test; what a stream keeps in memory is one.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CONTENDERS } from './embedding/contenders.mjs';
import { Results } from './embedding/results.mjs';
import { digits, times } from './figures.mjs';

/**
 * @typedef {object} Target
 * @property {string} rule in words
 * @property {number} reached
 * @property {string} [unit] default: times
 * @property {boolean} [isReached] left out: told only
 * @property {boolean} [isBinding] missed on no machine, however slow
 *
 * @typedef {object} Section
 * @property {string} title
 * @property {'paced' | 'instant'} upstream
 * @property {number} connections
 * @property {number} [batchSize] where all must have the same
 * @property {readonly string[]} contenders
 * @property {number} [rounds] where one is enough
 * @property {(contender: import('./embedding/contenders.mjs').Contender, sizes: { baseURL: string, isQuick: boolean, streamLength: number }) => Promise<Record<string, number>>} measure
 * @property {{ title?: string, columns: Record<string, string> }[]} tables heads, and the figures below them
 * @property {(results: Results) => Target[]} judge
 */

const ROUNDS = 5;
const SECTIONS = ['singles', 'streams', 'bulk', 'low-load', 'kept-vectors', 'endless-stream'];
const ENDLESS = 'endless-stream';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    contenders: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    'stream-memory': { type: 'string' },
  },
});
const isQuick = options.quick;
const rounds = Number(options.rounds ?? (isQuick ? 1 : ROUNDS));
const streamLength = Number(options['stream-memory'] ?? (isQuick ? 200_000 : 10_000_000));
const sections = chosenSections();

const upstream = fork(fileURLToPath(new URL('./embedding/upstream.mjs', import.meta.url)));
process.once('exit', () => upstream.kill());
const [origin] = await once(upstream, 'message');

console.log(`node ${process.version}, ${os.availableParallelism()} cores, medians of ${rounds} rounds\n`);
const targets = [];
for (const name of sections) {
  /** @type {{ section: Section }} */
  const { section } = await import(`./embedding/${name}.mjs`);
  const results = await measureAll(name, section);
  report(section, results);
  targets.push(...verdict(section, results));
}
console.log('## What it must reach\n');
for (const target of targets) console.log(lineOf(target));
if (targets.some(({ isBinding, isReached }) => isBinding === true && isReached === false)) process.exitCode = 1;
upstream.disconnect();

function chosenSections() {
  if (options.only === undefined) return options['stream-memory'] === undefined ? SECTIONS : [ENDLESS];
  const chosen = options.only.split(',');
  const unknown = chosen.filter((name) => !SECTIONS.includes(name));
  if (unknown.length > 0) throw new Error(`--only: no section ${unknown.join(', ')}; there are ${SECTIONS.join(', ')}`);
  return chosen;
}

/** @param {Section} section */
async function measureAll(name, section) {
  const results = new Results();
  const names = section.contenders.filter(takesPart);
  for (let round = 0; round < (section.rounds ?? rounds); round += 1) {
    for (const contender of orderOf(names, round)) {
      process.stderr.write(`${name}, round ${round + 1}: ${contender}\n`);
      results.add(contender, await measureOne(name, contender));
    }
  }
  return results;
}

/** A part of a name is enough. */
function takesPart(name) {
  return (
    options.contenders?.some((part) => name === part || (part.endsWith('*') && name.startsWith(part.slice(0, -1)))) ??
    true
  );
}

async function measureOne(section, contender) {
  const file = fileURLToPath(new URL('./embedding/contender-process.mjs', import.meta.url));
  const sizes = JSON.stringify({ isQuick, streamLength });
  const child = fork(file, [section, contender, origin, sizes], { execArgv: ['--expose-gc', ...process.execArgv] });
  let figures;
  child.once('message', (message) => (figures = message));
  const [code] = await once(child, 'exit');
  if (figures === undefined) throw new Error(`${section}: ${contender} has ended with ${code}`);
  return figures;
}

/** Another first one in every round, and backwards in every second. */
function orderOf(names, round) {
  const order = names.map((_, index) => names[(index + round) % names.length]);
  return round % 2 === 0 ? order : order.reverse();
}

/** @param {Section} section @param {Results} results */
function report({ title, contenders, tables }, results) {
  console.log(`## ${title}\n`);
  for (const table of tables) {
    if (table.title !== undefined) console.log(`${table.title}\n`);
    const figures = Object.values(table.columns);
    console.log(row(['', ...Object.keys(table.columns)]));
    console.log(row(['---', ...figures.map(() => '---:')]));
    for (const name of contenders.filter((one) => results.names.includes(one))) {
      const shown = CONTENDERS[name].is === 'ours' ? `**${name}**` : name;
      console.log(row([shown, ...figures.map((figure) => digits(results.median(name, figure)))]));
    }
    console.log('');
  }
}

/** Nothing is judged where some of those to compare with did not take part. */
function verdict(section, results) {
  return section.contenders.every((name) => results.names.includes(name)) ? section.judge(results) : [];
}

/** @param {Target} target */
function lineOf({ rule, reached, unit, isReached }) {
  const verdictOf = isReached === undefined ? '    ' : isReached ? 'ok  ' : 'MISS';
  return `${verdictOf} ${rule}: ${unit === undefined ? times(reached) : `${digits(reached)} ${unit}`}`;
}

function row(cells) {
  return `| ${cells.join(' | ')} |`;
}
