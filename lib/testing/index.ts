export { createFakePool, type FakePool, type FakePoolOptions } from './fake-pool.js';
export { type GatedCall, type GatedConnection, GatedFactory, type GatedHook } from './gated-factory.js';
export { ManualClock } from './manual-clock.js';
export { PoolTestingModule, type PoolTestingModuleOptions } from './pool-testing.module.js';
export type { UpstreamAnswer, UpstreamRequest, UpstreamSettings } from './upstream-settings.js';
export { startUpstreamSimulator, type UpstreamSimulator } from './upstream-simulator.js';
