import type { Limits } from './reference-model.js';
import { HOOKS, type Way, WAYS } from './scripted-factory.js';
import type { Random } from '../support/seeded.js';
import type { Step } from './steps.js';
import { EVENTS } from '../support/pool-event-names.js';
import type { Setup } from './world.js';

const OFTEN: readonly Way[] = ['ok', 'soon', 'later'];

/** What a run starts from, drawn from a seed: small pools with short limits, so that everything happens often. */
export function drawSetup(random: Random): Setup {
  const max = random.pick([1, 1, 2, 3, 5, 8]);
  const limits: Limits = {
    acquireTimeoutMs: random.pick([50, 50, 200, Infinity]),
    maxIdleTimeMs: random.pick([60, 300, Infinity]),
    maxLifetimeMs: random.pick([400, 2_000, Infinity]),
    lifetimeJitter: random.pick([0, 0.1, 0.5]),
    maxUses: random.pick([1, 3, Infinity, Infinity, Infinity]),
    validateAfterIdleMs: random.pick([0, 20, 20, 200]),
    healthCheckIntervalMs: random.pick([50, 100, Infinity]),
    createTimeoutMs: random.pick([40, 60, 200]),
    healthCheckTimeoutMs: random.pick([20, 40]),
    resetTimeoutMs: random.pick([20, 40]),
    destroyTimeoutMs: random.pick([20, 40, 100]),
    maxWaiting: random.pick([0, 3, 10, 1_000]),
    maxCreating: random.pick([1, 2, 10]),
    order: random.pick(['lifo', 'fifo'] as const),
    onCreateError: random.pick(['reject', 'reject', 'reject', 'wait'] as const),
    downAfter: random.pick([1, 3, 3, Infinity]),
    // Which check belongs to which generation the factory's books cannot tell; test/core/upstream-down.spec.ts has these.
    unhealthyAfter: Infinity,
    leakWarnAfterMs: random.pick([30, 100, Infinity]),
    detectDeadlock: random.chance(0.5),
  };
  const hooks = ['isHealthy', 'reset', 'looksAlive'].filter(() => random.chance(0.5));
  const ways = Object.fromEntries(HOOKS.map((hook) => [hook, random.pick(OFTEN)]));
  return { limits, min: random.below(max + 1), max, hooks, ways, closesFirst: random.chance(0.5) };
}

type Draw = (random: Random) => Step;

const pick = (random: Random): number => random.below(1_000);
const priority = (random: Random): number | undefined => (random.chance(0.3) ? random.below(10) : undefined);
const signal = (random: Random): 'live' | 'aborted' | undefined =>
  random.chance(0.5) ? undefined : random.chance(0.03) ? 'aborted' : 'live';
/** Half of them have the pool's own patience. */
const timeoutMs = (random: Random): number | undefined =>
  random.chance(0.5) ? undefined : random.pick([0, 5, 50, 50, 50, 1_000, Infinity]);
const ask = (random: Random) => ({ timeoutMs: timeoutMs(random), priority: priority(random), signal: signal(random) });

/** Steps that take no time, so that a hook or a listener may take them too. With how often each is drawn. */
const SUDDEN: readonly (readonly [number, Draw])[] = [
  [220, (random) => ({ do: 'acquire', ...ask(random) })],
  [
    50,
    (random) => ({ do: 'use', work: random.pick(['returns', 'throws', 'holds', 'holds'] as const), ...ask(random) }),
  ],
  [50, () => ({ do: 'tryAcquire' })],
  [190, (random) => ({ do: 'release', pick: pick(random) })],
  [25, (random) => ({ do: 'destroy', pick: pick(random) })],
  [10, (random) => ({ do: 'detach', pick: pick(random) })],
  [40, (random) => ({ do: 'abort', pick: pick(random) })],
  [15, (random) => ({ do: 'broken', pick: pick(random) })],
  [6, (random) => ({ do: 'die', pick: pick(random) })],
  [
    25,
    (random) => ({
      do: 'misuse',
      pick: pick(random),
      how: random.pick(['release', 'destroy', 'detach', 'dispose'] as const),
    }),
  ],
  [10, (random) => ({ do: 'evict', which: random.pick(['all', 'odd', 'none', 'throws'] as const) })],
  [5, () => ({ do: 'retireAll' })],
  [4, () => ({ do: 'suspend' })],
  [12, () => ({ do: 'resume' })],
  [12, (random) => drawResize(random)],
  [1, () => ({ do: 'drain' })],
  [2, (random) => ({ do: 'close', timeoutMs: random.pick([0, 50, Infinity]) })],
];

const EVERY: readonly (readonly [number, Draw])[] = [
  ...SUDDEN,
  [
    60,
    (random) => ({
      do: 'work',
      pick: pick(random),
      order: random.pick(['return', 'throw', 'nest', 'nestUse'] as const),
    }),
  ],
  [130, (random) => ({ do: 'settle', pick: pick(random), isOk: random.chance(0.7) })],
  [60, (random) => drawMood(random)],
  [70, (random) => ({ do: 'advance', ms: random.pick([0, 1, 5, 20, 50, 200]) })],
  [15, (random) => ({ do: 'stall', ms: random.below(60) })],
  [10, (random) => ({ do: 'stallThenServe', pick: pick(random), ms: random.pick([100, 1_000]) })],
  [4, () => ({ do: 'start' })],
  [4, (random) => ({ do: 'ready', timeoutMs: random.pick([0, 20, Infinity]), isAborted: random.chance(0.1) })],
  [40, (random) => ({ do: 'inside', where: random.pick([...HOOKS, ...EVENTS]), step: drawInside(random) })],
];

const total = (steps: readonly (readonly [number, Draw])[]): number => steps.reduce((sum, [weight]) => sum + weight, 0);
const TOTAL_SUDDEN = total(SUDDEN);
const TOTAL = total(EVERY);

export function drawStep(random: Random): Step {
  return drawFrom(EVERY, TOTAL, random);
}

function drawInside(random: Random): Step {
  return random.chance(0.15) ? { do: 'fail' } : drawFrom(SUDDEN, TOTAL_SUDDEN, random);
}

function drawFrom(steps: readonly (readonly [number, Draw])[], sum: number, random: Random): Step {
  let at = random.below(sum);
  for (const [weight, draw] of steps) {
    if (at < weight) return draw(random);
    at -= weight;
  }
  throw new Error('unreachable');
}

function drawMood(random: Random): Step {
  const hook = random.pick(['create', 'create', ...HOOKS] as const);
  const way = random.chance(0.7) ? random.pick(OFTEN) : random.pick(WAYS);
  return { do: 'mood', hook, way, isFinal: hook === 'create' && random.chance(0.05) };
}

function drawResize(random: Random): Step {
  const max = random.chance(0.7) ? random.pick([0, 1, 2, 3, 5, 8]) : undefined;
  // Now and then one that cannot be: a minimum above the maximum.
  const min = random.chance(0.5) ? random.below((max ?? 2) + (random.chance(0.1) ? 3 : 1)) : undefined;
  return { do: 'resize', min, max };
}
