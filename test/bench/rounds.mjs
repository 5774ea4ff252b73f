import { PEERS } from './adapters.mjs';
import { measureInChild } from './child.mjs';

/** A peer that took longer than this over one scenario has been seen enough: quadratic cost must not eat the run. */
const ENOUGH_MS = 2_500;

/**
 * What is known of one pool in one scenario.
 *
 * @typedef {object} Cell
 * @property {import('./measure.mjs').Measurement[]} rounds
 * @property {number} [spentMs]
 * @property {string} [missing] it has no such thing
 * @property {string} [failure] it did not get to the end
 * @property {string} [flaw] it got to the end, and was broken by then
 */

/** @typedef {Map<string, Map<string, Cell>>} Results by scenario, then by adapter */

/**
 * Every pool once per scenario and round, in an order that moves on from round to round: a machine that grows slower in
 * the meantime then slows all of them.
 *
 * @param {readonly import('./scenarios.mjs').Scenario[]} scenarios
 * @param {{ rounds: number, limitMs: number, takesPart: (adapter: string) => boolean }} settings
 * @param {(line: string) => void} progress
 * @returns {Promise<Results>}
 */
export async function runRounds(scenarios, { rounds, limitMs, takesPart }, progress) {
  const results = new Map(scenarios.map(({ id }) => [id, new Map()]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [place, scenario] of scenarios.entries()) {
      if (round >= (scenario.rounds ?? rounds)) continue;
      const cells = results.get(scenario.id);
      progress(`round ${round + 1} of ${rounds}: ${scenario.id}`);
      const adapters = scenario.adapters.filter(takesPart);
      for (const adapter of rotated(adapters, round + place)) {
        const earlier = results.get(scenario.after)?.get(adapter)?.failure;
        if (earlier === undefined) await measureOnce(cells, adapter, scenario, limitMs);
        else cells.set(adapter, { rounds: [], failure: earlier });
      }
    }
  }
  return results;
}

async function measureOnce(cells, adapter, scenario, limitMs) {
  const cell = cells.get(adapter) ?? { rounds: [], spentMs: 0 };
  cells.set(adapter, cell);
  if (cell.missing !== undefined || cell.failure !== undefined) return;
  if (PEERS.includes(adapter) && cell.spentMs > ENOUGH_MS) return;
  const began = performance.now();
  const { missing, failure, flaw, ...measurement } = await measureInChild(adapter, scenario.id, limitMs);
  cell.spentMs += performance.now() - began;
  Object.assign(cell, { missing, failure, flaw: cell.flaw ?? flaw });
  if (measurement.figure !== undefined) cell.rounds.push(measurement);
}

function rotated(list, by) {
  const start = by % Math.max(list.length, 1);
  return [...list.slice(start), ...list.slice(0, start)];
}

/** The median over the rounds. @param {Cell | undefined} cell */
export function figureOf(cell) {
  return median(cell?.rounds.map(({ figure }) => figure) ?? []);
}

function median(values) {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
