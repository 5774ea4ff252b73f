import { type Clock, systemClock } from './clock.js';
import type { ConnectionFactory } from './connection-factory.js';
import { PoolOptionsError } from './pool-errors.js';

/**
 * How long to wait before a failed create is tried again: `initialMs`, then `factor` times more after each further
 * failure, never more than `maxMs`. The real wait is a random share of that ("full jitter"), so that a fleet whose
 * upstream comes back does not return in one wave.
 *
 * @publicApi
 */
export interface RetryBackoff {
  /** Default: 100. */
  readonly initialMs?: number;
  /** Default: 30 000. */
  readonly maxMs?: number;
  /** Default: 2. */
  readonly factor?: number;
}

/**
 * The limits of a pool. Every duration is in milliseconds; `Infinity` turns a limit off.
 *
 * @publicApi
 */
export interface PoolLimits {
  /** Connections kept open even when nobody needs them. Default: 2, or `maxConnections` where that is less. */
  readonly minConnections?: number;
  /** Connections there are at most, those being opened, checked and closed included. Default: 20. */
  readonly maxConnections?: number;
  /** How long a connection above the minimum may lie idle. Default: 300 000. */
  readonly maxIdleTimeMs?: number;
  /** How old a connection may get. One in use is closed when it comes back. Default: 3 600 000. */
  readonly maxLifetimeMs?: number;
  /** The share, 0 to 1, by which each lifetime is shortened at random, so that they do not end together. Default: 0.1. */
  readonly lifetimeJitter?: number;
  /** How often a connection may be lent. Default: Infinity. */
  readonly maxUses?: number;
  /** One deadline over queueing, checks and creates; 0 takes a ready connection or none. Default: 10 000. */
  readonly acquireTimeoutMs?: number;
  /** Default: 10 000. */
  readonly createTimeoutMs?: number;
  /** How often an unused connection is checked in the background. Default: 30 000. */
  readonly healthCheckIntervalMs?: number;
  /** A connection unused for longer than this is checked before it is lent. Default: 500. */
  readonly validateAfterIdleMs?: number;
  /** Default: 5 000. */
  readonly healthCheckTimeoutMs?: number;
  /** Default: 5 000. */
  readonly resetTimeoutMs?: number;
  /** Default: 5 000. */
  readonly destroyTimeoutMs?: number;
  /** Acquires that may wait beyond those that a create or a check will serve; the next is refused at once. Default: 1 000. */
  readonly maxWaiting?: number;
  /** Connections opened at the same time. Default: 10, or `maxConnections` where that is less. */
  readonly maxCreating?: number;
  /** Lend the connection used last (`lifo`, so that spare ones can expire) or the one idle longest (`fifo`). Default: `lifo`. */
  readonly order?: 'lifo' | 'fifo';
  readonly createRetry?: RetryBackoff;
  /** How long {@link ConnectionPool.close} waits for borrowers before it takes their connections away. Default: 10 000. */
  readonly closeTimeoutMs?: number;
}

/**
 * What `new ConnectionPool(…)` takes.
 *
 * @publicApi
 */
export interface PoolOptions<T> extends PoolLimits {
  /** Shown in every error, log line and metric. */
  readonly name: string;
  readonly factory: ConnectionFactory<T>;
  /** Default: {@link systemClock}. */
  readonly clock?: Clock;
}

/**
 * What one acquire may ask for.
 *
 * @publicApi
 */
export interface AcquireOptions {
  /** Ends the wait. A create that was started for it goes on, for the pool. */
  readonly signal?: AbortSignal;
  /** Overrides the pool's. 0 takes a ready connection or none. */
  readonly acquireTimeoutMs?: number;
}

/**
 * What {@link ConnectionPool.ready} may ask for.
 *
 * @publicApi
 */
