export { type GatedCall, type GatedConnection, GatedFactory, type GatedHook } from './gated-factory.js';
export { ManualClock } from './manual-clock.js';
