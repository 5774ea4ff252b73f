import type { PoolStats } from 'nestjs-pools/core';
import { MAX_PAUSE_MS, type World } from './world.js';

/** Checks, between two steps, what must always hold. The numbers are those of DESIGN.md §5.3. */
export function checkRules(world: World): void {
  const stats = world.pool.stats();
  world.borrowers.expectations.check();
  places(world, stats);
  waiting(world, stats);
  minimum(world, stats);
  kept(world);
  creates(world);
  timers(world, stats);
  counters(world, stats);
  deadlocks(world, stats);
  health(world, stats);
  world.lastStats = stats;
  world.report();
}

/** Rules 1 and 2: how many there are, and that each is where the factory and the borrowers have it. */
function places(world: World, stats: PoolStats): void {
  const { model } = world;
  const { totalConnections: total, maxConnections: max } = stats;
  const expected = model.count();
  const found = {
    idle: stats.idleConnections,
    active: stats.activeConnections,
    creating: stats.creatingConnections,
    checking: stats.checkingConnections,
    destroying: stats.destroyingConnections,
    overdue: stats.overdue,
  };
  for (const key of ['idle', 'active', 'creating', 'checking', 'destroying', 'overdue'] as const) {
    if (expected[key] !== found[key])
      world.must(false, `rule 2: ${key} is ${found[key]}, by the books ${expected[key]}`);
  }
  // After a shrink: as soon as returns allow, and never more than before.
  const isShrinking = model.mayBeSurplus && (world.wasNested || total <= world.lastStats.totalConnections);
  world.must(total <= max || isShrinking, `rule 1: ${total} connections, max ${max}`);
  const kept = total - found.destroying;
  world.must(kept <= max || found.idle === 0, `rule 1: ${found.idle} idle ones are kept beyond max`);
  if (total <= max) model.mayBeSurplus = false;
  world.must(stats.maxConnections === model.max && stats.minConnections === model.min, 'the limits are those last set');
}

/** Rules 3, 5 and 8: who waits, and why. */
function waiting(world: World, stats: PoolStats): void {
  const { model } = world;
  const { waiting: count, creatingConnections: creating, checkingConnections: checking } = stats;
  world.must(count === model.asks.size, `rule 3: ${count} wait, by the books ${model.asks.size}`);
  for (const ask of model.asks) {
    world.must(ask.dueAt > model.wokenAt, `rule 3: a${ask.seq} waits beyond its deadline`);
    world.must(!ask.isAborted, `rule 3: a${ask.seq} waits although it is aborted`);
  }
  if (count === 0) return;
  const most = model.limits.maxWaiting + model.maxEver;
  world.must(count <= most, `${count} wait, more than maxWaiting and one for each connection`);
  world.must(model.phase !== 'closed', 'rule 9: somebody waits for a closed pool');
  if (model.isSuspended) return;
  // One that is full cannot probe, and serves by returns.
  const mayWait = !stats.down || count <= checking + 1 || stats.totalConnections >= stats.maxConnections;
  world.must(mayWait, 'of a pool that is down only those wait whom a check, the probe or a return may serve');
  // Checks under way may cover as many waiters, beside idle connections that need a check themselves.
  world.must(stats.idleConnections === 0 || checking >= count, 'rule 5: somebody waits and a connection is idle');
  const isFull = stats.totalConnections >= stats.maxConnections;
  const isOpening = creating + checking >= Math.min(count, model.limits.maxCreating);
  // Those who rather wait than hear of a failed create wait out the pause after it, and that after an early death.
  const pausedAt = Math.max(model.diedYoungAt, stats.lastCreateError?.at ?? -Infinity);
  const isBackingOff = model.limits.onCreateError === 'wait' && model.wokenAt <= pausedAt + MAX_PAUSE_MS;
  const isDown = stats.down && creating + checking > 0;
  world.must(isFull || isOpening || isBackingOff || isDown, 'rule 5: somebody waits, and nothing is done about it');
}

/** The minimum is there, or coming, or there is a reason. */
function minimum(world: World, stats: PoolStats): void {
  const { model } = world;
  if (model.phase !== 'open' || !model.isStarted || world.wasNested) return;
  const living = stats.totalConnections - stats.destroyingConnections;
  const cannot =
    stats.totalConnections >= stats.maxConnections || stats.creatingConnections >= model.limits.maxCreating;
  const isPausing = stats.createFailuresInRow > 0 || model.wokenAt <= model.diedYoungAt + MAX_PAUSE_MS;
  world.must(living >= stats.minConnections || cannot || isPausing, 'the minimum is neither there nor being opened');
}

/** What may lie idle: nothing broken, nothing of an older generation, nothing too old. */
function kept(world: World): void {
  const { model } = world;
  for (const connection of model.known) {
    const { place, serial } = connection;
    world.must(place !== 'ending', `rule 2: #${serial} was given up and is not being destroyed`);
    if (place === 'idle') {
      world.must(!connection.isBroken, `#${serial} is broken and kept`);
      world.must(connection.generation >= model.generation, `#${serial} is of an older generation and kept`);
      const end = connection.openedAt + model.limits.maxLifetimeMs;
      world.must(end > model.wokenAt, `#${serial} is older than its lifetime and kept`);
      // A draining pool keeps what somebody waits for, until it may be lent.
      const isWanted = model.phase === 'draining' && model.isSuspended && model.asks.size > 0;
      world.must(model.phase === 'open' || isWanted, `#${serial} lies idle in a pool that is ${model.phase}`);
    }
  }
  for (const { lease, connection, since, warnings, name } of model.leases) {
    const isLong = since + model.limits.leakWarnAfterMs <= model.wokenAt;
    world.must(warnings === (isLong ? 1 : 0), `${name} is held since ${since}, and was told ${warnings} times`);
    if (connection.isBroken) world.must(lease.signal.aborted, `the borrower of #${connection.serial} is not told`);
  }
}