export interface ReadyOptions {
  /** Default: the pool's `acquireTimeoutMs`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * What {@link ConnectionPool.close} may ask for.
 *
 * @publicApi
 */
export interface CloseOptions {
  /** How long borrowers have; 0 waits for nobody. Default: the pool's `closeTimeoutMs`. */
  readonly timeoutMs?: number;
}

/** Options after the door: checked, complete, never changed. @internal */
export interface ResolvedPoolOptions<T> extends Required<Omit<PoolOptions<T>, 'createRetry'>> {
  readonly createRetry: Required<RetryBackoff>;
}

type Rule = (value: unknown) => string | undefined;

const duration: Rule = (value) =>
  typeof value === 'number' && value >= 0 ? undefined : 'a number of milliseconds from 0, or Infinity';
const positiveDuration: Rule = (value) =>
  typeof value === 'number' && value > 0 ? undefined : 'a number of milliseconds above 0, or Infinity';
const wholeFrom =
  (least: number): Rule =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least ? undefined : `a whole number from ${least}`;
const wholeOrInfinity =
  (least: number): Rule =>
  (value) =>
    value === Infinity ? undefined : wholeFrom(least)(value) && `a whole number from ${least}, or Infinity`;
const share: Rule = (value) =>
  typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'a number from 0 to 1';
const order: Rule = (value) => (value === 'lifo' || value === 'fifo' ? undefined : "'lifo' or 'fifo'");
const group: Rule = (value) => (typeof value === 'object' && value !== null ? undefined : 'an object');

const LIMITS: Record<keyof PoolLimits, Rule> = {
  minConnections: wholeFrom(0),
  maxConnections: wholeFrom(1),
  maxIdleTimeMs: positiveDuration,
  maxLifetimeMs: positiveDuration,
  lifetimeJitter: share,
  maxUses: wholeOrInfinity(1),
  acquireTimeoutMs: duration,
  createTimeoutMs: positiveDuration,
  healthCheckIntervalMs: positiveDuration,
  validateAfterIdleMs: duration,
  healthCheckTimeoutMs: positiveDuration,
  resetTimeoutMs: positiveDuration,
  destroyTimeoutMs: positiveDuration,
  maxWaiting: wholeOrInfinity(0),
  maxCreating: wholeOrInfinity(1),
  order,
  createRetry: group,
  closeTimeoutMs: duration,
};

const BACKOFF: Record<keyof RetryBackoff, Rule> = {
  initialMs: positiveDuration,
  maxMs: positiveDuration,
  factor: (value) => (typeof value === 'number' && value >= 1 ? undefined : 'a number from 1'),
};

const abortSignal: Rule = (value) => (value instanceof AbortSignal ? undefined : 'an AbortSignal');
const ACQUIRE: Record<keyof AcquireOptions, Rule> = { acquireTimeoutMs: duration, signal: abortSignal };
const READY: Record<keyof ReadyOptions, Rule> = { timeoutMs: duration, signal: abortSignal };
const CLOSE: Record<keyof CloseOptions, Rule> = { timeoutMs: duration };

const HOOKS = ['create', 'isHealthy', 'reset', 'destroy', 'looksAlive'] as const;

/** Says what a value is without saying the value: it may be a secret in the wrong place. */
function shapeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text';
  if (typeof value !== 'number') return value === undefined ? 'nothing' : `a value of type ${typeof value}`;
  if (Number.isNaN(value)) return 'NaN';
  if (value < 0) return 'a negative number';
  return Number.isInteger(value) ? 'another number' : 'a fraction or an infinite number';
}

function checkGroup(rules: Record<string, Rule>, values: object, prefix = ''): string[] {
  if (group(values) !== undefined) return [`expected an object of options, got ${shapeOf(values)}`];
  const problems: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    // `undefined` means "not given", as it does for every optional property of TypeScript.
    if (value === undefined) continue;
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    const expected = rule?.(value);
    if (rule === undefined) problems.push(`${prefix}${key}: no such option${nearest(key, Object.keys(rules))}`);
    else if (expected !== undefined) problems.push(`${prefix}${key}: expected ${expected}, got ${shapeOf(value)}`);
  }
  return problems;
}

/** Most unknown options are a slip of the keyboard or another pool's word for the same thing. */
function nearest(key: string, known: readonly string[]): string {
  const letters = (word: string): string => word.toLowerCase().replaceAll(/millis(econds)?$|ms$|s$|[^a-z]/g, '');
  const alike = known.find((name) => letters(name) === letters(key) || letters(name).includes(letters(key)));
  return alike === undefined || letters(key).length < 3 ? '' : ` (did you mean ${alike}?)`;
}

/** Every problem of a set of limits, in words. */
function checkLimits(limits: PoolLimits): string[] {
  const problems = checkGroup(LIMITS, limits);
  if (group(limits.createRetry) === undefined)
    problems.push(...checkGroup(BACKOFF, limits.createRetry!, 'createRetry.'));
  const { minConnections, maxConnections } = limits;
  if (typeof minConnections === 'number' && minConnections > (maxConnections ?? DEFAULT_MAX_CONNECTIONS)) {
    problems.push('minConnections: must not be above maxConnections');
  }
  return problems;
}

