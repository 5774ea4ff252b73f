import type { Lease } from 'nestjs-pools/core';
import type { Call, Pooled } from './scripted-factory.js';

/** The limits of a run, all of them spelled out. */
export interface Limits {
  readonly acquireTimeoutMs: number;
  readonly maxIdleTimeMs: number;
  readonly maxLifetimeMs: number;
  readonly lifetimeJitter: number;
  readonly maxUses: number;
  readonly validateAfterIdleMs: number;
  readonly healthCheckIntervalMs: number;
  readonly createTimeoutMs: number;
  readonly healthCheckTimeoutMs: number;
  readonly resetTimeoutMs: number;
  readonly destroyTimeoutMs: number;
  readonly maxWaiting: number;
  readonly maxCreating: number;
  readonly order: 'lifo' | 'fifo';
  readonly onCreateError: 'reject' | 'wait';
  readonly downAfter: number;
  readonly unhealthyAfter: number;
  readonly leakWarnAfterMs: number;
  readonly detectDeadlock: boolean;
}

/** The work of a `use()`: what it holds, and what it waits for from inside. */
export interface Frame {
  readonly parent: Frame | undefined;
  lease: Held | undefined;
  /** Acquires made by this very work that have not settled. */
  readonly asks: Set<Ask>;
  /** Tells the work what to do next. */
  tell: (order: 'return' | 'throw' | 'nest' | 'nestUse') => void;
}

/** An acquire that has not settled. */
export interface Ask {
  readonly seq: number;
  readonly priority: number;
  readonly since: number;
  readonly dueAt: number;
  readonly frame: Frame | undefined;
  /** The step that made it, and whether that was from inside a hook or a listener. */
  readonly step: number;
  readonly isNested: boolean;
  /** By `use()`, which is told of a refusal some microtasks after the refusal. */
  readonly isUse: boolean;
  readonly controller: AbortController | undefined;
  readonly checksBefore: number;
  /** How many waited when it came. */
  readonly ahead: number;
  /** Its signal was aborted while it waited: nothing else may come of it. */
  isAborted: boolean;
  /** What must have come of it by the end of the step. */
  expected: 'lease' | 'settled' | 'POOL_CLOSED' | 'POOL_ACQUIRE_ABORTED' | 'POOL_DEADLOCK' | undefined;
  /** Since when the connection must have been idle that it is lent. */
  idleSince: number | undefined;
}

/** A lease that has not ended. */
export interface Held {
  readonly lease: Lease<Pooled>;
  readonly connection: Pooled;
  readonly id: number;
  readonly since: number;
  readonly frame: Frame | undefined;
  readonly name: string;
  warnings: number;
  /** A close took the connection from its borrower. */
  isTaken: boolean;
}

/**
 * What a pool should be, as plain data: who waits, who holds what, what was said about the pool. It has no slots, no
 * timers and no policy of its own; where a connection is, it reads from the factory's books.
 */
export class ReferenceModel {
  min: number;
  max: number;
  maxEver: number;
  phase: 'open' | 'draining' | 'closed' = 'open';
  isStarted = false;
  isSuspended = false;
  /** Connections of an older generation are never lent again. */
  generation = 0;
  /** The last generation that went because of failed checks. */
  unhealthyGeneration = -1;
  checksFailedInRow = 0;
  createsFailedInRow = 0;
  /** Borrowers of a pool closed by force who cannot tell whether they had a lease. */
  lentOrClosed = 0;
  /** When a connection died last that nobody had used. */
  diedYoungAt = -Infinity;
  /** Deadlines up to here have been seen to: time stalls past them, but only a turn of the loop tells the pool. */
  wokenAt = 0;
  /** When `close` takes everything away. */
  closeDueAt = Infinity;
  /** When it did; not before the pool woke up for it. */
  forcedAt = Infinity;
  /** There may be more connections than a smaller maximum allows. */
  mayBeSurplus = false;