/** Rules 9 and 10: one timer at most; one that keeps the process alive only for somebody who waits. */
function timers(world: World, stats: PoolStats): void {
  const { clock, model } = world;
  world.must(clock.pendingTimers <= 1, 'rule 10: more than one timer');
  const isAwaited = model.asks.size > 0 || world.waits.size > 0;
  world.must(clock.referencedTimers === (isAwaited ? 1 : 0), `rule 9: ${clock.referencedTimers} timers keep alive`);
  world.must(world.pool.state === model.phase && stats.state === model.phase, 'the state is what was asked for');
  for (const wait of world.waits) world.must(wait.dueAt() > model.wokenAt, 'rule 9: ready() or close() is overdue');
  if (model.phase !== 'closed' || world.waits.size > 0) return;
  world.must(clock.pendingTimers === 0, 'rule 9: a timer is left after close()');
  world.must(stats.totalConnections === 0, 'rule 9: a connection is left after close()');
}

const COUNTERS = [
  'created',
  'lent',
  'released',
  'detached',
  'timedOut',
  'aborted',
  'full',
  'down',
  'closed',
  'destroyed',
  'misused',
  'leaks',
] as const;

/** Every counter is the number of times that it happened. */
function counters(world: World, stats: PoolStats): void {
  const { model } = world;
  const { counted } = model;
  for (const connection of world.arrivedLate) {
    // It was not destroyed on arrival, so it was adopted.
    counted.created += 1;
    world.arrivedLate.delete(connection);
  }
  const lent = stats.acquired.direct + stats.acquired.waited;
  const unheard = Math.min(model.lentOrClosed, lent - counted.lent);
  counted.lent += unheard;
  counted.closed -= unheard;
  model.lentOrClosed = 0;
  world.must(stats.waitTimeMs.count === lent, 'the wait of every lease is in the histogram');
  let destroyed = 0;
  for (const cause in stats.destroyed) destroyed += stats.destroyed[cause as keyof typeof stats.destroyed];
  const told = {
    created: stats.created,
    lent,
    released: stats.released,
    detached: stats.detached,
    timedOut: stats.timedOut,
    aborted: stats.aborted,
    full: stats.refused.full,
    down: stats.refused.down,
    closed: stats.refused.closed,
    destroyed,
    misused: world.heardOf.misuse ?? 0,
    leaks: stats.leakWarnings,
  };
  for (const key of COUNTERS) {
    if (told[key] !== counted[key]) world.must(false, `counter ${key} is ${told[key]}, by the books ${counted[key]}`);
  }
  heard(world, { ...told, refused: told.full + told.down + told.closed, createFailed: stats.createFailed });
  const inside = stats.idleConnections + stats.activeConnections + stats.checkingConnections;
  const left = stats.created - destroyed - stats.detached;
  world.must(inside === left, `rule 2: ${left} opened and neither destroyed nor detached, ${inside} in the pool`);
}

const TOLD_BY = [
  ['create', 'created'],
  ['createError', 'createFailed'],
  ['acquire', 'lent'],
  ['release', 'released'],
  ['destroy', 'destroyed'],
  ['detach', 'detached'],
  ['timeout', 'timedOut'],
  ['abort', 'aborted'],
  ['refuse', 'refused'],
] as const;

/** Whatever is counted is also told. */
function heard(world: World, counted: Readonly<Record<(typeof TOLD_BY)[number][1], number>>): void {
  for (const [event, key] of TOLD_BY) {
    const told = world.heardOf[event] ?? 0;
    if (told !== counted[key])
      world.must(false, `event ${event} came ${told} times, counter ${key} is ${counted[key]}`);
  }
}

/** Rule 7: a create is told to stop by its time limit, a close or a retirement; never because a borrower left. */
function creates(world: World): void {
  const { model } = world;
  for (const call of model.running) {
    if (call.hook !== 'create' || call.connection.serial % 2 === 0 || !call.context.signal.aborted) continue;
    const isStopped = model.isGivenUp(call) || model.phase === 'closed';
    world.must(isStopped || call.connection.generation < model.generation, `rule 7: ${call.name} is told to stop`);
  }
}

/** Rule 12: work that waits for itself is told so. */
function deadlocks(world: World, stats: PoolStats): void {
  const { model } = world;
  if (!model.limits.detectDeadlock || model.isSuspended || stats.waiting === 0) return;
  const isStuck = stats.activeConnections === stats.totalConnections && stats.totalConnections >= stats.maxConnections;
  world.must(!isStuck || !model.isCircle(), 'rule 12: all leases are held by work that waits, and nobody is told');
}

function health(world: World, stats: PoolStats): void {
  const { limits } = world.model;
  world.must(stats.suspended === world.model.isSuspended, 'suspended as it was asked');
  world.must(
    stats.down === stats.createFailuresInRow >= limits.downAfter,
    'down after so many failed creates in a row',
  );
}