/** A kind's options are its own settings and the pool's limits in one object: this takes them apart. @internal */
export function splitLimits<O extends PoolLimits>(
  options: O,
): { limits: PoolLimits; rest: Omit<O, keyof PoolLimits>; problems: string[] } {
  const entries = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  const limits: PoolLimits = Object.fromEntries(entries.filter(([key]) => Object.hasOwn(LIMITS, key)));
  const rest = Object.fromEntries(entries.filter(([key]) => !Object.hasOwn(LIMITS, key))) as Omit<O, keyof PoolLimits>;
  return { limits, rest, problems: checkLimits(limits) };
}

/** Every problem of a factory, in words. @internal */
export function checkFactory(factory: unknown): string[] {
  if (typeof factory !== 'object' || factory === null) {
    return [`factory: expected an object with a create() method, got ${shapeOf(factory)}`];
  }
  const hooks = factory as Record<string, unknown>;
  return HOOKS.filter(
    (hook) => typeof hooks[hook] !== 'function' && (hook === 'create' || hooks[hook] !== undefined),
  ).map((hook) => `factory.${hook}: expected a function, got ${shapeOf(hooks[hook])}`);
}

/** Per-call values of an acquire, checked where they are used. @internal */
export function checkAcquire(options: object): string[] {
  return checkGroup(ACQUIRE, options);
}

/** Per-call values of `ready`. @internal */
export function checkReady(options: object): string[] {
  return checkGroup(READY, options);
}

/** Per-call values of `close`. @internal */
export function checkClose(options: object): string[] {
  return checkGroup(CLOSE, options);
}

const DEFAULT_MAX_CONNECTIONS = 20;

/**
 * Checks the options and fills in the defaults.
 *
 * The numbers: 10 s to acquire and to create, 5 min idle, 1 h of life are what HikariCP and pgxpool settled on or near;
 * 500 ms without a check is HikariCP's window.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolvePoolOptions<T>(options: PoolOptions<T>): ResolvedPoolOptions<T> {
  if (typeof options !== 'object' || options === null)
    throw new PoolOptionsError('?', ['expected an object of options']);
  const { name, factory, clock = systemClock, ...limits } = options;
  const problems = [...checkFactory(factory), ...checkLimits(limits)];
  if (typeof name !== 'string' || name === '') problems.unshift(`name: expected a text, got ${shapeOf(name)}`);
  if (
    typeof clock?.now !== 'function' ||
    typeof clock.setTimeout !== 'function' ||
    typeof clock.clearTimeout !== 'function'
  ) {
    problems.push('clock: expected { now(), setTimeout(fn, ms), clearTimeout(timer) }');
  }
  if (problems.length > 0) throw new PoolOptionsError(typeof name === 'string' ? name : '?', problems);

  const maxConnections = limits.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  return {
    name,
    factory,
    clock,
    maxConnections,
    minConnections: limits.minConnections ?? Math.min(2, maxConnections),
    maxIdleTimeMs: limits.maxIdleTimeMs ?? 300_000,
    maxLifetimeMs: limits.maxLifetimeMs ?? 3_600_000,
    lifetimeJitter: limits.lifetimeJitter ?? 0.1,
    maxUses: limits.maxUses ?? Infinity,
    acquireTimeoutMs: limits.acquireTimeoutMs ?? 10_000,
    createTimeoutMs: limits.createTimeoutMs ?? 10_000,
    healthCheckIntervalMs: limits.healthCheckIntervalMs ?? 30_000,
    validateAfterIdleMs: limits.validateAfterIdleMs ?? 500,
    healthCheckTimeoutMs: limits.healthCheckTimeoutMs ?? 5_000,
    resetTimeoutMs: limits.resetTimeoutMs ?? 5_000,
    destroyTimeoutMs: limits.destroyTimeoutMs ?? 5_000,
    maxWaiting: limits.maxWaiting ?? 1_000,
    maxCreating: limits.maxCreating ?? Math.min(maxConnections, 10),
    order: limits.order ?? 'lifo',
    createRetry: {
      initialMs: limits.createRetry?.initialMs ?? 100,
      maxMs: limits.createRetry?.maxMs ?? 30_000,
      factor: limits.createRetry?.factor ?? 2,
    },
    closeTimeoutMs: limits.closeTimeoutMs ?? 10_000,
  };
}
