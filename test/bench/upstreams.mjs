/**
 * Each kind of upstream beside its own best pool, against the real server, in one run and one process.
 *
 *     npm run bench:upstreams                              all kinds, some five minutes
 *     npm run bench:upstreams -- --only postgres,http      some of them
 *     npm run bench:upstreams -- --rounds 3 --ms 300       less time
 *     npm run bench:upstreams -- --check                   fails where ours is behind the best peer by more than 5 %
 *
 * The contenders of a kind take turns within each round, in an order that changes, so that all have the machine's good and
 * bad moments; figures are medians over the rounds, and so are ratios, each of two neighbours in one round. Every pool may
 * open {@link CONNECTIONS}.
 */
import { parseArgs } from 'node:util';
import { digits, times } from './figures.mjs';

const CALLERS = [1, 10, 100];
const CONNECTIONS = 10;
const WARM_UP_MS = 300;
const COLD_ROUNDS = 9;
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
const rounds = Number(options.rounds);
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
 * @property {(connections: number) => Promise<{ contenders: (() => Contender)[], close?: () => unknown }>} open
 */

let isBehind = false;

for (const name of options.only.split(',')) {
  if (!KINDS.includes(name)) throw new Error(`--only: no kind "${name}"; there are ${KINDS.join(', ')}`);
  /** @type {{ kind: Kind }} */
  const { kind } = await import(`./upstreams/${name}.mjs`);
  const { contenders: makers, close } = await kind.open(CONNECTIONS);
  const cold = await coldBursts(makers);
  const contenders = makers.map((make) => make());
  const tables = [];
  for (const callers of CALLERS) tables.push({ callers, figures: await compare(contenders, callers) });
  await Promise.all(contenders.map((contender) => contender.close()));
  await close?.();
  report(name, kind, contenders, tables, cold);
}

if (options.check && isBehind) process.exitCode = 1;

/** @param {Contender[]} contenders @param {number} callers */
async function compare(contenders, callers) {
  // Everybody's code is compiled before anybody's is measured.
  for (let round = 0; round < 2; round += 1) {
    for (const { call } of contenders) await load(call, callers, WARM_UP_MS);
  }
  const figures = contenders.map(() => ({ perSecond: [], cpu: [] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const index of orderOf(round, contenders.length)) {
      const { perSecond, cpu } = await load(contenders[index].call, callers, windowMs);
      figures[index].perSecond.push(perSecond);
      figures[index].cpu.push(cpu);
    }
  }
  return figures;
}

async function load(call, callers, forMs) {
  const until = performance.now() + forMs;
  let calls = 0;
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const caller = async () => {
    while (performance.now() < until) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { perSecond: (calls / tookMs) * 1_000, cpu: (user + system) / calls };
}

/** A pool that has opened nothing yet, and a hundred callers at once: how long until each has one answer. */
async function coldBursts(makers) {
  const bursts = makers.map(() => []);
  const coldRounds = Math.min(rounds, COLD_ROUNDS);
  for (let round = 0; round < coldRounds; round += 1) {
    for (const index of orderOf(round, makers.length)) {
      const contender = makers[index]();
      const began = performance.now();
      await Promise.all(Array.from({ length: 100 }, () => contender.call()));
      bursts[index].push(performance.now() - began);
      await contender.close();
    }
  }
  return bursts.map(median);
}

function report(name, { what, cpuBeside }, contenders, tables, cold) {
  console.log(`\n### ${name}: ${what}\n`);
  console.log(
    `node ${process.version}, ${CONNECTIONS} connections each, medians of ${rounds} rounds of ${windowMs} ms each\n`,
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
      row([contender.is === 'ours' ? `**${contender.name}**` : contender.name, ...cells, digits(cold[index])]),
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

/** Another first one in each round, and backwards in every second. */
function orderOf(round, length) {
  const order = Array.from({ length }, (_, index) => (index + Math.max(round, 0)) % length);
  return round % 2 === 0 ? order : order.reverse();
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
