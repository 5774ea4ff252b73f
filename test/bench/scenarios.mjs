import { PEERS, VARIANTS } from './adapters.mjs';
import { allBorrowed, BIG, coldCreate, latency, massEvict, tick } from './scenarios/big.mjs';
import { bursts, useBursts } from './scenarios/bursts.mjs';
import { heapPerWaiter, idleTimers, idleWakes } from './scenarios/footprint.mjs';
import { histogramRecord } from './scenarios/histogram.mjs';
import { contended, contendedImmediate, insideContext, uncontended } from './scenarios/steady.mjs';
import { useContended, useUncontended, validated } from './scenarios/steady.mjs';
import { timeouts, timeoutsBlock } from './scenarios/storms.mjs';

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} what in words
 * @property {'ns/op' | 'µs/tick' | 'ms' | 'bytes' | '/s' | 'timers'} unit
 * @property {'cpu' | 'figure'} measures `cpu`: main-thread time per operation; `figure`: what a run returns
 * @property {(adapter: import('./adapters.mjs').Adapter) => Promise<import('./measure.mjs').Prepared>} prepare
 * @property {readonly string[]} adapters who takes part
 * @property {Partial<import('./measure.mjs').Plan>} [plan]
 * @property {number} [rounds] at most: some figures are the same every time
 * @property {string} [after] whoever failed in that scenario is not asked again
 */

const LIMITED = { acquireTimeoutMs: 10_000 };
const POOLS = ['floor', 'ours', ...PEERS];
const BOTH_FLOORS = ['floor+timeout', ...POOLS];
const BOTH_FLOORS_AND_NOOP = ['noop', ...BOTH_FLOORS];
const OF_BORROW = VARIANTS.filter((variant) => variant !== 'ours+deadlock');
const SCOPED = ['floor', 'ours', 'generic-pool'];
/** A flood of a million need not be repeated to be seen, and some peers take seconds for one. */
const FEW = { warmUpMs: 50, repetitions: 3, repetitionMs: 0 };
const ONE = { warmUpMs: 0, repetitions: 1, repetitionMs: 0 };

