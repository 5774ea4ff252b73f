import { ConnectionPool, type PoolEventMap, type PoolEventName, type PoolStats } from 'nestjs-pools/core';
import { EVENTS } from '../support/pool-event-names.js';
import { ManualClock } from 'nestjs-pools/testing';
import { Borrowers } from './borrowers.js';
import { type Limits, ReferenceModel } from './reference-model.js';
import {
  type Call,
  type FactoryWatcher,
  type Hook,
  type Pooled,
  ScriptedFactory,
  type Way,
} from './scripted-factory.js';

/** What a run starts from. */
export interface Setup {
  readonly limits: Limits;
  readonly min: number;
  readonly max: number;
  /** Hooks that the factory has beside `create` and `destroy`. */
  readonly hooks: readonly string[];
  readonly ways: Readonly<Partial<Record<Hook, Way>>>;
  /** Hooks whose calls go one way after the other. */
  readonly turns?: Readonly<Partial<Record<Hook, readonly Way[]>>>;
  /** Whether the run ends by a close while everything hangs, or after everybody has gone home. */
  readonly closesFirst: boolean;
}

/** The longest pause after a failed create. */
export const MAX_PAUSE_MS = 80;

/** Something that a rule forbids. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/**
 * A pool, its clock and its factory beside the model of it. Everything that happens to the pool happens through here, and
 * is written down as a line of code that does it again.
 */
export class World implements FactoryWatcher {
  readonly clock = new ManualClock();
  readonly factory: ScriptedFactory;
  readonly model: ReferenceModel;
  readonly pool: ConnectionPool<Pooled>;
  readonly borrowers: Borrowers;
  readonly script: string[] = [];
  readonly hasCheck: boolean;
  readonly hasReset: boolean;

  step = 0;
  /** How many hooks and listeners of ours are being called, one from inside the other. */
  depth = 0;
  /** Something was done to the pool from inside a hook or a listener during this step. */
  wasNested = false;
  generationBefore = 0;
  wentDownAt = -1;
  wasSuspended = false;
  lastStats: PoolStats;
  /** How often each event came. */
  readonly heardOf: Partial<Record<PoolEventName, number>> = {};
  /** What to do when a hook or a listener is called next. */
  readonly armed: { readonly where: string; readonly act: () => void }[] = [];
  /** Those who wait for `start` or `ready`, or for a close. */
  readonly waits = new Set<{ readonly dueAt: () => number }>();
  /** Connections that came after their create had been given up. */
  readonly arrivedLate = new Set<Pooled>();
  /** Failed checks of which the pool has not told yet: whether each retires all that is open. */
  private readonly failedChecks: boolean[] = [];
  private readonly violations: string[] = [];
  private readonly announced: PoolEventMap['destroy'][] = [];

  constructor(
    readonly setup: Setup,
    schedule?: (name: string) => Promise<unknown>,
  ) {
    const { limits, min, max, hooks, ways, turns } = setup;
    this.factory = new ScriptedFactory(this, schedule);
    Object.assign(this.factory.ways, ways);
    Object.assign(this.factory.turns, turns);
    this.model = new ReferenceModel(limits, { min, max }, this.factory.known, this.factory.running);
    this.hasCheck = hooks.includes('isHealthy');
    this.hasReset = hooks.includes('reset');
    this.pool = new ConnectionPool({
      name: 'model',
      factory: this.factory.hooks(hooks),
      clock: this.clock,
      minConnections: min,
      maxConnections: max,
      createRetry: { initialMs: 10, maxMs: MAX_PAUSE_MS },
      ...limits,
    });
    this.borrowers = new Borrowers(this);
    this.lastStats = this.pool.stats();
    for (const event of EVENTS) this.pool.on(event, (payload) => this.heard(event, payload));
  }

  get now(): number {
    return this.clock.now();
  }

  get generation(): number {
    return this.model.generation;
  }

  /** Notes what a rule forbids. Nothing is thrown here: this may be inside a hook, whose errors the pool catches. */
  must(holds: boolean, rule: string): void {
    if (!holds) this.violations.push(rule);
  }

  /** @throws {@link Violation} for what was noted since the last time */
  report(): void {
    if (this.violations.length > 0) throw new Violation([...new Set(this.violations.splice(0))].join('; '));
  }

  write(line: string): void {
    this.script.push(this.depth > 0 ? `  /* inside */ ${line}` : line);
  }

