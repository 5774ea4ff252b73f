import { PoolClosedError, PoolOptionsError } from 'nestjs-pools/core';
import type { AskFor, Work } from './borrowers.js';
import type { Hook, Way } from './scripted-factory.js';
import type { World } from './world.js';

/**
 * One thing that happens to a pool, as plain data: it can be drawn, written down, left out and done again. `pick` chooses
 * among whatever there is at that moment.
 */
export type Step =
  | ({ readonly do: 'acquire' } & AskFor)
  | ({ readonly do: 'use'; readonly work: Work } & AskFor)
  | { readonly do: 'tryAcquire' | 'retireAll' | 'suspend' | 'resume' | 'drain' | 'start' | 'fail' }
  | { readonly do: 'work'; readonly pick: number; readonly order: 'return' | 'throw' | 'nest' | 'nestUse' }
  | { readonly do: 'release' | 'destroy' | 'detach'; readonly pick: number }
  | { readonly do: 'abort' | 'broken' | 'die'; readonly pick: number }
  | { readonly do: 'misuse'; readonly pick: number; readonly how: 'release' | 'destroy' | 'detach' | 'dispose' }
  | { readonly do: 'settle'; readonly pick: number; readonly isOk: boolean }
  | { readonly do: 'mood'; readonly hook: Hook; readonly way: Way; readonly isFinal?: boolean | undefined }
  | { readonly do: 'advance' | 'stall'; readonly ms: number }
  | { readonly do: 'stallThenServe'; readonly pick: number; readonly ms: number }
  | { readonly do: 'resize'; readonly min?: number | undefined; readonly max?: number | undefined }
  | { readonly do: 'evict'; readonly which: 'all' | 'odd' | 'none' | 'throws' }
  | { readonly do: 'close'; readonly timeoutMs: number }
  | { readonly do: 'ready'; readonly timeoutMs: number; readonly isAborted: boolean }
  | { readonly do: 'inside'; readonly where: string; readonly step: Step };

/** Does a step. `false`: there was nothing to do it to. A promise: it takes time. */
export function perform(world: World, step: Step): boolean | Promise<boolean> {
  const { borrowers, clock, factory, model, pool } = world;
  switch (step.do) {
    case 'acquire':
      borrowers.acquire(step);
      return true;
    case 'use':
      borrowers.use(step, step.work);
      return true;
    case 'tryAcquire':
      borrowers.tryAcquire();
      return true;
    case 'work':
      return on(borrowers.frames, step.pick, (frame) => {
        world.write(`work.${step.order}();`);
        frame.tell(step.order);
      });
    case 'release':
    case 'destroy':
    case 'detach':
      return on(model.leases, step.pick, (held) => borrowers[step.do](held));
    case 'misuse':
      return on(borrowers.ended, step.pick, (held) => borrowers.misuse(held, step.how));
    case 'abort': {
      const asks = [...model.asks].filter((ask) => ask.controller !== undefined && !ask.isAborted);
      return on(asks, step.pick, (ask) => borrowers.abort(ask));
    }
    case 'broken':
      return on(factory.known, step.pick, (connection) => {
        world.write(`connections[${connection.serial}].context.broken(error);`);
        connection.isBroken = true;
        connection.context.broken(new Error('lost'));
      });
    case 'die':
      // One that was just opened is as good as its factory could make it, and is not asked.
      if (!world.setup.hooks.includes('looksAlive')) return false;
      return on([...factory.known].filter(isOpened), step.pick, (connection) => {
        world.write(`connections[${connection.serial}].isDead = true;`);
        connection.isDead = true;
      });
    case 'settle':
      return on(factory.held(), step.pick, (call) => {
        world.write(`factory.settle('${call.name}', ${step.isOk});`);
        const isFreed = step.isOk && call.hook !== 'destroy' && !model.isGivenUp(call);
        if (isFreed) borrowers.expectations.handOver(call.connection);
        call.settle!(step.isOk);
      });
    case 'mood':
      world.write(`factory.ways.${step.hook} = '${step.way}';${step.isFinal ? ' factory.isFinal = true;' : ''}`);
      factory.ways[step.hook] = step.way;
      factory.isFinal = step.isFinal ?? false;
      return true;
    case 'advance':
      world.write(`await clock.advance(${step.ms});`);
      return advance(world, step.ms);
    case 'stall':
      world.write(`clock.stall(${step.ms});`);
      clock.stall(step.ms);
      return true;
    case 'stallThenServe':
      return on(model.leases, step.pick, (held) => {
        world.write(`clock.stall(${step.ms}); setImmediate(() => ${held.name}.release()); await clock.advance(0);`);
        const { head } = model;
        clock.stall(step.ms);
        // What was due within the last moments is told in the same turn as what is not late at all.
        const isForeseen = head === undefined || head.dueAt + STALLED_MS <= clock.now();
        // The late timer fires first, and then, in the same turn, the connection comes back: nobody may have expired by then.
        if (isForeseen && !world.hasReset) borrowers.expectations.handOver(held.connection);
        const advancing = advance(world, 0);
        setImmediate(() => (isForeseen && model.leases.has(held) ? borrowers.release(held) : undefined));
        return advancing;
      });
    case 'resize':
      return resize(world, step.min, step.max);
    case 'evict':
      return evict(world, step.which);
    case 'retireAll':
      world.write('pool.retireAll();');
      model.retire('asked');
      pool.retireAll();
      return true;
    case 'suspend':
    case 'resume':
      world.write(`pool.${step.do}();`);
      model.isSuspended = step.do === 'suspend';
      pool[step.do]();
      return true;
    case 'drain':
      world.write('pool.drain();');
      if (model.phase === 'open') model.phase = 'draining';
      pool.drain();
      return true;
    case 'close':
      return close(world, step.timeoutMs);
    case 'start':
      world.write('void pool.start();');
      if (model.phase !== 'closed') model.isStarted = true;
      await_(world, () => Infinity, pool.start());
      return true;
    case 'ready':
      return ready(world, step.timeoutMs, step.isAborted);
    case 'fail':
      throw new Error('a hook or a listener failed');
    case 'inside':
      if (world.armed.length >= 3) return false;
      world.write(`inside('${step.where}', ${JSON.stringify(step.step)});`);
      world.armed.push({ where: step.where, act: () => void perform(world, step.step) });
      return true;
  }
}

