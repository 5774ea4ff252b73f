import { type ConnectionFactory, ConnectionPool, type PoolLimits } from 'nestjs-pools/core';
import { type GatedConnection, GatedFactory, type GatedHook, ManualClock } from 'nestjs-pools/testing';
import { EVENTS } from '../support/pool-event-names.js';

export interface RigOptions extends PoolLimits {
  /** Hooks that the factory has beside `create` and `destroy`. */
  readonly hooks?: readonly (GatedHook | 'looksAlive')[];
}

/** A pool of gated connections on a clock that stands still, with no minimum unless one is asked for. */
export function rig({ hooks = [], ...limits }: RigOptions = {}) {
  const factory = new GatedFactory();
  const chosen: ConnectionFactory<GatedConnection> = { create: factory.create, destroy: factory.destroy };
  for (const hook of hooks) Object.assign(chosen, { [hook]: factory[hook] });
  return { factory, ...poolOf(chosen, limits) };
}

export function poolOf<T>(factory: ConnectionFactory<T>, limits: PoolLimits = {}) {
  const clock = new ManualClock();
  return { clock, pool: new ConnectionPool({ name: 'test', factory, clock, minConnections: 0, ...limits }) };
}

export interface Outcome<R> {
  is: 'pending' | 'resolved' | 'rejected';
  value?: R;
  error?: unknown;
}

/** How a promise has ended so far; a rejection counts as handled. */
export function watch<R>(promise: Promise<R>): Outcome<R> {
  const outcome: Outcome<R> = { is: 'pending' };
  promise.then(
    (value) => Object.assign(outcome, { is: 'resolved', value }),
    (error: unknown) => Object.assign(outcome, { is: 'rejected', error }),
  );
  return outcome;
}

/** What a promise rejects with; fails the test if it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: string; cause?: unknown }> {
  const outcome = watch(promise);
  await promise.catch(() => undefined);
  expect(outcome.is).toBe('rejected');
  return outcome.error as Error;
}

/** The counts of a pool that are not 0, so that a test states the whole situation in one line. */
export function counts(pool: Pick<ConnectionPool<unknown>, 'stats'>): Record<string, number> {
  const stats = pool.stats();
  const all = {
    idle: stats.idleConnections,
    active: stats.activeConnections,
    creating: stats.creatingConnections,
    checking: stats.checkingConnections,
    destroying: stats.destroyingConnections,
    waiting: stats.waiting,
    overdue: stats.overdue,
  };
  expect(stats.totalConnections).toBe(all.idle + all.active + all.creating + all.checking + all.destroying);
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count !== 0));
}

export function destroyedBy(pool: Pick<ConnectionPool<unknown>, 'stats'>): Record<string, number> {
  return Object.fromEntries(Object.entries(pool.stats().destroyed).filter(([, count]) => count !== 0));
}

/** Every event in the order it came, as `create 1`, `destroy 1 idle`, … */
export function record(pool: Pick<ConnectionPool<unknown>, 'on'>): string[] {
  const log: string[] = [];
  for (const name of EVENTS) {
    pool.on(name, (event: object) => {
      const { id, cause, because, to } = event as Record<string, string | number | undefined>;
      log.push([name, id, cause, because, to].filter((part) => part !== undefined).join(' '));
    });
  }
  return log;
}

/** Resolves, or rejects, when the test says so. */
export function gate<R>() {
  let open!: (value: R) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<R>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}
