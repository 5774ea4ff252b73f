/**
 * Each kind of upstream beside its own best pool, against the real server, in one run.
 *
 *     npm run bench:upstreams                              all kinds, some ten minutes
 *     npm run bench:upstreams -- --only postgres,http      some of them
 *     npm run bench:upstreams -- --rounds 3 --ms 300       less time
 *     npm run bench:upstreams -- --check                   fails where ours is behind the best peer by more than 5 %
 *
 * Every contender has a process of its own, and only one of them works at a time. They take turns within each round, in an
 * order that changes, so that all have the machine's good and bad moments; figures are medians over the rounds, and so are
 * ratios, each of two neighbours in one round. Every pool may open {@link CONNECTIONS}.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { digits, times } from './figures.mjs';

const CALLERS = [1, 10, 100];
const CONNECTIONS = 10;
const WARM_UP_MS = 600;
const WARM_UP_CALLS = 4_000;
/** Of the same code one process is up to a tenth faster than another, for its whole life: each contender has several in turn. */
const LAUNCHES = 5;
const COLD_ROUNDS = 3;
/** What one may be behind the best peer. */
const ALLOWANCE = 0.05;

const KINDS = ['http', 'postgres', 'mysql', 'redis'];

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: KINDS.join(',') },
    rounds: { type: 'string', default: '31' },
    ms: { type: 'string', default: '100' },
    check: { type: 'boolean', default: false },
  },
});
const launches = Math.min(LAUNCHES, Number(options.rounds));
const rounds = Math.ceil(Number(options.rounds) / launches);
const windowMs = Number(options.ms);

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {'ours' | 'peer' | 'bare' | 'variant'} is ours and peers are compared; the others are told only
 * @property {() => Promise<unknown>} call
 * @property {() => Promise<unknown>} close
 *
 * @typedef {object} Kind
 * @property {string} what one call
 * @property {string} [cpuBeside] the contender whose processor time the others' is compared with
 * @property {() => Promise<{ address: unknown, close: () => unknown }>} [start] the server, where it is the benchmark's own
 * @property {(connections: number, address: unknown) => (() => Contender)[]} contenders
 *
 * @typedef {object} Runner a contender's process
 * @property {string} name
 * @property {string} is
 * @property {(order: object) => Promise<any>} ask
 */

let isBehind = false;

for (const name of options.only.split(',')) {
  if (!KINDS.includes(name)) throw new Error(`--only: no kind "${name}"; there are ${KINDS.join(', ')}`);
  /** @type {{ kind: Kind }} */
  const { kind } = await import(`./upstreams/${name}.mjs`);
  const server = await kind.start?.();
  const count = kind.contenders(CONNECTIONS, server?.address).length;
  const cold = Array.from({ length: count }, () => []);
  const tables = CALLERS.map((callers) => ({ callers, figures: cold.map(() => ({ perSecond: [], cpu: [] })) }));
  let contenders = [];
  for (let launch = 0; launch < launches; launch += 1) {
    contenders = await Promise.all(cold.map((_, at) => start(name, at, server?.address)));
    await coldBursts(contenders, cold);
    for (const { callers, figures } of tables) await compare(contenders, callers, figures);
    await Promise.all(contenders.map(({ ask }) => ask({ order: 'end' })));
  }
  await server?.close();
  report(name, kind, contenders, tables, cold);
}

if (options.check && isBehind) process.exitCode = 1;

/** @returns {Promise<Runner>} */
async function start(kindName, index, address = null) {
  const file = fileURLToPath(new URL('./upstreams/contender-process.mjs', import.meta.url));
  const child = fork(file, [kindName, index, CONNECTIONS, JSON.stringify(address)].map(String));
  process.setMaxListeners(0).once('exit', () => child.kill());
  const { name, is } = await answerOf(child);
  const ask = async (order) => {
    const answered = answerOf(child);
    child.send(order);
    return answered;
  };
  return { name, is, ask };
}

