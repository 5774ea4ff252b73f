import { type Done, runRandomly } from './random-run.js';

/**
 * `MODEL_SEED` is the first seed (default: by the time of day), `MODEL_RUNS` the number of runs, `MODEL_MINUTES` a time in
 * place of it. With `MODEL_SEED` alone it is that one run; with nothing, one minute.
 */
const { MODEL_SEED, MODEL_RUNS, MODEL_MINUTES } = process.env;

it(
  'keeps all rules for as long as it is told to run',
  async () => {
    const began = performance.now();
    const seed = MODEL_SEED === undefined ? Date.now() % 1_000_000_000 : Number(MODEL_SEED);
    const done = await runRandomly(seed, until(began));
    const seconds = (performance.now() - began) / 1_000;
    const speed = Math.round(done.operations / seconds);
    console.info(`seeds ${seed} to ${seed + done.runs - 1}: ${done.operations} operations, ${speed} a second`);
  },
  2 ** 31 - 1,
);

function until(began: number): (done: Done) => boolean {
  const runs = MODEL_RUNS ?? (MODEL_SEED !== undefined && MODEL_MINUTES === undefined ? '1' : undefined);
  if (runs !== undefined) return (done) => done.runs >= Number(runs);
  const endsAt = began + Number(MODEL_MINUTES ?? 1) * 60_000;
  return () => performance.now() >= endsAt;
}
