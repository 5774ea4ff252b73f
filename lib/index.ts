export * from './core/index.js';
export { InjectPool, type InjectPoolDecorator } from './nest/inject-pool.decorator.js';
export {
  type KeyedPoolEnd,
  KeyedPools,
  type KeyedPoolsCloseReport,
  type KeyedPoolsOptions,
  type KeyedPoolsStats,
  type PoolTemplate,
} from './nest/keyed/keyed-pools.js';
export { LeasePerRequest } from './nest/lease-per-request.decorator.js';
export { Leased, type LeasedDecorator } from './nest/leased.decorator.js';
export { PoolExceptionFilter } from './nest/pool-exception.filter.js';
export type {
  AnyPoolDefinition,
  Exact,
  Injected,
  InjectEntry,
  PoolExtras,
  PoolFeatureClassOptions,
  PoolFeatureExtras,
  PoolFeatureFactoryOptions,
  PoolFeatureOptions,
  PoolModuleClassOptions,
  PoolModuleExtras,
  PoolModuleFactoryOptions,
  PoolModuleOptions,
  PoolOptionsFactory,
  PoolShutdown,
} from './nest/pool-module-options.interface.js';
export { PoolInterceptor } from './nest/pool.interceptor.js';
export { PoolModule } from './nest/pool.module.js';
// With a star: a named export could not be augmented by this package's own name.
export * from './nest/pool-registry-types.interface.js';
export { type CreatePoolOptions, PoolRegistry, type RegisteredPool } from './nest/pool.registry.js';
export { getPoolToken } from './nest/pool.tokens.js';
export type { PooledResult } from './nest/pooled-method.js';
export type { LeasePerRequestOptions } from './nest/request-leases.js';
export type { AsyncMethod, PoolSource, UsePoolDecorator, UsePoolOptions } from './nest/use-pool-options.interface.js';
export { UsePool } from './nest/use-pool.decorator.js';
