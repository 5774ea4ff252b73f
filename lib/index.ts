export * from './core/index.js';
export { InjectPool } from './nest/inject-pool.decorator.js';
export { Leased } from './nest/leased.decorator.js';
export { PoolExceptionFilter } from './nest/pool-exception.filter.js';
export type {
  AnyPoolDefinition,
  Exact,
  Injected,
  InjectEntry,
  PoolModuleClassOptions,
  PoolModuleExtras,
  PoolModuleFactoryOptions,
  PoolModuleOptions,
  PoolOptionsFactory,
  PoolShutdown,
} from './nest/pool-module-options.interface.js';
export { PoolModule } from './nest/pool.module.js';
export { PoolRegistry, type RegisteredPool } from './nest/pool.registry.js';
export { getPoolToken } from './nest/pool.tokens.js';
export { type AsyncMethod, type PoolSource, UsePool, type UsePoolOptions } from './nest/use-pool.decorator.js';
