import { failureOf, finish, take, withSeed } from './episode.js';
import type { Limits } from './reference-model.js';
import type { Hook, Way } from './scripted-factory.js';
import { type Random, seeded } from '../support/seeded.js';
import { type Setup, World } from './world.js';

/** What an upstream may do with any call: answer, fail, answer late but in time, never answer. */
const ANSWERS = ['ok', 'error', 'slow', 'never'] as const;
type Answer = (typeof ANSWERS)[number];

/** Five calls, as each may go: every second create goes another way than those before and after it. */
const CALLS = ['create', 'nextCreate', 'isHealthy', 'reset', 'destroy'] as const;
type Combination = Readonly<Record<(typeof CALLS)[number], Answer>>;

const SLOW_MS = 15;
const LIMIT_MS = 40;

const limits: Limits = {
  acquireTimeoutMs: 100,
  maxIdleTimeMs: 200,
  maxLifetimeMs: 1_000,
  lifetimeJitter: 0.1,
  maxUses: 4,
  validateAfterIdleMs: 0,
  healthCheckIntervalMs: 50,
  createTimeoutMs: LIMIT_MS,
  healthCheckTimeoutMs: LIMIT_MS,
  resetTimeoutMs: LIMIT_MS,
  destroyTimeoutMs: LIMIT_MS,
  maxWaiting: 100,
  maxCreating: 2,
  order: 'lifo',
  onCreateError: 'reject',
  downAfter: Infinity,
  unhealthyAfter: Infinity,
  leakWarnAfterMs: Infinity,
  detectDeadlock: false,
};

function wayOf(answer: Answer, random: Random): Way {
  if (answer === 'slow') return 'later';
  if (answer === 'never') return 'never';
  return answer === 'ok' ? random.pick(['ok', 'soon'] as const) : random.pick(['throws', 'rejects'] as const);
}

function setupOf(combination: Combination, random: Random): Setup {
  const way = (call: keyof Combination): Way => wayOf(combination[call], random);
  const ways: Record<Hook, Way> = {
    create: way('create'),
    isHealthy: way('isHealthy'),
    reset: way('reset'),
    destroy: way('destroy'),
  };
  const max = 1 + random.below(3);
  // Half of them down after some failures, and with the generation retired after failed checks.
  const isStrict = random.chance(0.5);
  return {
    limits: { ...limits, ...(isStrict ? { downAfter: 3, unhealthyAfter: 3 } : {}) },
    min: random.below(2),
    max,
    hooks: ['isHealthy', 'reset'],
    ways,
    turns: { create: [ways.create, way('nextCreate')] },
    closesFirst: true,
  };
}

/** Some borrow, some give up, some give back, while time goes on; each hook goes its way. */
async function run(combination: Combination, seed: number): Promise<number> {
  const random = seeded(seed);
  const world = new World(setupOf(combination, random));
  const { factory, model } = world;
  try {
    for (let round = 0; round < 25; round += 1) {
      if (round < 12 || random.chance(0.3)) {
        await take(world, { do: 'acquire', timeoutMs: random.pick([undefined, 0, 20, 60, 150]), signal: 'live' });
      }
      if (random.chance(0.3)) await take(world, { do: 'abort', pick: random.below(10) });
      if (random.chance(0.5)) await take(world, { do: 'release', pick: random.below(10) });
      if (random.chance(0.1)) await take(world, { do: 'destroy', pick: random.below(10) });
      await take(world, { do: 'advance', ms: random.pick([0, 5, 10, 20]) });
      const slow = factory.held().filter((call) => call.startedAt + SLOW_MS <= world.now);
      for (const call of slow) {
        if (!call.isOver) await take(world, { do: 'settle', pick: factory.held().indexOf(call), isOk: true });
      }
    }
    // Whoever still waits has his answer by his own deadline, whatever the hooks do.
    while (model.leases.size > 0 && random.chance(0.7)) await take(world, { do: 'release', pick: 0 });
    await take(world, { do: 'advance', ms: 150 });
    world.must(model.asks.size === 0, 'rule 3: every acquire settles by its deadline');
    await finish(world);
    return world.step;
  } catch (error) {
    throw failureOf(world, error);
  }
}

const combinations = ANSWERS.flatMap((create) =>
  ANSWERS.flatMap((nextCreate) =>
    ANSWERS.flatMap((isHealthy) =>
      ANSWERS.flatMap((reset) => ANSWERS.map((destroy) => ({ create, nextCreate, isHealthy, reset, destroy }))),
    ),
  ),
);

it('are 1024', () => {
  expect(new Set(combinations.map((one) => CALLS.map((call) => one[call]).join(' '))).size).toBe(1_024);
});

describe.each(ANSWERS)('create that goes: %s', (create) => {
  it.each(ANSWERS)(
    'and the next one: %s; with every way of check, reset and destroy, and random aborts',
    async (next) => {
      const chosen = combinations.filter((one) => one.create === create && one.nextCreate === next);
      for (const combination of chosen) {
        const seed = 1 + combinations.indexOf(combination);
        try {
          await withSeed(seed, () => run(combination, seed));
        } catch (error) {
          throw new Error(`${JSON.stringify(combination)}, seed ${seed}: ${String(error)}`, { cause: error });
        }
      }
      expect(chosen.length).toBe(64);
    },
  );
});
