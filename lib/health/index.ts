export { PoolHealthModule, type PoolHealthModuleOptions } from './pool-health.module.js';
export { type PoolHealthData, PoolHealthIndicator } from './pool.health.js';
export type { PoolVerdict } from './pool-verdict.js';