  /** Called by the factory at the beginning of a hook. What is thrown here fails the hook. */
  called(call: Call): void {
    const { connection, hook } = call;
    this.write(`// ${call.name}${hook === 'create' ? '' : ` of #${connection.serial}`} is called`);
    this.isWhole(call.name);
    if (hook === 'create') this.createCalled();
    else if (hook === 'destroy') this.destroyCalled(connection);
    else {
      this.must(connection.place === 'idle', `rule 2: ${hook} of a connection that is ${connection.place}`);
      connection.place = hook === 'reset' ? 'resetting' : 'checking';
    }
    this.fire(hook);
  }

  /** Called by the factory when a hook has its answer, before the pool hears it. */
  ended(call: Call, answer: 'ok' | 'wrong' | 'error'): void {
    const { model, now } = this;
    const { connection, hook } = call;
    const isLate = model.isGivenUp(call);
    if (hook === 'create') return this.createEnded(connection, answer === 'ok', isLate);
    if (hook === 'destroy') {
      connection.place = 'gone';
      this.factory.known.delete(connection);
      return;
    }
    if (isLate) return;
    if (hook === 'reset') {
      connection.hasFailedReset = answer === 'error';
      connection.idleSince = now;
    } else {
      const isHealthy = answer === 'ok';
      if (isHealthy) connection.provenAt = now;
      else connection.hasFailedCheck = true;
      const retires = model.checkEnded(isHealthy, now);
      if (!isHealthy) this.failedChecks.push(retires);
    }
    connection.place = answer === 'ok' ? 'idle' : 'ending';
  }

  private createCalled(): void {
    const { model } = this;
    this.must(model.phase !== 'closed' || this.wasNested, 'rule 9: a connection is opened after close()');
    const { totalConnections, maxConnections, creatingConnections } = this.pool.stats();
    if (this.wasNested) return;
    this.must(totalConnections <= maxConnections, 'rule 1: a connection is opened above max');
    this.must(creatingConnections <= model.limits.maxCreating, 'no more than maxCreating are opened at a time');
  }

  private createEnded(connection: Pooled, isOk: boolean, isLate: boolean): void {
    if (!isOk) {
      connection.place = 'failed';
      this.factory.known.delete(connection);
      return;
    }
    connection.place = 'idle';
    connection.openedAt = connection.idleSince = connection.provenAt = this.now;
    if (isLate) this.arrivedLate.add(connection);
    else this.model.counted.created += 1;
  }

  private destroyCalled(connection: Pooled): void {
    const { model } = this;
    const { place } = connection;
    const announced = this.announced.shift();
    connection.destroys += 1;
    this.must(connection.destroys === 1, `rule 2: #${connection.serial} is destroyed twice`);
    if (announced === undefined) {
      this.must(this.arrivedLate.delete(connection), `rule 2: #${connection.serial} is destroyed without an event`);
      connection.isStray = true;
    } else {
      const { cause } = announced;
      model.counted.destroyed += 1;
      if (connection.uses === 0 && (cause === 'broken' || cause === 'unhealthy')) model.diedYoungAt = this.now;
      this.must(
        model.explains(cause, connection, this.now),
        `#${connection.serial} (${place}) is destroyed as '${cause}', which it is not`,
      );
    }
    if (place === 'lent') this.borrowers.taken(connection);
    else this.must(place !== 'detached', `rule 2: #${connection.serial} is destroyed, although it was detached`);
    connection.place = 'destroying';
  }

  private heard<E extends PoolEventName>(event: E, payload: PoolEventMap[E]): void {
    const { model } = this;
    this.isWhole(event);
    this.heardOf[event] = (this.heardOf[event] ?? 0) + 1;
    if (event === 'down') this.wentDownAt = this.step;
    if (event === 'destroy') this.announced.push(payload as PoolEventMap['destroy']);
    if (event === 'checkFailed') {
      // A check that ran past its limit never ends by the factory's books.
      const retires = this.failedChecks.shift() ?? model.checkEnded(false, this.now);
      if (retires) model.retire('unhealthy');
    }
    if (event === 'leak')
      this.borrowers.leaked(payload as unknown as { id: number; heldMs: number; isReturned: boolean });
    this.fire(event);
  }

  /** Rule 13: whoever is called, hook or listener, sees a pool whose counts add up. */
  private isWhole(where: string): void {
    const stats = this.pool.stats();
    const { idleConnections: idle, activeConnections: active, creatingConnections: creating } = stats;
    const { checkingConnections: checking, destroyingConnections: destroying, totalConnections: total } = stats;
    const isSum = total === idle + active + creating + checking + destroying;
    const isNegative = Math.min(idle, active, creating, checking, destroying, stats.waiting, stats.overdue) < 0;
    this.must(isSum && !isNegative, `rule 13: the counts do not add up inside ${where}`);
  }

  private fire(where: string): void {
    if (this.armed.length === 0) return;
    const index = this.armed.findIndex((one) => one.where === where);
    if (index < 0) return;
    const [one] = this.armed.splice(index, 1);
    this.depth += 1;
    this.wasNested = true;
    try {
      one!.act();
    } finally {
      this.depth -= 1;
    }
  }
}
