import { PEERS } from './adapters.mjs';
import { figureOf } from './rounds.mjs';

/** At most so many times the floor. */
const TIMES_FLOOR = {
  uncontended: 2.5,
  'contended-64': 1.8,
  'contended-1k': 1.8,
  'contended-10k': 1.8,
  'burst-1e3': 2.2,
  'burst-1e4': 2.2,
  'burst-1e5': 2.2,
  'burst-1e6': 2.2,
  'timeouts-1e5': 1.5,
  validate: 4,
  'cold-create': 1.1,
  'use-uncontended': 1.7,
  'use-contended-1k': 1.7,
  'use-burst-1e5': 1.7,
  'big-uncontended': 2.2,
  'big-all-borrowed': 2.2,
};

/** At least so many times faster than the best peer. */
const AHEAD = {
  uncontended: 4,
  'contended-64': 2,
  'contended-1k': 2,
  'contended-10k': 2,
  'burst-1e3': 3,
  'burst-1e4': 3,
  'burst-1e5': 3,
  'burst-1e6': 3,
  'uncontended-timeout': 4,
  'contended-1k-timeout': 2,
  'burst-1e4-timeout': 3,
};

/** At most that much, whatever the floor does. */
const AT_MOST = { 'timeouts-block': 50, 'big-tick': 2, 'big-mass-evict': 50, 'waiter-heap': 400 };

const CORE_KIB = 12;

/** The best peer that got to the end unbroken. @returns {string | undefined} */
export function bestPeer(cells) {
  const sound = PEERS.filter((peer) => figureOf(cells.get(peer)) !== undefined && cells.get(peer).flaw === undefined);
  return sound.toSorted((one, other) => figureOf(cells.get(one)) - figureOf(cells.get(other)))[0];
}

/**
 * What our pool must reach. A miss fails nothing: speed on somebody's machine is no test.
 *
 * @typedef {object} Target
 * @property {string} scenario
 * @property {string} rule in words
 * @property {number} reached
 * @property {boolean} isReached
 * @property {number} [ours]
 * @property {number} [against] the floor's figure, or the best peer's
 */

/**
 * @param {readonly import('./scenarios.mjs').Scenario[]} scenarios
 * @param {import('./rounds.mjs').Results} results
 * @param {number} coreBytes minified and gzipped
 * @returns {Target[]}
 */
export function judge(scenarios, results, coreBytes) {
  const targets = scenarios.flatMap(({ id, unit }) => judgeScenario(id, unit, results.get(id)));
  const kib = coreBytes / 1_024;
  const rule = `core < ${CORE_KIB} KiB, minified and gzipped`;
  return [...targets, { scenario: 'core-size', rule, reached: kib, isReached: kib < CORE_KIB }];
}

function judgeScenario(id, unit, cells) {
  const ours = figureOf(cells.get('ours'));
  if (ours === undefined) return [];
  const target = (rule, reached, isReached, against) => ({ scenario: id, rule, reached, isReached, ours, against });
  const targets = [];
  const floor = figureOf(cells.get('floor'));
  if (id in TIMES_FLOOR && floor > 0) {
    const most = TIMES_FLOOR[id];
    targets.push(target(`≤ ${most} × floor`, ours / floor, ours / floor <= most, floor));
  }
  const best = figureOf(cells.get(bestPeer(cells)));
  if (id in AHEAD && best !== undefined) {
    const least = AHEAD[id];
    targets.push(target(`≥ ${least} × ahead of the best peer`, best / ours, best / ours >= least, best));
  }
  if (id in AT_MOST) targets.push(target(`≤ ${AT_MOST[id]} ${unit}`, ours, ours <= AT_MOST[id]));
  return targets;
}