/** Processor time per operation of every pool, but where a scenario says otherwise. */
const USUAL = { unit: 'ns/op', measures: 'cpu', adapters: POOLS };

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  {
    id: 'uncontended',
    what: 'one loop borrows and returns; 10 warm connections',
    adapters: [...BOTH_FLOORS_AND_NOOP, ...OF_BORROW],
    prepare: uncontended(),
  },
  {
    id: 'contended-64',
    what: '64 tasks over 10 connections, each held for one microtask',
    adapters: BOTH_FLOORS_AND_NOOP,
    prepare: contended(64),
  },
  {
    id: 'contended-1k',
    what: '1,000 such tasks',
    adapters: [...BOTH_FLOORS_AND_NOOP, ...OF_BORROW],
    prepare: contended(1_000),
  },
  { id: 'contended-10k', what: '10,000 such tasks', adapters: BOTH_FLOORS, prepare: contended(10_000) },
  {
    id: 'contended-1k-immediate',
    what: '1,000 tasks, each connection held for one `setImmediate`',
    prepare: contendedImmediate(1_000),
  },
  {
    id: 'burst-1e3',
    what: '1,000 acquires at once over 10 connections, drained to the end',
    adapters: BOTH_FLOORS,
    prepare: bursts(1_000),
  },
  { id: 'burst-1e4', what: '10,000 at once', adapters: BOTH_FLOORS, prepare: bursts(10_000) },
  { id: 'burst-1e5', what: '100,000 at once', adapters: BOTH_FLOORS, prepare: bursts(100_000) },
  { id: 'burst-1e6', what: '1,000,000 at once', adapters: BOTH_FLOORS, prepare: bursts(1_000_000), plan: FEW },
  {
    id: 'timeouts-1e5',
    what: '100,000 waiters that all give up after 50 ms: processor time from the first acquire to the last error',
    unit: 'ms',
    measures: 'figure',
    prepare: timeouts(100_000),
    plan: FEW,
  },
  {
    id: 'timeouts-block',
    what: 'the longest time that they keep the event loop from turning, by a loop of immediates, in processor time',
    unit: 'ms',
    measures: 'figure',
    prepare: timeoutsBlock(100_000),
    plan: FEW,
    rounds: 3,
    after: 'timeouts-1e5',
  },
  {
    id: 'uncontended-timeout',
    what: 'uncontended, all with an acquire timeout of 10 s',
    prepare: uncontended(LIMITED),
  },
  { id: 'contended-1k-timeout', what: 'contended-1k, all with that timeout', prepare: contended(1_000, LIMITED) },
  { id: 'burst-1e4-timeout', what: 'burst-1e4, all with that timeout', prepare: bursts(10_000, LIMITED) },
  { id: 'validate', what: 'a check at every borrow, `() => Promise.resolve(true)`', prepare: validated },
  {
    id: 'cold-create',
    what: '100 waiters, no connection yet, 5 ms to open one: wall time until the last is served',
    unit: 'ms',
    measures: 'figure',
    prepare: coldCreate,
    plan: { warmUpMs: 50, repetitions: 20, repetitionMs: 0 },
  },
  {
    id: 'use-uncontended',
    what: 'the scoped helper, where there is one; one loop',
    adapters: ['noop', ...SCOPED, ...VARIANTS],
    prepare: useUncontended,
  },
  {
    id: 'use-contended-1k',
    what: 'the same, 1,000 tasks',
    adapters: [...SCOPED, 'ours+deadlock'],
    prepare: useContended(1_000),
  },
  { id: 'use-burst-1e5', what: 'the same, 100,000 at once', adapters: SCOPED, prepare: useBursts(100_000) },
  { id: 'big-uncontended', what: '10,000 connections: uncontended', prepare: uncontended({ maxConnections: BIG }) },
  { id: 'big-tick', what: '10,000 idle connections: one look that finds none expired', unit: 'µs/tick', prepare: tick },
  {
    id: 'big-all-borrowed',
    what: '10,000 connections: all borrowed at once, and returned in no order',
    prepare: allBorrowed,
  },
  {
    id: 'big-mass-evict',
    what: '10,000 idle connections that expire together: the longest time without a turn of the loop',
    unit: 'ms',
    measures: 'figure',
    prepare: massEvict,
    plan: { ...FEW, warmUpMs: 0, repetitions: 2 },
    rounds: 3,
  },
  {
    id: 'latency',
    what: '1,000 tasks over 10 connections, 1 ms of service: p99 of the wait, wall time',
    unit: 'ms',
    measures: 'figure',
    prepare: latency,
    plan: { ...FEW, warmUpMs: 0 },
    rounds: 3,
  },
  {
    id: 'als-uncontended',
    what: 'uncontended inside `AsyncLocalStorage.run()`',
    prepare: insideContext(uncontended()),
  },
  { id: 'als-contended-1k', what: 'contended-1k inside it', prepare: insideContext(contended(1_000)) },
  {
    id: 'waiter-heap',
    what: 'live heap per waiting acquire, of 100,000, all with a timeout of 10 s',
    unit: 'bytes',
    measures: 'figure',
    prepare: heapPerWaiter(100_000),
    plan: ONE,
    rounds: 3,
  },
  {
    id: 'idle-wakes',
    what: 'how often an unused pool wakes the process, idle timeout 60 s',
    unit: '/s',
    measures: 'figure',
    prepare: idleWakes,
    plan: ONE,
    rounds: 1,
  },
  {
    id: 'idle-timers',
    what: 'timers pending for 1,000 pools with an idle connection each',
    unit: 'timers',
    measures: 'figure',
    prepare: idleTimers(1_000),
    plan: ONE,
    rounds: 1,
  },
  {
    id: 'histogram-record',
    what: 'one duration recorded; every borrow and return records two',
    adapters: ['ours'],
    prepare: histogramRecord,
  },
].map((scenario) => ({ ...USUAL, ...scenario }));

export function scenarioOf(id) {
  const found = SCENARIOS.find((scenario) => scenario.id === id);
  if (found === undefined) throw new Error(`no scenario ${id}; there are ${SCENARIOS.map((one) => one.id).join(', ')}`);
  return found;
}