  readonly asks = new Set<Ask>();
  readonly leases = new Set<Held>();
  /** Health checks so far, and which of them failed or passed last. */
  checks = 0;
  lastFailedCheck = 0;
  lastFailedCheckAt = -1;
  lastPassedCheck = 0;
  lastPassedCheckAt = -Infinity;

  readonly counted = {
    created: 0,
    lent: 0,
    released: 0,
    detached: 0,
    timedOut: 0,
    aborted: 0,
    full: 0,
    down: 0,
    closed: 0,
    misused: 0,
    leaks: 0,
    destroyed: 0,
  };

  constructor(
    readonly limits: Limits,
    sizes: { min: number; max: number },
    readonly known: ReadonlySet<Pooled>,
    readonly running: ReadonlySet<Call>,
  ) {
    this.min = sizes.min;
    this.max = sizes.max;
    this.maxEver = sizes.max;
  }

  get isForced(): boolean {
    return this.forcedAt < Infinity;
  }

  force(at: number): void {
    this.forcedAt = Math.min(this.forcedAt, at);
  }

  /** Notes how a health check went. @returns whether so many failed in a row that all connections must go */
  checkEnded(isHealthy: boolean, now: number): boolean {
    this.checks += 1;
    if (isHealthy) {
      this.lastPassedCheck = this.checks;
      this.lastPassedCheckAt = now;
      this.checksFailedInRow = 0;
      return false;
    }
    this.lastFailedCheck = this.checks;
    this.lastFailedCheckAt = now;
    this.checksFailedInRow += 1;
    return this.checksFailedInRow % this.limits.unhealthyAfter === 0;
  }

  /** From here on nothing is lent that was opened before. */
  retire(because: 'asked' | 'unhealthy'): void {
    if (because === 'unhealthy') this.unhealthyGeneration = this.generation;
    this.generation += 1;
  }

  /** How many connections are where, by the factory's books alone. To be compared with the pool's own counts. */
  count(): { idle: number; active: number; creating: number; checking: number; destroying: number; overdue: number } {
    const all = { idle: 0, active: this.leases.size, creating: 0, checking: 0, destroying: 0, overdue: 0 };
    for (const connection of this.known) if (connection.place === 'idle') all.idle += 1;
    for (const call of this.running) {
      const isWaitedFor = !this.isGivenUp(call);
      if (call.hook === 'create') all[isWaitedFor ? 'creating' : 'overdue'] += 1;
      else if (call.hook === 'destroy') all[isWaitedFor && !call.connection.isStray ? 'destroying' : 'overdue'] += 1;
      else if (isWaitedFor) all.checking += 1;
    }
    return all;
  }

  /** Whether the pool has stopped waiting for a hook: at its time limit, or by a close that waits no longer. */
  isGivenUp(call: Call): boolean {
    if (!call.isGivenUp) {
      const forced = this.isForced && call.hook !== 'destroy';
      call.isGivenUp = forced || call.startedAt + this.limitOf(call) <= this.wokenAt;
    }
    return call.isGivenUp;
  }

  limitOf({ hook }: Call): number {
    const { createTimeoutMs, healthCheckTimeoutMs, resetTimeoutMs, destroyTimeoutMs } = this.limits;
    if (hook === 'create') return createTimeoutMs;
    if (hook === 'isHealthy') return healthCheckTimeoutMs;
    return hook === 'reset' ? resetTimeoutMs : destroyTimeoutMs;
  }

  /** Who is served next. */
  get head(): Ask | undefined {
    let first: Ask | undefined;
    for (const ask of this.asks) {
      if (first === undefined || ask.priority > first.priority) first = ask;
    }
    return first;
  }

