import { setImmediate as turn } from 'node:timers/promises';
import { loadAdapter } from './adapters.mjs';
import { cpuClock } from './cpu-clock.mjs';
import { GcWatch } from './gc-watch.mjs';

/**
 * @typedef {object} Prepared a scenario, ready to run on one pool
 * @property {() => Promise<number | { figure: number, wall: number }>} run returns how many operations it did, or the
 *   scenario's own figure
 * @property {() => Promise<unknown>} [warmUp] instead of `run`, where that is long
 * @property {import('./adapters.mjs').BenchPool} [pool]
 * @property {string} [flaw] what is wrong with the pool afterwards
 */

/**
 * @typedef {object} Plan
 * @property {number} warmUpMs
 * @property {number} repetitions at most
 * @property {number} repetitionMs how long one lasts at least
 * @property {number} enoughMs no further repetition after that time
 */

/**
 * @typedef {object} Measurement of one process
 * @property {number} [figure] the best repetition
 * @property {number} [wall] its wall time per operation
 * @property {number} [allThreads] processor time of the whole process per operation: the collector's helpers, the compiler
 * @property {number} [operations]
 * @property {{ count: number, ms: number }} [gc] collections, per million operations or in the whole repetition
 * @property {string} cpuSource
 * @property {string} [flaw]
 * @property {string} [missing] why this pool cannot take part
 */

/** @type {Plan} */
const PLAN = { warmUpMs: 80, repetitions: 5, repetitionMs: 50, enoughMs: 1_200 };

/** Collections are counted per million operations; a repetition that counts none is taken as a whole. */
const WHOLE = 1e6;

/** From nanoseconds. */
const SCALE = { 'ns/op': 1, 'µs/tick': 1e-3 };

/** Runs one scenario on one pool, in this process. @returns {Promise<Measurement>} */
export async function measure(scenario, adapterName, otherPlan) {
  const clock = cpuClock();
  const cpuSource = clock.source;
  const prepared = await prepare(scenario, await loadAdapter(adapterName));
  if (prepared.missing !== undefined) return { cpuSource, missing: prepared.missing };

  const plan = { ...PLAN, ...scenario.plan, ...otherPlan };
  await warmUp(prepared, plan);
  const repetitions = await repeat(prepared, plan, scenario, clock);
  const best = repetitions.reduce((least, one) => (one.figure < least.figure ? one : least));
  if (prepared.pool?.heard?.() === 0) return { cpuSource, missing: 'nothing was told' };
  return { ...best, cpuSource, flaw: prepared.flaw };
}

/** A pool says no to what it does not have. */
async function prepare(scenario, adapter) {
  try {
    return await scenario.prepare(adapter);
  } catch (error) {
    return { missing: error.message };
  }
}

async function warmUp({ run, warmUp = run }, { warmUpMs }) {
  const began = performance.now();
  while (performance.now() - began < warmUpMs) await warmUp();
}

async function repeat({ run }, plan, { measures, unit }, clock) {
  const collector = new GcWatch();
  const began = performance.now();
  const isEnough = () => performance.now() - began > plan.enoughMs;
  const repetitions = [];
  while (repetitions.length < plan.repetitions && !(repetitions.length > 0 && isEnough())) {
    const one = measures === 'cpu' ? await timed(run, plan.repetitionMs, SCALE[unit], clock) : await told(run);
    // Collections are reported a turn later, and most scenarios never let the loop turn.
    await turn();
    const { count, ms } = collector.take();
    const per = WHOLE / one.operations;
    repetitions.push({ ...one, gc: { count: count * per, ms: ms * per } });
  }
  return repetitions;
}

/** Processor time per operation, of as many runs as fill the time. */
async function timed(run, atLeastMs, unitsPerNs, clock) {
  const wallBefore = performance.now();
  const allBefore = process.cpuUsage();
  const cpuBefore = clock.now();
  let operations = 0;
  do operations += await run();
  while (performance.now() - wallBefore < atLeastMs);
  const cpu = clock.now() - cpuBefore;
  const { user, system } = process.cpuUsage(allBefore);
  const wall = (performance.now() - wallBefore) * 1e6;
  const scale = unitsPerNs / operations;
  return { figure: cpu * scale, wall: wall * scale, allThreads: (user + system) * 1e3 * scale, operations };
}

/** What a scenario measures itself. */
async function told(run) {
  const outcome = await run();
  return typeof outcome === 'number' ? { figure: outcome, operations: WHOLE } : { ...outcome, operations: WHOLE };
}
