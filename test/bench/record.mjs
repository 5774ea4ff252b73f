import { figureOf } from './rounds.mjs';

/**
 * Everything that was measured, as JSON.
 *
 * @param {import('./compare.mjs').Run} run
 */
export function record({ environment, scenarios, results, targets, coreSize }) {
  const plain = scenarios.map(({ id, what, unit }) => {
    const cells = [...results.get(id)].map(([adapter, cell]) => [adapter, plainCell(cell)]);
    return { id, what, unit, results: Object.fromEntries(cells) };
  });
  return JSON.stringify({ environment, coreSize, targets, scenarios: plain }, rounded);
}

/** A list for each quantity with one entry per round: a tenth of the lines that a list of rounds would fill. */
function plainCell(cell) {
  const { rounds, missing, failure, flaw } = cell;
  const list = (pick) => (rounds.some((round) => pick(round) !== undefined) ? rounds.map(pick) : undefined);
  return {
    figure: figureOf(cell),
    figures: list(({ figure }) => figure),
    wall: list(({ wall }) => wall),
    allThreads: list(({ allThreads }) => allThreads),
    gcCount: list(({ gc }) => gc?.count),
    gcMs: list(({ gc }) => gc?.ms),
    missing,
    failure,
    flaw,
  };
}

const rounded = (_key, value) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