  /** Who should have been served before this one; those who came from inside the same step may hear in any order. */
  overtaken(by: Ask, step: number): Ask[] {
    if (by.isNested && by.step === step) return [];
    return [...this.asks].filter((ask) => {
      if (ask === by || (ask.isNested && ask.step === step)) return false;
      return ask.priority > by.priority || (ask.priority === by.priority && ask.seq < by.seq);
    });
  }

  /** An idle connection that may be lent this moment without a check, whatever the jitter of its lifetime is. */
  isReady(connection: Pooled, now: number, hasCheck: boolean): boolean {
    if (connection.place !== 'idle' || connection.isDead || connection.isBroken) return false;
    return !this.mayBeOld(connection, now) && !(hasCheck && this.needsCheck(connection, now));
  }

  needsCheck(connection: Pooled, now: number): boolean {
    return now - Math.max(connection.idleSince, connection.provenAt) > this.limits.validateAfterIdleMs;
  }

  mayBeOld(connection: Pooled, now: number): boolean {
    const { maxLifetimeMs, lifetimeJitter } = this.limits;
    return now >= connection.openedAt + maxLifetimeMs * (1 - lifetimeJitter);
  }

  /** Whether the next acquire must get a lease at once. */
  mustServe(now: number, hasCheck: boolean): boolean {
    if (this.phase === 'closed' || this.isSuspended || this.asks.size > 0) return false;
    let idle = 0;
    for (const connection of this.known) {
      if (connection.place !== 'idle') continue;
      if (!this.isReady(connection, now, hasCheck)) return false;
      idle += 1;
    }
    return idle > 0;
  }

  /** Since when the connection has been idle that is lent next: the warmest or the coldest, as the order says. */
  nextIdleSince(): number {
    const idle = [...this.known].filter(({ place }) => place === 'idle').map(({ idleSince }) => idleSince);
    return this.limits.order === 'lifo' ? Math.max(...idle) : Math.min(...idle);
  }

  /** Whether a connection that becomes free now is surely good for another borrower. */
  isGood(connection: Pooled, now: number): boolean {
    if (connection.isBroken || connection.generation < this.generation || this.phase === 'closed') return false;
    return !this.mayBeOld(connection, now) && connection.uses < this.limits.maxUses;
  }

  /** Whether every lease is held by work that waits for another one of this very pool: rule 12. */
  isCircle(waiting: Iterable<Ask> = this.asks): boolean {
    const blocked = new Set<Frame>();
    for (const ask of waiting) {
      for (let frame = ask.frame; frame !== undefined; frame = frame.parent) blocked.add(frame);
    }
    return this.leases.size > 0 && [...this.leases].every(({ frame }) => frame !== undefined && blocked.has(frame));
  }

  /** Whether a check or a reset of a connection has run past its limit. */
  private hasOverrun(connection: Pooled, place: 'checking' | 'resetting', now: number): boolean {
    if (connection.place !== place) return false;
    return [...this.running].some(
      (call) => call.connection === connection && call.startedAt + this.limitOf(call) <= now,
    );
  }

  /** Whether a cause of destruction is true of a connection. */
  explains(cause: string, connection: Pooled, now: number): boolean {
    const { limits } = this;
    switch (cause) {
      case 'idle':
        return now - connection.idleSince >= limits.maxIdleTimeMs;
      case 'lifetime':
        return this.mayBeOld(connection, now);
      case 'uses':
        return connection.uses >= limits.maxUses;
      case 'unhealthy':
        return (
          connection.hasFailedCheck ||
          this.hasOverrun(connection, 'checking', now) ||
          connection.generation <= this.unhealthyGeneration
        );
      case 'broken':
        return connection.isBroken || connection.isDead;
      case 'reset':
        return connection.hasFailedReset || this.hasOverrun(connection, 'resetting', now);
      case 'error':
        return connection.place === 'ending';
      case 'evicted':
        return connection.wasEvicted || this.mayBeSurplus || connection.generation < this.generation;
      case 'closed':
        return this.phase !== 'open';
      default:
        return false;
    }
  }
}
