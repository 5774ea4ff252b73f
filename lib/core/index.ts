export { type Clock, type ClockTimer, systemClock } from './clock.js';
export type { ConnectionFactory, CreateContext, HookContext } from './connection-factory.js';
export { ConnectionPool } from './connection-pool.js';
export type { DurationSummary } from './histogram.js';
export { Lease } from './lease.js';
export type { CloseReport } from './pool-close.js';
export { customPool, type CustomPoolOptions, type PoolDefinition } from './pool-definition.js';
export {
  AcquireAbortedError,
  AcquireTimeoutError,
  ConnectionCreateError,
  ConnectionLostError,
  isPoolError,
  LeaseReleasedError,
  NoHealthyConnectionError,
  PoolClosedError,
  PoolDeadlockError,
  PoolDownError,
  PoolError,
  type PoolErrorCode,
  PoolExhaustedError,
  PoolOptionsError,
  TooManyPoolsError,
} from './pool-errors.js';
export type { PoolEventMap, PoolEventName, PoolListener } from './pool-events.js';
export type {
  AcquireOptions,
  CloseOptions,
  PoolLimits,
  PoolOptions,
  ReadyOptions,
  ResizeOptions,
  RetryBackoff,
} from './pool-options.js';
export type { CreateFailure, DestroyCause, PoolStateName, PoolStats } from './pool-stats.js';
export type { ConnectionInfo } from './slot.js';