const STALLED_MS = 25;

const isOpened = ({ place }: { place: string }): boolean => place !== 'creating';

function on<E, R>(from: Iterable<E>, pick: number, act: (one: E) => R): boolean | Extract<R, Promise<boolean>> {
  const all = Array.isArray(from) ? (from as E[]) : [...from];
  if (all.length === 0) return false;
  const result = act(all[pick % all.length]!);
  return result instanceof Promise ? (result as Extract<R, Promise<boolean>>) : true;
}

async function advance(world: World, ms: number): Promise<boolean> {
  const { now: since, model } = world;
  await world.clock.advance(ms);
  model.wokenAt = world.now;
  if (model.closeDueAt <= world.now) model.force(Math.max(since, model.closeDueAt));
  return true;
}

function await_(
  world: World,
  dueAt: () => number,
  promise: Promise<unknown>,
  ended: (error?: unknown) => void = noop,
): void {
  const wait = { dueAt };
  world.waits.add(wait);
  const end = (error?: unknown): void => {
    world.must(world.waits.delete(wait), 'rule 3: a wait for the pool settles twice');
    ended(error);
  };
  promise.then(() => end(), end);
}

const noop = (): void => undefined;

function resize(world: World, min: number | undefined, max: number | undefined): boolean {
  const { model, pool } = world;
  const next = { min: min ?? model.min, max: max ?? model.max };
  const limits = {
    ...(min === undefined ? {} : { minConnections: min }),
    ...(max === undefined ? {} : { maxConnections: max }),
  };
  world.write(`pool.resize(${JSON.stringify(limits)});`);
  const isLegal = next.min <= next.max;
  const wasClosed = model.phase === 'closed';
  if (isLegal && !wasClosed) {
    if (next.max < pool.stats().totalConnections) model.mayBeSurplus = true;
    Object.assign(model, next);
    model.maxEver = Math.max(model.maxEver, next.max);
  }
  try {
    pool.resize(limits);
    world.must(isLegal && !wasClosed, 'a resize that cannot be is refused');
  } catch (error) {
    const isRefused = error instanceof PoolOptionsError || error instanceof PoolClosedError;
    world.must(isRefused && (!isLegal || wasClosed), `resize fails: ${String(error)}`);
  }
  return true;
}

function evict(world: World, which: 'all' | 'odd' | 'none' | 'throws'): boolean {
  const { model, pool } = world;
  const chosen = [...model.known].filter(
    ({ place, serial }) => place === 'idle' && (which === 'all' || (which === 'odd' && serial % 2 === 1)),
  );
  for (const connection of chosen) connection.wasEvicted = true;
  world.write(`pool.evict(${which});`);
  const before = pool.stats();
  const predicate = (connection: { serial: number }): boolean => {
    if (which === 'throws') throw new Error('a predicate failed');
    return which === 'odd' && connection.serial % 2 === 1;
  };
  let evicted = 0;
  try {
    evicted = which === 'all' ? pool.evict() : pool.evict(predicate);
    world.must(which !== 'throws' || before.idleConnections === 0, "a predicate's error reaches the caller");
  } catch (error) {
    world.must(
      which === 'throws' && (error as Error).message === 'a predicate failed',
      `evict fails: ${String(error)}`,
    );
  }
  const now = pool.stats();
  if (!world.wasNested) world.must(evicted === chosen.length, `evict: ${evicted} of ${chosen.length}`);
  world.must(now.destroyed.evicted - before.destroyed.evicted >= evicted, 'evicted ones are counted');
  return true;
}

function close(world: World, timeoutMs: number): boolean {
  const { model, now, pool } = world;
  world.write(`const closing = pool.close({ timeoutMs: ${timeoutMs} });`);
  model.phase = 'closed';
  model.closeDueAt = Math.min(model.closeDueAt, now + timeoutMs);
  if (timeoutMs === 0) model.force(now);
  const closing = pool.close({ timeoutMs });
  // Borrowers have until then; what is taken from them, checked or reset at that moment is closed, which has its limit.
  await_(world, () => model.forcedAt + model.limits.destroyTimeoutMs, closing);
  return true;
}

function ready(world: World, timeoutMs: number, isAborted: boolean): boolean {
  const { model, now, pool } = world;
  world.write(`void pool.ready({ timeoutMs: ${timeoutMs}${isAborted ? ', signal: aborted' : ''} });`);
  if (model.phase !== 'closed' && !isAborted) model.isStarted = true;
  const options = isAborted ? { timeoutMs, signal: AbortSignal.abort() } : { timeoutMs };
  // Even a wait of 0 ms ends by the timer, which has not had its turn yet.
  await_(world, () => now + Math.max(1, timeoutMs), pool.ready(options));
  return true;
}