/** What a process says next, or nothing where it ends. */
function answerOf(child) {
  return new Promise((resolve, reject) => {
    const ended = (code) => (code === 0 ? resolve(undefined) : reject(new Error(`a contender has ended with ${code}`)));
    child.once('exit', ended).once('message', (message) => {
      child.off('exit', ended);
      resolve(message);
    });
  });
}

/** @param {Runner[]} contenders @param {number} callers */
async function compare(contenders, callers, figures) {
  // Everybody's code is compiled before it is measured.
  for (const { ask } of contenders) await ask({ order: 'load', callers, forMs: WARM_UP_MS, atLeast: WARM_UP_CALLS });
  for (let round = 0; round < rounds; round += 1) {
    for (const index of orderOf(round, contenders.length)) {
      const { perSecond, cpu } = await contenders[index].ask({ order: 'load', callers, forMs: windowMs });
      figures[index].perSecond.push(perSecond);
      figures[index].cpu.push(cpu);
    }
  }
}

/** Of pools that have opened nothing yet. */
async function coldBursts(contenders, bursts) {
  for (let round = 0; round < Math.min(rounds, COLD_ROUNDS); round += 1) {
    for (const index of orderOf(round, contenders.length)) {
      bursts[index].push(await contenders[index].ask({ order: 'cold' }));
    }
  }
}

function report(name, { what, cpuBeside }, contenders, tables, cold) {
  console.log(`\n### ${name}: ${what}\n`);
  console.log(
    `node ${process.version}, ${CONNECTIONS} connections each, medians of ${launches * rounds} rounds of ${windowMs} ms each, in ${launches} launches\n`,
  );
  const heads = CALLERS.flatMap((callers) => [`${callers} callers, calls/s`, 'µs of CPU']);
  console.log(row(['', ...heads, '100 callers, cold: ms']));
  console.log(row(['---', ...heads.map(() => '---:'), '---:']));
  contenders.forEach((contender, index) => {
    const cells = tables.flatMap(({ figures }) => {
      const { perSecond, cpu } = figures[index];
      return [digits(median(perSecond)), digits(median(cpu))];
    });
    console.log(
      row([contender.is === 'ours' ? `**${contender.name}**` : contender.name, ...cells, digits(median(cold[index]))]),
    );
  });
  console.log('');
  for (const { callers, figures } of tables) verdict(contenders, figures, callers);
  const beside = contenders.findIndex((contender) => contender.name === cpuBeside);
  if (beside < 0) return;
  const { figures } = tables.at(-1);
  const ratios = contenders.map(
    ({ name: who }, index) => `${who} ${times(ratio(figures[index].cpu, figures[beside].cpu))}`,
  );
  console.log(`CPU per call as a multiple of ${cpuBeside} alone, 100 callers: ${ratios.join(', ')}`);
}

/** Each of ours beside the best peer that does as much. */
function verdict(contenders, figures, callers) {
  const peers = contenders.flatMap(({ is, name }, index) => (is === 'peer' ? { name, ...figures[index] } : []));
  const best = peers.reduce((one, other) => (median(other.perSecond) > median(one.perSecond) ? other : one));
  contenders.forEach(({ is, name }, index) => {
    if (is !== 'ours') return;
    const ofBest = ratio(figures[index].perSecond, best.perSecond);
    const isWorse = ofBest < 1 - ALLOWANCE;
    isBehind ||= isWorse;
    const cpu = times(ratio(figures[index].cpu, best.cpu));
    console.log(
      `${callers} callers: ${name} ${times(ofBest)} of ${best.name}, CPU ${cpu}${isWorse ? ' ← BEHIND' : ''}`,
    );
  });
}

/** Of two in the same rounds, the median of what they were to each other. */
function ratio(these, those) {
  return median(these.map((value, round) => value / those[round]));
}

function row(cells) {
  return `| ${cells.join(' | ')} |`;
}

/** Another first one every two rounds, and backwards in every second. */
function orderOf(round, length) {
  const order = Array.from({ length }, (_, index) => (index + (round >> 1)) % length);
  return round % 2 === 0 ? order : order.reverse();
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
