import type {
  AcquireOptions,
  CloseOptions,
  PoolLimits,
  ReadyOptions,
  ResizeOptions,
  RetryBackoff,
} from './pool-options.js';

/** @internal */
export const DEFAULT_MAX_CONNECTIONS = 20;

/** What is expected of a value, in words, if it is not that. @internal */
export type Rule = (value: unknown) => string | undefined;

const duration: Rule = (value) =>
  typeof value === 'number' && value >= 0 ? undefined : 'a number of milliseconds from 0, or Infinity';
/** @internal */
export const positiveDuration: Rule = (value) =>
  typeof value === 'number' && value > 0 ? undefined : 'a number of milliseconds above 0, or Infinity';
/** @internal */
export const wholeFrom =
  (least: number): Rule =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least ? undefined : `a whole number from ${least}`;
/** @internal */
export const wholeOrInfinity =
  (least: number): Rule =>
  (value) =>
    value === Infinity ? undefined : wholeFrom(least)(value) && `a whole number from ${least}, or Infinity`;
/** @internal */
export const share: Rule = (value) =>
  typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'a number from 0 to 1';
const priority: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 9
    ? undefined
    : 'a whole number from 0 to 9';
/** @internal */
export const oneOf =
  (...words: string[]): Rule =>
  (value) =>
    words.includes(value as string) ? undefined : words.map((word) => `'${word}'`).join(' or ');
/** @internal */
export const yesOrNo: Rule = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
/** @internal */
export const group: Rule = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'an object';
/** @internal */
export const text: Rule = (value) => (typeof value === 'string' ? undefined : 'a text');
/** @internal */
export const someText: Rule = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'a text that is not empty';
/** @internal */
export const someTexts: Rule = (value) =>
  Array.isArray(value) && value.every((item) => someText(item) === undefined) ? undefined : 'a list of texts';
/** @internal */
export const someFunction: Rule = (value) => (typeof value === 'function' ? undefined : 'a function');
/** @internal */
export const portNumber: Rule = (value) =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536
    ? undefined
    : 'a whole number from 1 to 65535';
/** How often something is done again: a number, or `true` for as often as usual. @internal */
export const repetitions: Rule = (value) =>
  typeof value === 'boolean' || wholeFrom(0)(value) === undefined ? undefined : 'a whole number from 0, or true';
/** What satisfies one of them. @internal */
export const either =
  (...rules: readonly Rule[]): Rule =>
  (value) => {
    const expected = rules.map((rule) => rule(value));
    return expected.includes(undefined) ? undefined : expected.join(' or ');
  };

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
  order: oneOf('lifo', 'fifo'),
  createRetry: group,
  onCreateError: oneOf('reject', 'wait'),
  downAfter: wholeOrInfinity(1),
  unhealthyAfter: wholeOrInfinity(1),
  leakWarnAfterMs: positiveDuration,
  leakStackSampleRate: share,
  reclaimLeaked: yesOrNo,
  detectDeadlock: yesOrNo,
  closeTimeoutMs: duration,
};

const BACKOFF: Record<keyof RetryBackoff, Rule> = {
  initialMs: positiveDuration,
  maxMs: positiveDuration,
  factor: (value) => (typeof value === 'number' && value >= 1 ? undefined : 'a number from 1'),
};

const abortSignal: Rule = (value) => (value instanceof AbortSignal ? undefined : 'an AbortSignal');
/** @internal */
export const ACQUIRE: Record<keyof AcquireOptions, Rule> = {
  acquireTimeoutMs: duration,
  signal: abortSignal,
  priority,
};
const RESIZE: Record<keyof ResizeOptions, Rule> = { minConnections: wholeFrom(0), maxConnections: wholeFrom(0) };
const READY: Record<keyof ReadyOptions, Rule> = { timeoutMs: duration, signal: abortSignal };
const CLOSE: Record<keyof CloseOptions, Rule> = { timeoutMs: duration };

const HOOKS = ['create', 'isHealthy', 'reset', 'destroy', 'looksAlive', 'retryable'] as const;

/** Says what a value is without saying the value: it may be a secret in the wrong place. @internal */
export function shapeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text';
  if (typeof value !== 'number') return value === undefined ? 'nothing' : `a value of type ${typeof value}`;
  if (Number.isNaN(value)) return 'NaN';
  if (value < 0) return 'a negative number';
  return Number.isInteger(value) ? 'another number' : 'a fraction or an infinite number';
}

/** Every option that is not there or has a wrong value, in words. @internal */
export function checkGroup(rules: Readonly<Record<string, Rule>>, values: object, prefix = ''): string[] {
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

/** Most unknown names are a slip of the keyboard or another pool's word for the same thing. @internal */
export function nearest(key: string, known: readonly string[]): string {
  const letters = (word: string): string => word.toLowerCase().replaceAll(/millis(econds)?$|ms$|s$|[^a-z]/g, '');
  const alike = known.find((name) => letters(name) === letters(key) || letters(name).includes(letters(key)));
  return alike === undefined || letters(key).length < 3 ? '' : ` (did you mean ${alike}?)`;
}

/** Every problem of a set of limits, in words. @internal */
export function checkLimits(limits: PoolLimits): string[] {
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

/** Per-call values of `resize`. @internal */
export function checkResize(options: object): string[] {
  return checkGroup(RESIZE, options);
}

/** Per-call values of `ready`. @internal */
export function checkReady(options: object): string[] {
  return checkGroup(READY, options);
}

/** Per-call values of `close`. @internal */
export function checkClose(options: object): string[] {
  return checkGroup(CLOSE, options);
}
