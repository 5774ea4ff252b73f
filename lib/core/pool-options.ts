import { type Clock, systemClock } from './clock.js';
import type { ConnectionFactory } from './connection-factory.js';
import { checkFactory, checkLimits, DEFAULT_MAX_CONNECTIONS, shapeOf } from './option-rules.js';
import { PoolOptionsError } from './pool-errors.js';
import { PoolSize } from './pool-size.js';

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
  /**
   * What a failed create means for those who wait: `reject` tells the oldest at once, with the cause; `wait` tells nobody
   * and tries again until their own deadlines. Default: `reject`.
   */
  readonly onCreateError?: 'reject' | 'wait';
  /**
   * Failed creates in a row until the upstream counts as down: then all who wait, and all further acquires that nothing
   * idle can serve, fail at once with {@link PoolDownError}, until one probe succeeds. Default: 3; Infinity where
   * `onCreateError` is `wait`.
   */
  readonly downAfter?: number;
  /** Failed health checks in a row until every connection opened so far is retired. Default: 3. */
  readonly unhealthyAfter?: number;
  /** A lease held for longer is told as `leak`, once, and its late return too. Default: Infinity. */
  readonly leakWarnAfterMs?: number;
  /** The share of acquires, 0 to 1, whose stack is kept for that warning. A stack costs some microseconds. Default: 0. */
  readonly leakStackSampleRate?: number;
  /**
   * Whether a lease that is garbage-collected unreleased is told as `reclaim`, and its connection closed. Borrowers must
   * hold the lease for as long as they use the connection. Default: false.
   */
  readonly reclaimLeaked?: boolean;
  /**
   * Whether work under {@link ConnectionPool.use} that waits for the pool whose every connection such work holds fails
   * at once with {@link PoolDeadlockError}. For development: it follows async contexts. Default: false.
   */
  readonly detectDeadlock?: boolean;
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
  /** 0 to 9: a higher one is served before all lower ones, however long they have waited. Default: 0. */
  readonly priority?: number;
}

/**
 * What {@link ConnectionPool.resize} may change.
 *
 * @publicApi
 */
export interface ResizeOptions {
  readonly minConnections?: number;
  /** 0 is allowed here: nothing is lent until it grows again. */
  readonly maxConnections?: number;
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
export interface ResolvedPoolOptions<T> extends Required<
  Omit<PoolOptions<T>, 'createRetry' | 'minConnections' | 'maxConnections'>
> {
  readonly createRetry: Required<RetryBackoff>;
  /** The minimum and the maximum, which alone may change. */
  readonly size: PoolSize;
}

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
    size: new PoolSize(maxConnections, limits.minConnections),
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
    maxCreating: limits.maxCreating ?? 10,
    order: limits.order ?? 'lifo',
    createRetry: {
      initialMs: limits.createRetry?.initialMs ?? 100,
      maxMs: limits.createRetry?.maxMs ?? 30_000,
      factor: limits.createRetry?.factor ?? 2,
    },
    onCreateError: limits.onCreateError ?? 'reject',
    // Who would rather wait than hear of a failure is not turned away for three of them either.
    downAfter: limits.downAfter ?? (limits.onCreateError === 'wait' ? Infinity : 3),
    unhealthyAfter: limits.unhealthyAfter ?? 3,
    leakWarnAfterMs: limits.leakWarnAfterMs ?? Infinity,
    leakStackSampleRate: limits.leakStackSampleRate ?? 0,
    reclaimLeaked: limits.reclaimLeaked ?? false,
    detectDeadlock: limits.detectDeadlock ?? false,
    closeTimeoutMs: limits.closeTimeoutMs ?? 10_000,
  };
}
