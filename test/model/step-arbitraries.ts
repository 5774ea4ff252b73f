import fc from 'fast-check';
import type { Limits } from './reference-model.js';
import { HOOKS, WAYS } from './scripted-factory.js';
import type { Step } from './steps.js';
import { EVENTS } from '../support/pool-event-names.js';
import type { Setup } from './world.js';

// The simplest value comes first everywhere: that is the one to which fast-check shrinks.

const limits: fc.Arbitrary<Limits> = fc.record({
  acquireTimeoutMs: fc.constantFrom(50, 200, Infinity),
  maxIdleTimeMs: fc.constantFrom(Infinity, 300, 60),
  maxLifetimeMs: fc.constantFrom(Infinity, 2_000, 400),
  lifetimeJitter: fc.constantFrom(0, 0.5),
  maxUses: fc.constantFrom(Infinity, 3, 1),
  validateAfterIdleMs: fc.constantFrom(200, 20, 0),
  healthCheckIntervalMs: fc.constantFrom(Infinity, 50),
  createTimeoutMs: fc.constantFrom(200, 40),
  healthCheckTimeoutMs: fc.constantFrom(40, 20),
  resetTimeoutMs: fc.constantFrom(40, 20),
  destroyTimeoutMs: fc.constantFrom(100, 20),
  maxWaiting: fc.constantFrom(1_000, 3, 0),
  maxCreating: fc.constantFrom(10, 2, 1),
  order: fc.constantFrom('lifo', 'fifo'),
  onCreateError: fc.constantFrom('reject', 'wait'),
  downAfter: fc.constantFrom(Infinity, 3, 1),
  unhealthyAfter: fc.constant(Infinity),
  leakWarnAfterMs: fc.constantFrom(Infinity, 30),
  detectDeadlock: fc.boolean(),
});

const way = fc.constantFrom(...WAYS);

export const setups: fc.Arbitrary<Setup> = fc
  .record({
    limits,
    sizes: fc.constantFrom([0, 1], [1, 1], [0, 2], [1, 3], [3, 3]),
    hooks: fc.subarray(['isHealthy', 'reset', 'looksAlive']),
    ways: fc.record({ create: way, isHealthy: way, reset: way, destroy: way }),
    closesFirst: fc.boolean(),
  })
  .map(({ sizes: [min, max], ...rest }) => ({ min: min!, max: max!, ...rest }));

const pick = fc.nat({ max: 20 });
const ask = {
  timeoutMs: fc.constantFrom(undefined, 50, 0, 5, 1_000, Infinity),
  priority: fc.option(fc.nat({ max: 9 }), { nil: undefined }),
  signal: fc.constantFrom(undefined, 'live' as const, 'aborted' as const),
};
const only = <K extends Step['do']>(kind: K): { do: fc.Arbitrary<K> } => ({ do: fc.constant(kind) });

/** Steps that take no time, so that a hook or a listener may take them too. */
const sudden: readonly fc.Arbitrary<Step>[] = [
  fc.record({ ...only('acquire'), ...ask }),
  fc.record({ ...only('acquire'), ...ask }),
  fc.record({ ...only('release'), pick }),
  fc.record({ ...only('release'), pick }),
  fc.record({ ...only('use'), work: fc.constantFrom('holds', 'returns', 'throws'), ...ask }),
  fc.record({ do: fc.constantFrom('destroy', 'detach', 'abort', 'broken', 'die'), pick }),
  fc.record({ ...only('misuse'), pick, how: fc.constantFrom('release', 'destroy', 'detach', 'dispose') }),
  fc.record({ ...only('evict'), which: fc.constantFrom('all', 'odd', 'none', 'throws') }),
  fc.record({ do: fc.constantFrom('tryAcquire', 'retireAll', 'suspend', 'resume') }),
  fc.record({
    ...only('resize'),
    min: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    max: fc.option(fc.nat({ max: 5 }), { nil: undefined }),
  }),
];

const ending: readonly fc.Arbitrary<Step>[] = [
  fc.record({ ...only('drain') }),
  fc.record({ ...only('close'), timeoutMs: fc.constantFrom(50, 0, Infinity) }),
];

const inside = fc.oneof(...sudden, ...ending, fc.record({ ...only('fail') }));

export const steps: readonly fc.Arbitrary<Step>[] = [
  ...sudden,
  ...sudden,
  fc.oneof({ arbitrary: fc.record({ ...only('start') }), weight: 10 }, ...ending),
  fc.record({ ...only('work'), pick, order: fc.constantFrom('return', 'throw', 'nest', 'nestUse') }),
  fc.record({ ...only('mood'), hook: fc.constantFrom(...HOOKS), way, isFinal: fc.boolean() }),
  fc.record({ ...only('advance'), ms: fc.constantFrom(0, 1, 5, 20, 50, 200) }),
  fc.record({ ...only('advance'), ms: fc.constantFrom(0, 1, 5, 20, 50, 200) }),
  fc.record({ ...only('stall'), ms: fc.nat({ max: 60 }) }),
  fc.record({ ...only('stallThenServe'), pick, ms: fc.constantFrom(100, 1_000) }),
  fc.record({ ...only('ready'), timeoutMs: fc.constantFrom(0, 20, Infinity), isAborted: fc.boolean() }),
  fc.record({ ...only('inside'), where: fc.constantFrom(...HOOKS, ...EVENTS), step: inside }),
];
