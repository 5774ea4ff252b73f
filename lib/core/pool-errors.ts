import type { PoolStats } from './pool-stats.js';

/** The same symbol in every copy of this package, so that two installed versions know each other's errors. */
const BRAND = Symbol.for('nestjs-pools.PoolError');

/** @publicApi */
export type PoolErrorCode =
  | 'POOL_ACQUIRE_TIMEOUT'
  | 'POOL_ACQUIRE_ABORTED'
  | 'POOL_EXHAUSTED'
  | 'POOL_TOO_MANY'
  | 'POOL_CLOSED'
  | 'POOL_DOWN'
  | 'POOL_DEADLOCK'
  | 'POOL_NO_HEALTHY_CONNECTION'
  | 'POOL_CREATE_FAILED'
  | 'POOL_LEASE_RELEASED'
  | 'POOL_CONNECTION_LOST'
  | 'POOL_OPTIONS';

interface PoolErrorDetails {
  readonly stats?: PoolStats;
  readonly cause?: unknown;
  readonly retryable?: boolean;
}

/**
 * The base of everything that a pool throws or rejects with. Messages name the pool, the numbers, and the class and code
 * of the cause; never a connection, a setting or a secret.
 *
 * @publicApi
 */
export abstract class PoolError extends Error {
  /** The pool's name. */
  readonly pool: string;
  abstract readonly code: PoolErrorCode;
  /** The pool at the time of the error, where it was about a pool at work. */
  readonly stats: PoolStats | undefined;
  /** Whether the same call may succeed a little later. */
  readonly retryable: boolean;
  /** @internal */
  readonly [BRAND] = true;

