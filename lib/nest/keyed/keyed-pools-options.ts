import {
  type Clock,
  type ConnectionInfo,
  type ConnectionPool,
  type PoolDefinition,
  type PoolLimits,
  PoolOptionsError,
  type PoolStateName,
  type PoolStats,
  systemClock,
} from '../../core/index.js';
import {
  checkGroup,
  checkLimits,
  positiveDuration,
  type Rule,
  shapeOf,
  wholeOrInfinity,
} from '../../core/option-rules.js';

/**
 * Says what the pool of a key is made of. It is called when the key is first used, and again when it is used after its
 * pool was closed.
 *
 * @publicApi
 */
export type PoolTemplate<K extends string, T, P extends ConnectionPool<T> = ConnectionPool<T>> = (
  key: K,
) => PoolDefinition<T, P>;

/**
 * Limits over all pools of {@link KeyedPools} together. Each pool's own limits are those of its definition.
 *
 * @publicApi
 */
export interface KeyedPoolsOptions {
  /** Pools there are at most; a new one takes the place of the one that nobody has used for longest. Default: 100. */
  readonly maxPools?: number;
  /** Milliseconds after which a pool that nobody has used is closed; `Infinity` keeps it. Default: 300 000. */
  readonly idleMs?: number;
  /**
   * Connections there are at most over all pools, those being opened and closed included, counted at the upstream's side.
   * Default: Infinity.
   */
  readonly maxTotalConnections?: number;
  /** The clock of the pools too. Default: {@link systemClock}. */
  readonly clock?: Clock;
}

/** What an application adds. @internal */
export interface KeyedPoolsSetup<T, P extends ConnectionPool<T>, K extends string> extends KeyedPoolsOptions {
  /** Limits of every pool, before those of its definition. */
  readonly limits?: PoolLimits;
  /** Called with every pool that is made, before anybody uses it. */
  readonly onOpen?: (pool: P, definition: PoolDefinition<T, P>, key: K) => void;
}

/** Why a pool was closed: nobody had used it for `idleMs`, it made room for another one, or somebody closed it. @publicApi */
export type KeyedPoolEnd = 'idle' | 'lru' | 'removed';

/** What {@link KeyedPools} are doing and have done: a frozen snapshot. @publicApi */
export interface KeyedPoolsStats {
  readonly state: PoolStateName;
  /** Pools there are, without those being closed. */
  readonly pools: number;
  readonly maxPools: number;
  /** Pools being closed. Their connections count until they are gone. */
  readonly closing: number;
  /**
   * Over all pools, also those being closed; never above `maxTotalConnections`. Where that is set, creates that were given up
   * and have not ended are counted too, as the upstream has a connection for each.
   */
  readonly totalConnections: number;
  readonly maxTotalConnections: number;
  readonly activeConnections: number;
  readonly idleConnections: number;
  /** Acquires in the queues of all pools. */
  readonly waiting: number;
  /** Pools whose acquires wait because `maxTotalConnections` leaves them no connection more. */
  readonly starving: number;
  /** Pools made so far. */
  readonly opened: number;
  readonly closed: Readonly<Record<KeyedPoolEnd, number>>;
  /** Acquires that were refused for want of room for one more pool. */
  readonly refused: number;
  /** Every pool by its key, the most recently used last, without those being closed. */
  readonly byKey: Readonly<Record<string, PoolStats>>;
}

/** How {@link KeyedPools.close} went. @publicApi */
export interface KeyedPoolsCloseReport {
  /** Milliseconds from the first `close()` until nothing was left. */
  readonly tookMs: number;
  /** Pools that there still were, those being closed already included. */
  readonly pools: number;
  /** By key: connections that were destroyed under their borrowers. Keys without any are not here. */
  readonly forced: Readonly<Record<string, readonly ConnectionInfo[]>>;
  /** Hooks that had not ended. */
  readonly overdue: number;
}

const RULES: Record<keyof KeyedPoolsSetup<never, never, never>, Rule> = {
  maxPools: wholeOrInfinity(1),
  idleMs: positiveDuration,
  maxTotalConnections: wholeOrInfinity(1),
  clock: (value) => (isClock(value) ? undefined : '{ now(), setTimeout(fn, ms), clearTimeout(timer) }'),
  limits: (value) => (typeof value === 'object' && value !== null ? undefined : 'an object of limits'),
  onOpen: (value) => (typeof value === 'function' ? undefined : 'a function'),
};

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveKeyedPools<O extends KeyedPoolsSetup<never, never, never>>(
  name: unknown,
  template: unknown,
  options: O,
) {
  const problems = checkGroup(RULES, options);
  if (typeof options?.limits === 'object' && options.limits !== null) problems.push(...checkLimits(options.limits));
  if (typeof template !== 'function')
    problems.unshift(`template: expected a function of a key, got ${shapeOf(template)}`);
  if (typeof name !== 'string' || name === '') problems.unshift(`name: expected a text, got ${shapeOf(name)}`);
  if (problems.length > 0) throw new PoolOptionsError(typeof name === 'string' && name !== '' ? name : '?', problems);
  const {
    maxPools = 100,
    idleMs = 300_000,
    maxTotalConnections = Infinity,
    clock = systemClock,
    limits = {},
  } = options;
  return { maxPools, idleMs, maxTotalConnections, clock, limits };
}

function isClock(value: unknown): value is Clock {
  const { now, setTimeout, clearTimeout } = (value ?? {}) as Partial<Clock>;
  return [now, setTimeout, clearTimeout].every((member) => typeof member === 'function');
}
