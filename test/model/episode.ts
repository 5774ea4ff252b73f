import { checkRules } from './rules.js';
import { MAX_PAUSE_MS, type Setup, Violation, World } from './world.js';
import { perform, type Step } from './steps.js';
import { seeded } from '../support/seeded.js';

/** Does a step, lets everything settle that can without time or a hook's leave, and checks the rules. */
export async function take(world: World, step: Step): Promise<boolean> {
  begin(world);
  const doing = perform(world, step);
  const wasDone = typeof doing === 'boolean' ? doing : await doing;
  if (wasDone) await end(world);
  return wasDone;
}

export function begin(world: World): void {
  world.step += 1;
  world.wasNested = false;
  world.generationBefore = world.model.generation;
  world.wasSuspended = world.model.isSuspended;
}

export async function end(world: World): Promise<void> {
  await settled();
  checkRules(world);
}

/** All microtasks have run. Asked for from a microtask: only then does the tick come after all of them. */
async function settled(): Promise<void> {
  await Promise.resolve();
  await new Promise<void>((resolve) => process.nextTick(resolve));
}

/** The end of a run: the pool recovers where it can, closes, and leaves nothing. */
export async function finish(world: World): Promise<void> {
  const { borrowers, factory, model, pool } = world;
  world.armed.length = 0;
  if (world.setup.closesFirst) {
    world.write('// the end: a close while hooks hang and leases are out');
    await closeBy(world, 30);
  }
  world.write('// the end: all hooks answer, all leases come back');
  factory.calm();
  if (model.phase !== 'closed') await take(world, { do: 'resume' });
  await goHome(world);
  await take(world, { do: 'advance', ms: MAX_PAUSE_MS });
  // A create that failed for good, by its own word, has stopped the retries: only one who needs a new connection brings
  // the minimum back.
  for (let asked = 0; asked < Math.max(1, model.min); asked += 1) await take(world, { do: 'acquire', timeoutMs: 50 });
  await goHome(world);
  await take(world, { do: 'advance', ms: 5_000 });
  await goHome(world);
  if (model.phase !== 'closed' && model.max > 0) {
    const idle = pool.stats().idleConnections;
    world.must(model.phase !== 'open' || idle >= model.min, `recovered: ${idle} idle, min ${model.min}`);
    await take(world, { do: 'acquire', timeoutMs: 50 });
    await take(world, { do: 'advance', ms: 49 });
    world.must(model.leases.size === 1, 'recovered: whoever asks is served');
    await goHome(world);
  }
  await closeBy(world, 100);
  world.must(borrowers.frames.size === 0 && model.leases.size === 0, 'rule 9: no lease is left');
  world.must(model.asks.size === 0, 'rule 3: every acquire settles');
  world.must(factory.known.size === 0 && factory.running.size === 0, 'rule 9: no connection is left');
  world.must(pool.stats().overdue === 0, 'rule 9: nothing is overdue');
  world.report();
}

async function goHome(world: World): Promise<void> {
  const { borrowers, model } = world;
  await take(world, { do: 'advance', ms: 0 });
  while (borrowers.frames.size > 0) await take(world, { do: 'work', pick: 0, order: 'return' });
  while (model.leases.size > 0) await take(world, { do: 'release', pick: 0 });
}

/** A close ends by its deadline and what the last `destroy` may take, whatever the hooks do. */
async function closeBy(world: World, timeoutMs: number): Promise<void> {
  await take(world, { do: 'close', timeoutMs });
  await take(world, { do: 'advance', ms: timeoutMs });
  await take(world, { do: 'advance', ms: world.setup.limits.destroyTimeoutMs });
  world.must(world.waits.size === 0, 'rule 9: close() ends by its deadline');
  world.report();
}

/** A run that failed: what failed, and the code that does it again. */
export class Failure extends Error {
  override readonly name = 'Failure';
  constructor(
    readonly violation: string,
    readonly script: readonly string[],
    cause: unknown,
  ) {
    super(`${violation}\n\n${script.join('\n')}\n`, { cause });
  }
}

export function failureOf({ script, setup }: World, error: unknown): Failure {
  const violation = error instanceof Violation ? error.message : String(error);
  return new Failure(violation, [...header(setup), ...script], error);
}

/** Runs with the jitter of the pool drawn from a seed too, or the same steps would not do the same again. */
export async function withSeed<R>(seed: number, run: () => Promise<R>): Promise<R> {
  const original = { random: Math.random, stackTraceLimit: Error.stackTraceLimit };
  Math.random = seeded(seed).next;
  // Stacks cost more than all the rest, and a script says more than they do.
  Error.stackTraceLimit = 0;
  try {
    return await run();
  } finally {
    Math.random = original.random;
    Error.stackTraceLimit = original.stackTraceLimit;
  }
}

export async function runSteps(
  setup: Setup,
  seed: number,
  next: (world: World) => Step | undefined,
): Promise<{ done: number; taken: Step[]; failure: Failure | undefined }> {
  const taken: Step[] = [];
  let done = 0;
  const failure = await withSeed(seed, async () => {
    const world = new World(setup);
    try {
      for (let step = next(world); step !== undefined; step = next(world)) {
        taken.push(step);
        if (await take(world, step)) done += 1;
        else taken.pop();
      }
      await finish(world);
      return undefined;
    } catch (error) {
      return failureOf(world, error);
    }
  });
  return { done, taken, failure };
}

function header({ limits, min, max, hooks, ways }: Setup): string[] {
  const entries = Object.entries({ minConnections: min, maxConnections: max, ...limits });
  const options = entries.map(([key, value]) => `${key}: ${typeof value === 'string' ? `'${value}'` : value}`);
  return [
    `const factory = new ScriptedFactory(watcher); Object.assign(factory.ways, ${JSON.stringify(ways)});`,
    `const pool = new ConnectionPool({ name: 'model', clock, factory: factory.hooks(${JSON.stringify(hooks)}),`,
    `  createRetry: { initialMs: 10, maxMs: 80 }, ${options.join(', ')} });`,
  ];
}
