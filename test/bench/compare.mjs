import os from 'node:os';
import { ADAPTERS, peerVersions, VARIANTS } from './adapters.mjs';
import { coreSize as measureCore } from './core-size.mjs';
import { runRounds } from './rounds.mjs';
import { scenarioOf, SCENARIOS } from './scenarios.mjs';
import { judge } from './targets.mjs';

/**
 * @typedef {object} Environment
 * @property {string} date
 * @property {string} node
 * @property {number} cores
 * @property {string} cpu
 * @property {string} cpuSource
 * @property {number} rounds
 * @property {Record<string, string>} versions
 */

/**
 * @typedef {object} Run
 * @property {Environment} environment
 * @property {readonly import('./scenarios.mjs').Scenario[]} scenarios
 * @property {import('./rounds.mjs').Results} results
 * @property {import('./targets.mjs').Target[]} targets
 * @property {{ files: number, minified: number, gzipped: number }} coreSize
 */

/** Three times what the slowest peer needs that comes to an end at all. */
const LIMIT_MS = 20_000;
const ROUNDS = 5;

/** What changes most often. No storm: the peers take their time over those. */
const QUICK = [
  'uncontended',
  'contended-1k',
  'burst-1e3',
  'burst-1e4',
  'validate',
  'cold-create',
  'use-uncontended',
  'big-uncontended',
  'big-tick',
  'waiter-heap',
  'histogram-record',
];

/**
 * @param {{ rounds?: string, only?: string, adapters?: string, quick: boolean }} options
 * @param {(line: string) => void} say
 * @returns {Promise<Run>}
 */
export async function compare(options, say) {
  const rounds = Number(options.rounds ?? (options.quick ? 1 : ROUNDS));
  const scenarios = chosenScenarios(options);
  const results = await runRounds(scenarios, { rounds, limitMs: LIMIT_MS, takesPart: chosenAdapters(options) }, say);
  const coreSize = await measureCore();
  const targets = judge(scenarios, results, coreSize.gzipped);
  return { environment: environmentOf(results, rounds), scenarios, results, targets, coreSize };
}

function chosenScenarios({ only, quick }) {
  const ids = only?.split(',') ?? (quick ? QUICK : SCENARIOS.map(({ id }) => id));
  return ids.map(scenarioOf);
}

function chosenAdapters({ adapters, quick }) {
  if (adapters === undefined) return (adapter) => !quick || !VARIANTS.includes(adapter);
  const chosen = adapters.split(',');
  const unknown = chosen.filter((adapter) => !ADAPTERS.includes(adapter));
  if (unknown.length > 0) throw new Error(`no adapter ${unknown.join(', ')}; there are ${ADAPTERS.join(', ')}`);
  return (adapter) => chosen.includes(adapter);
}

/** @returns {Environment} */
function environmentOf(results, rounds) {
  const cells = [...results.values()].flatMap((row) => [...row.values()]);
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    cores: os.availableParallelism(),
    cpu: os.cpus()[0]?.model ?? 'unknown processor',
    cpuSource: cells.find((cell) => cell.rounds.length > 0)?.rounds[0].cpuSource ?? 'none',
    rounds,
    versions: peerVersions(),
  };
}
