import fc from 'fast-check';
import { begin, end, failureOf, finish, take, withSeed } from './episode.js';
import { setups, steps } from './step-arbitraries.js';
import type { Step } from './steps.js';
import { World } from './world.js';

/** `MODEL_SEED`, `MODEL_PATH` and `MODEL_REPLAY_PATH` run one failure again: they are printed with it. */
const { MODEL_SCHEDULED_RUNS, MODEL_SEED, MODEL_PATH, MODEL_REPLAY_PATH } = process.env;
const RUNS = Number(MODEL_SCHEDULED_RUNS ?? 700);
/** The same runs every time. */
const SEED = 20_261_123;
const COMMANDS = 80;
/** Half of the commands find nothing to do. */
const LEAST_OPERATIONS = 25 * RUNS;

/** A step as fast-check knows it: one that it may leave out, make simpler, and run before or after a hook ends. */
class StepCommand implements fc.AsyncCommand<World, World> {
  constructor(
    private readonly step: Step,
    private readonly done: () => void,
  ) {}

  check(): boolean {
    return true;
  }

  async run(world: World): Promise<void> {
    if (await take(world, this.step)) this.done();
  }

  toString(): string {
    return JSON.stringify(this.step);
  }
}

it(`keeps all rules while a scheduler decides when hooks end (${RUNS} runs, shrunk when one fails)`, async () => {
  let operations = 0;
  let world: World | undefined;
  // Every task of the scheduler is a step of its own: a hook that ends, or a command.
  const act = async (task: () => Promise<void>): Promise<void> => {
    if (world !== undefined) begin(world);
    await task();
    if (world !== undefined) await end(world);
  };
  const commands = fc.commands(
    steps.map((step) => step.map((one) => new StepCommand(one, () => (operations += 1)))),
    {
      maxCommands: COMMANDS,
      size: 'max',
      ...(MODEL_REPLAY_PATH === undefined ? {} : { replayPath: MODEL_REPLAY_PATH }),
    },
  );
  const jitters = fc.noShrink(fc.nat());
  const property = fc.asyncProperty(
    setups,
    fc.scheduler({ act }),
    commands,
    jitters,
    (setup, scheduler, chosen, jitter) =>
      withSeed(jitter, async () => {
        const real = new World(setup, (name) => scheduler.schedule(Promise.resolve(), name));
        try {
          const begun = (): { model: World; real: World } => ({ model: real, real: (world = real) });
          await fc.scheduledModelRun(scheduler, begun, chosen);
          await finish(real);
        } catch (error) {
          throw failureOf(real, error);
        } finally {
          world = undefined;
        }
      }),
  );
  const result = await fc.check(property, {
    numRuns: RUNS,
    seed: MODEL_SEED === undefined ? SEED : Number(MODEL_SEED),
    ...(MODEL_PATH === undefined ? {} : { path: MODEL_PATH }),
  });
  if (result.failed) throw new Error(told(result), { cause: result.errorInstance });
  if (MODEL_PATH === undefined) expect(operations).toBeGreaterThanOrEqual(LEAST_OPERATIONS);
}, 900_000);

interface Failed {
  readonly seed: number;
  readonly counterexample: readonly unknown[] | null;
  readonly counterexamplePath: string | null;
  readonly numShrinks: number;
  readonly errorInstance: unknown;
}

function told({ seed, counterexample, counterexamplePath, numShrinks, errorInstance }: Failed): string {
  const replayPath = /replayPath="([^"]*)"/.exec(String(counterexample?.[2]))?.[1] ?? '';
  const again = `MODEL_SEED=${seed} MODEL_PATH=${counterexamplePath} MODEL_REPLAY_PATH='${replayPath}'`;
  return `${(errorInstance as Error | undefined)?.message}\nAgain (shrunk ${numShrinks} times): ${again} npm test -- test/model/scheduled\n`;
}