  constructor(pool: string, message: string, details: PoolErrorDetails = {}) {
    super(`Pool "${pool}": ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.pool = pool;
    this.stats = details.stats;
    this.retryable = details.retryable ?? false;
  }

  static {
    // On the prototype, so that it stands in the stack and costs nothing per error.
    Object.defineProperty(this.prototype, 'name', {
      get(this: PoolError): string {
        return this.constructor.name;
      },
      configurable: true,
    });
  }
}

/** Whether a value is a {@link PoolError}, of this or another installed copy of the package. @publicApi */
export function isPoolError(value: unknown): value is PoolError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

/** No connection came free before the deadline. @publicApi */
export class AcquireTimeoutError extends PoolError {
  readonly code = 'POOL_ACQUIRE_TIMEOUT';
  constructor(pool: string, waitedMs: number, stats: PoolStats, cause?: unknown) {
    super(pool, `no connection within ${Math.round(waitedMs)} ms ${situation(stats)}`, {
      stats,
      cause,
      retryable: true,
    });
  }
}

/** The caller's own signal ended the wait; its reason is the cause. @publicApi */
export class AcquireAbortedError extends PoolError {
  readonly code = 'POOL_ACQUIRE_ABORTED';
  constructor(pool: string, stats: PoolStats, reason: unknown) {
    super(pool, `the caller stopped waiting for a connection ${situation(stats)}`, { stats, cause: reason });
  }
}

/** `maxWaiting` acquires wait already. @publicApi */
export class PoolExhaustedError extends PoolError {
  readonly code = 'POOL_EXHAUSTED';
  constructor(pool: string, stats: PoolStats, cause?: unknown) {
    super(pool, `too many acquires are waiting ${situation(stats)}`, { stats, cause, retryable: true });
  }
}

/** The keyed pools have as many pools as they may, each of them in use, so that none can make room. @publicApi */
export class TooManyPoolsError extends PoolError {
  readonly code = 'POOL_TOO_MANY';
  constructor(
    pool: string,
    /** How many pools there are, and may be. */
    readonly maxPools: number,
  ) {
    super(pool, `no room for one more pool: ${maxPools} of ${maxPools} are in use`, { retryable: true });
  }
}

/** The pool is closed, or closed while the caller waited. @publicApi */
export class PoolClosedError extends PoolError {
  readonly code = 'POOL_CLOSED';
  constructor(pool: string, stats?: PoolStats) {
    super(pool, 'is closed', { stats });
  }
}

/** The factory could not open a connection; its error is the cause, as it came. @publicApi */
export class ConnectionCreateError extends PoolError {
  readonly code = 'POOL_CREATE_FAILED';
  /** @param retryable whether the factory holds that it may succeed by itself later */
  constructor(pool: string, stats: PoolStats, cause: unknown, retryable: boolean) {
    super(pool, `could not open a connection: ${nameOf(cause)} ${situation(stats)}`, { stats, cause, retryable });
  }
}

/**
 * Opening connections has failed `downAfter` times in a row, so acquires that nothing idle can serve fail at once; the
 * last failure is the cause. After `retryAt` one acquire tries again.
 *
 * @publicApi
 */
export class PoolDownError extends PoolError {
  readonly code = 'POOL_DOWN';
  /** When the next attempt may be made. */
  readonly retryAt: Date;
  constructor(pool: string, retryAt: Date, stats: PoolStats, cause: unknown) {
    const failures = stats.createFailuresInRow;
    super(pool, `the upstream is down, ${failures} failed creates in a row: ${nameOf(cause)} ${situation(stats)}`, {
      stats,
      cause,
      retryable: true,
    });
    this.retryAt = retryAt;
  }
}

/**
 * The deadline came while connections failed their health checks: the pool is not too small, its connections are sick.
 * The last check's error is the cause, where it had one.
 *
 * @publicApi
 */
export class NoHealthyConnectionError extends PoolError {
  readonly code = 'POOL_NO_HEALTHY_CONNECTION';
  constructor(pool: string, waitedMs: number, failedChecks: number, stats: PoolStats, cause: unknown) {
    const checks = `${failedChecks} health checks in a row failed${cause === undefined ? '' : `, the last by ${nameOf(cause)}`}`;
    super(pool, `no healthy connection within ${Math.round(waitedMs)} ms: ${checks} ${situation(stats)}`, {
      stats,
      cause,
      retryable: true,
    });
  }
}

/**
 * Every connection is held by work that itself waits for another connection of this pool, the caller's work among it: none
 * would ever come back. Pass the connection on, or acquire before.
 *
 * @publicApi
 */
export class PoolDeadlockError extends PoolError {
  readonly code = 'POOL_DEADLOCK';
  constructor(pool: string, stats: PoolStats) {
    super(
      pool,
      `deadlock: all connections are held by callers that wait for another one of this pool ${situation(stats)}; ` +
        'use the connection that you hold',
      { stats },
    );
  }
}

/** A lease was used after it had been given back or taken away. @publicApi */
export class LeaseReleasedError extends PoolError {
  readonly code = 'POOL_LEASE_RELEASED';
  constructor(pool: string, connectionId: number) {
    super(pool, `the lease of connection #${connectionId} has ended; take what you need from it before you release it`);
  }
}

/** The reason on `lease.signal`: the connection under a borrower died or was taken away. @publicApi */
export class ConnectionLostError extends PoolError {
  readonly code = 'POOL_CONNECTION_LOST';
  constructor(pool: string, connectionId: number, cause: unknown) {
    super(pool, `connection #${connectionId} was lost while it was leased: ${nameOf(cause)}`, {
      cause,
      retryable: true,
    });
  }
}

/** Options that cannot work, every one of them named. @publicApi */
export class PoolOptionsError extends PoolError {
  readonly code = 'POOL_OPTIONS';
  constructor(
    pool: string,
    /** One line for each option that is wrong. */
    readonly problems: readonly string[],
    cause?: unknown,
  ) {
    const told = problems.length === 1 ? `${problems[0]}` : `wrong options:\n  - ${problems.join('\n  - ')}`;
    super(pool, told, { cause });
  }
}

/** An error's code, else its class: what an operator needs to know and nothing that it may hold. @internal */
export function nameOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return error === undefined ? 'no reason given' : typeof error;
  const code = traitOf(error, 'code');
  if (typeof code === 'string' && code !== '') return code;
  const name = traitOf(error, 'name');
  return typeof name === 'string' && name !== '' ? name : 'Error';
}

/** A property of whatever was thrown. It may be anything, and one that cannot even be read must not cost a waiter. @internal */
export function traitOf(error: unknown, key: 'name' | 'code' | 'retryable'): unknown {
  try {
    return (error as Record<string, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** `(20/20 active, 12 waiting; last create error: ECONNREFUSED 3 s ago)` */
function situation(stats: PoolStats): string {
  const parts = [`${stats.activeConnections}/${stats.maxConnections} active`];
  if (stats.creatingConnections > 0) parts.push(`${stats.creatingConnections} opening`);
  if (stats.checkingConnections > 0) parts.push(`${stats.checkingConnections} checking`);
  if (stats.destroyingConnections > 0) parts.push(`${stats.destroyingConnections} closing`);
  parts.push(`${stats.waiting} waiting`);
  const failure = stats.lastCreateError;
  const last = failure && `; last create error: ${failure.code ?? failure.name} ${ago(failure.agoMs)}`;
  return `(${parts.join(', ')}${last ?? ''})`;
}

function ago(ms: number): string {
  return ms < 1000 ? 'just now' : `${Math.round(ms / 1000)} s ago`;
}

/**
 * Makes an error without a stack. For errors that are made by a timer or a failed create: their stack shows the pool's own
 * frames only, says nothing about the caller, and is most of the cost of a storm of timeouts.
 *
 * @internal
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const usual = Error.stackTraceLimit;
  // `Reflect.set`, since an assignment throws where intrinsics are frozen.
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return make();
  } finally {
    Reflect.set(Error, 'stackTraceLimit', usual);
  }
}
