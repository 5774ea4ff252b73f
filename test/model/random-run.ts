import { runSteps } from './episode.js';
import { seeded } from '../support/seeded.js';
import { shrink } from './shrink.js';
import { drawSetup, drawStep } from './step-generator.js';

/** Four files of a quarter of a million operations each, so that Jest's workers share them: 10⁶ in all. */
const OPERATIONS = 250_000;

/** Steps of one run: short enough to shrink well, long enough for a pool to go through everything. */
const STEPS = 300;
/** Little happens to a closed pool, and soon all of it has. */
const STEPS_CLOSED = 20;

export interface Done {
  readonly operations: number;
  readonly runs: number;
}

/** The test of one of the four files. Each has seeds of its own, the same every time. */
export function testRandomSteps(file: number): void {
  it(`keeps all rules over ${OPERATIONS.toLocaleString('en')} random operations (seeds from ${file}000001)`, async () => {
    const { operations } = await runRandomly(file * 1_000_000 + 1, (done) => done.operations >= OPERATIONS);
    expect(operations).toBeGreaterThanOrEqual(OPERATIONS);
  }, 600_000);
}

/**
 * Runs one pool after another, each from its own seed, until it is enough.
 *
 * @throws for the first run that breaks a rule, with the seed and the shortest script that still breaks it
 */
export async function runRandomly(firstSeed: number, isEnough: (done: Done) => boolean): Promise<Done> {
  let operations = 0;
  let runs = 0;
  while (!isEnough({ operations, runs })) {
    operations += await runSeed(firstSeed + runs);
    runs += 1;
  }
  return { operations, runs };
}

/** One run. @returns how many operations it did */
async function runSeed(seed: number): Promise<number> {
  const random = seeded(Math.imul(seed, 0x9e3779b1));
  const setup = drawSetup(random);
  let left = STEPS;
  const { done, taken, failure } = await runSteps(setup, seed, ({ model }) => {
    if (model.phase === 'closed') left = Math.min(left, STEPS_CLOSED);
    return (left -= 1) >= 0 ? drawStep(random) : undefined;
  });
  if (failure === undefined) return done;
  const { violation, script, cause } = await shrink(setup, seed, taken, failure);
  const shortest = script.join('\n');
  throw new Error(
    `${violation}\n\nAgain: MODEL_SEED=${seed} npm run model\n` +
      `The shortest script that fails so (made from ${taken.length} steps):\n\n${shortest}\n`,
    { cause },
  );
}
