/**
 * A bounded set of connections, and whose turn it is.
 *
 * The pool goes open → draining → closed. A connection goes
 *
 *     creating → idle ⇄ active → destroying → gone
 *
 * with checking between idle and active, both ways: a health check on the way out, a reset on the way back.
 *
 * What holds after every step:
 *
 * 1. idle + active + creating + checking + destroying <= maxConnections. A create that outlives its waiter still counts,
 *    and so does a connection that is being closed.
 * 2. A connection is in exactly one place, and each one created is destroyed or detached exactly once.
 * 3. An acquire settles exactly once: a lease, a timeout, an abort, a refusal, a failed create, or the pool's close.
 * 4. Waiters are served in order. A newcomer never overtakes, a failed check never reorders.
 * 5. Where more wait than checks under way will serve, nothing is idle, and the pool is full or opening.
 * 6. The lease is the only key.
 * 7. Creates belong to the pool. A borrower that leaves never cancels one; a return or a create, whichever comes first,
 *    serves the oldest waiter.
 *
 * Transitions are synchronous and never call user code; hooks, listeners and aborts are noted as effects and run once
 * the state is whole. Three doors carry everything: `admit` for a connection in nobody's hands, `destroy` for one that
 * ends, `pump` for what the pool wants next.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from './clock.js';
import { Deadlines } from './deadlines.js';
import { Effects } from './effects.js';
import { Lease, type LeaseDesk } from './lease.js';
import { type CloseReport, PoolClose } from './pool-close.js';
import * as errors from './pool-errors.js';
import { type PoolEventName, PoolEvents, type PoolListener } from './pool-events.js';
import * as door from './pool-options.js';
import { type DestroyCause, PoolCounters, type PoolStateName, type PoolStats } from './pool-stats.js';
import { Readiness } from './readiness.js';
import type { Slot } from './slot.js';
import { SlotSet, type SlotSetOwner } from './slot-set.js';
import { Waiter, type WaiterOwner, WaitQueue } from './wait-queue.js';

type Phase = { readonly is: 'open' | 'draining' } | { readonly is: 'closed'; readonly close: PoolClose };

/**
 * A pool of connections to one upstream. Constructing it opens nothing; {@link ConnectionPool.start} or the first
 * acquire does.
 *
 * @typeParam T the pooled connection
 * @publicApi
 */
export class ConnectionPool<T> implements AsyncDisposable {
  readonly name: string;
  private readonly options: door.ResolvedPoolOptions<T>;
  private readonly clock: Clock;

  private phase: Phase = { is: 'open' };
  /** Whether the minimum is wanted: from the first acquire or `start()` on. */
  private isStarted = false;
  private readonly waiters: WaitQueue<Lease<T>>;
  private readonly readiness: Readiness;
  private readonly slots: SlotSet<T>;
  private readonly desk: LeaseDesk<T>;
  private readonly counters = new PoolCounters();
  private readonly effects: Effects;
  private readonly events: PoolEvents;
  private readonly deadlines: Deadlines;

  /**
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  constructor(poolOptions: door.PoolOptions<T>) {
    this.options = door.resolvePoolOptions(poolOptions);
    const { name, clock } = this.options;
    const outside = AsyncLocalStorage.snapshot();
    this.name = name;
    this.clock = clock;
    const effects = (this.effects = new Effects(outside));
    const events = (this.events = new PoolEvents(effects));
    const deadlines = (this.deadlines = new Deadlines(clock, outside, () => this.wake()));
    this.waiters = new WaitQueue(deadlines);
    const { counters } = this;
    this.slots = new SlotSet(this.options, { clock, deadlines, effects, events, counters }, this.ownSlots());
    this.readiness = new Readiness(clock, deadlines, {
      timeout: (waitedMs) => this.timeoutError(waitedMs),
      abort: (reason) => new errors.AcquireAbortedError(name, this.stats(), reason),
      left: () => this.deadlines.keepAlive(this.isAwaited),
    });
    this.desk = this.openDesk();
  }

  /** Whether the pool is open, draining or closed. */
  get state(): PoolStateName {
    return this.phase.is;
  }

  /**
   * Borrows a connection, waiting for one if need be. The oldest waiter is always served first.
   *
   * Rejects with {@link AcquireTimeoutError}, {@link AcquireAbortedError}, {@link PoolExhaustedError},
   * {@link ConnectionCreateError}, {@link PoolClosedError}, or {@link PoolOptionsError} for wrong options.
   */
  acquire(options?: door.AcquireOptions): Promise<Lease<T>> {
    const refusal = options === undefined ? undefined : this.refuseOptions(options);
    if (refusal !== undefined) return Promise.reject(refusal);
    const now = this.clock.now();
    const lease = this.lendReady(now);
    return lease === undefined ? this.wait(options, now) : Promise.resolve(lease);
  }

  /** Borrows an idle connection that needs no check, if there is one and nobody waits; else `undefined`. */
  tryAcquire(): Lease<T> | undefined {
    const now = this.clock.now();
    const lease = this.lendReady(now);
    // It may have come upon dead ones: they are to be closed, and the minimum restored. (An acquire first takes its place
    // in the queue, and only then lets user code run, which may abort it.)
    if (lease === undefined && !this.effects.isEmpty) this.advance(now);
    return lease;
  }

  /**
   * Borrows a connection for the duration of `work` and gives it back whatever happens. Resolves to what `work` returns.
   *
   * Rejects as {@link ConnectionPool.acquire} does, and with whatever `work` throws.
   */
  async use<R>(work: (connection: T, lease: Lease<T>) => R | Promise<R>, options?: door.AcquireOptions): Promise<R> {
    const lease = await this.acquire(options);
    try {
      return await work(lease.connection, lease);
    } finally {
      lease[Symbol.dispose]();
    }
  }

  /** Opens the minimum. Ends with the first attempt and does not reject for a failed one: the background goes on trying. */
  start(): Promise<void> {
    return this.startAnd(this.readiness.untilAttempted());
  }

  /**
   * Waits until the minimum is open.
   *
   * Rejects with {@link AcquireTimeoutError}, {@link AcquireAbortedError}, {@link PoolClosedError}, or
   * {@link PoolOptionsError} for wrong options.
   */
  ready(options: door.ReadyOptions = {}): Promise<void> {
    const problems = door.checkReady(options);
    if (problems.length > 0) return Promise.reject(new errors.PoolOptionsError(this.name, problems));
    const { timeoutMs = this.options.acquireTimeoutMs, signal } = options;
    if (this.phase.is === 'closed') return Promise.reject(new errors.PoolClosedError(this.name, this.stats()));
    if (signal?.aborted) {
      return Promise.reject(new errors.AcquireAbortedError(this.name, this.stats(), signal.reason));
    }
    return this.startAnd(this.readiness.untilOpen(timeoutMs, signal));
  }

  /** A frozen snapshot, at constant cost. */
  stats(): PoolStats {
    return this.counters.snapshot(this.slots.snapshot(), this.waiters.size, this.phase.is);
  }

  /** Stops keeping connections: idle ones are closed, returned ones too unless somebody waits. Acquires are still served. */
  drain(): void {
    if (this.phase.is !== 'open') return;
    this.enter({ is: 'draining' });
    this.slots.destroyIdle('closed');
    this.advance(this.clock.now());
  }

  /**
   * Refuses acquires, rejects waiters, and closes every connection as it comes back; at the deadline, those that did not
   * come back too. Always the same promise; a later call with a shorter timeout shortens the wait.
   *
   * @returns rejects with {@link PoolOptionsError} for a wrong `timeoutMs`, never for a connection that would not close
   */
  close(options: door.CloseOptions = {}): Promise<CloseReport> {
    const problems = door.checkClose(options);
    if (problems.length > 0) return Promise.reject(new errors.PoolOptionsError(this.name, problems));
    const { timeoutMs = this.options.closeTimeoutMs } = options;
    const now = this.clock.now();
    const close = this.phase.is === 'closed' ? this.phase.close : this.beginClose(now);
    if (close.isPending && now + timeoutMs < close.dueAt) {
      this.deadlines.remove(close);
      if (timeoutMs > 0) this.deadlines.add(close, now + timeoutMs);
      else close.expire(now);
    }
    this.advance(now);
    return close.done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => undefined);
  }

  /** Calls `listener` at every such event, until the function that is returned is called. */
  on<E extends PoolEventName>(event: E, listener: PoolListener<E>): () => void {
    return this.events.on(event, listener);
  }

  private lendReady(now: number): Lease<T> | undefined {
    if (this.waiters.size > 0 || this.phase.is === 'closed') return undefined;
    for (let slot = this.slots.idle.peek(); slot !== undefined; slot = this.slots.idle.peek()) {
      const cause = this.slots.policy.unfit(slot, now);
      if (cause === undefined && this.slots.policy.needsCheck(slot, now)) break;
      this.slots.idle.remove(slot);
      if (cause === undefined) {
        const lease = this.lend(slot, now, 0);
        this.counters.acquiredDirect += 1;
        if (!this.effects.isEmpty) this.advance(now);
        return lease;
      }
      this.slots.destroy(slot, cause);
    }
    return undefined;
  }

  private lend(slot: Slot<T>, now: number, waitedMs: number): Lease<T> {
    this.slots.lend(slot);
    slot.usageCount += 1;
    slot.lastUsedAt = now;
    const lease = new Lease(this.desk, slot);
    slot.lease = lease;
    if (this.events.has('acquire')) this.events.tell('acquire', { id: slot.id, waitedMs });
    return lease;
  }

  /** Hands a connection over, never frees it first: nobody can come between. */
  private serve(waiter: Waiter<Lease<T>>, slot: Slot<T>, now: number): void {
    this.counters.acquiredWaited += 1;
    waiter.resolve(this.lend(slot, now, now - waiter.since));
    if (this.waiters.size === 0) this.deadlines.keepAlive(this.isAwaited);
  }

  private wait(options: door.AcquireOptions = {}, now: number): Promise<Lease<T>> {
    const { signal, acquireTimeoutMs = this.options.acquireTimeoutMs } = options;
    const refusal = this.refuseToQueue(acquireTimeoutMs);
    if (refusal !== undefined) return this.startAnd(Promise.reject(refusal));
    const queued = new Promise<Lease<T>>((resolve, reject) => {
      this.waiters.push(new Waiter(this.acquirers, resolve, reject, now, signal), now + acquireTimeoutMs);
    });
    return this.startAnd(queued, now);
  }

  private startAnd<R>(promise: Promise<R>, now = this.clock.now()): Promise<R> {
    this.isStarted = true;
    this.advance(now);
    return promise;
  }

  private refuseOptions(options: door.AcquireOptions): Error | undefined {
    const problems = door.checkAcquire(options);
    if (problems.length > 0) return new errors.PoolOptionsError(this.name, problems);
    if (!options.signal?.aborted) return undefined;
    const error = this.aborted(0, options.signal.reason);
    this.effects.run();
    return error;
  }

  private refuseToQueue(acquireTimeoutMs: number): Error | undefined {
    if (this.phase.is === 'closed') {
      this.refused('closed');
      return new errors.PoolClosedError(this.name, this.stats());
    }
    if (acquireTimeoutMs === 0) return this.timedOut(0);
    const underWay = this.slots.creating + this.slots.canOpen + this.slots.checking + this.slots.idle.size;
    if (this.waiters.size < this.options.maxWaiting + underWay) return undefined;
    this.refused('full');
    return new errors.PoolExhaustedError(this.name, this.stats(), this.slots.creates.currentError);
  }

  private readonly acquirers: WaiterOwner<Lease<T>> = {
    timedOut: (waiter, now) => {
      // Made while the waiter still counts: the numbers in its error are those that it waited among.
      const error = this.timedOut(now - waiter.since);
      this.waiters.remove(waiter);
      waiter.reject(error);
    },
    aborted: (waiter) => {
      const now = this.clock.now();
      this.waiters.remove(waiter);
      waiter.reject(this.aborted(now - waiter.since, waiter.signal?.reason));
      this.advance(now);
    },
  };

  private timedOut(waitedMs: number): Error {
    this.counters.timedOut += 1;
    this.events.tell('timeout', { waitedMs });
    return this.timeoutError(waitedMs);
  }

  private aborted(waitedMs: number, reason: unknown): Error {
    this.counters.aborted += 1;
    this.events.tell('abort', { waitedMs });
    return new errors.AcquireAbortedError(this.name, this.stats(), reason);
  }

  private refused(because: 'full' | 'closed'): void {
    this.counters[because === 'full' ? 'refusedFull' : 'refusedClosed'] += 1;
    this.events.tell('refuse', { because });
  }

  private timeoutError(waitedMs: number): Error {
    return new errors.AcquireTimeoutError(this.name, waitedMs, this.stats(), this.slots.creates.currentError);
  }

  private openDesk(): LeaseDesk<T> {
    return {
      pool: this.name,
      takeBack: (slot) => {
        const now = this.endLease(slot);
        if (this.options.factory.reset !== undefined && this.causeToRetire(slot, now) === undefined) {
          this.slots.reset(slot);
        } else {
          slot.idleSince = now;
          this.admit(slot, now);
        }
        // The hot path of a return: nothing else in the pool changes by it, so there is nothing else to look at.
        if (!this.effects.isEmpty) this.advance(now);
      },
      takeBackBroken: (slot, reason) => {
        const now = this.endLease(slot);
        this.slots.destroy(slot, slot.doom ?? 'error', reason);
        this.advance(now);
      },
      letGo: (slot) => {
        slot.lease = undefined;
        this.counters.detached += 1;
        this.events.tell('detach', { id: slot.id });
        this.slots.forget(slot);
        this.advance(this.clock.now());
      },
      misused: (slot) => {
        this.events.tell('misuse', { id: slot.id });
        this.effects.run();
      },
    };
  }

  private endLease(slot: Slot<T>): number {
    const now = this.clock.now();
    slot.lease = undefined;
    this.counters.released += 1;
    if (this.events.has('release')) this.events.tell('release', { id: slot.id, usedMs: now - slot.lastUsedAt });
    return now;
  }

  /** The one door for a connection in nobody's hands: just opened, checked, reset or returned. */
  private admit(slot: Slot<T>, now: number): void {
    const cause = this.causeToRetire(slot, now);
    if (cause !== undefined) return this.slots.destroy(slot, cause, slot.brokenBy);
    const waiter = this.waiters.shift();
    if (waiter !== undefined) return this.serve(waiter, slot, now);
    this.slots.park(slot);
  }

  private causeToRetire(slot: Slot<T>, now: number): DestroyCause | undefined {
    if (slot.doom !== undefined) return slot.doom;
    if (this.phase.is === 'closed' || (this.phase.is === 'draining' && this.waiters.size === 0)) return 'closed';
    return this.slots.policy.wornOut(slot, now);
  }

  private advance(now: number): void {
    this.pump(now);
    this.tellThoseWhoWait(now);
    this.deadlines.keepAlive(this.isAwaited);
    this.effects.run();
  }

  private pump(now: number): void {
    while (this.waiters.size > 0) {
      const slot = this.slots.idle.peek();
      if (slot === undefined) break;
      const cause = this.slots.policy.unfit(slot, now);
      const isStale = cause === undefined && this.slots.policy.needsCheck(slot, now);
      // Those that are being checked will serve as many; the waiters keep their places meanwhile.
      if (isStale && this.slots.checking >= this.waiters.size) break;
      this.slots.idle.remove(slot);
      if (cause !== undefined) this.slots.destroy(slot, cause);
      else if (isStale) this.slots.check(slot);
      else this.serve(this.waiters.shift()!, slot, now);
    }
    while (this.slots.canOpen > 0 && this.isOneMoreWanted(now)) this.slots.open();
  }

  /** Whether a connection should be opened: for a waiter that nothing under way will serve, or for the minimum. */
  private isOneMoreWanted(now: number): boolean {
    if (this.phase.is === 'closed') return false;
    if (this.waiters.size > this.slots.creating + this.slots.checking) return true;
    return this.isBelowMinimum && now >= this.slots.creates.retryAt;
  }

  private wake(): void {
    const now = this.clock.now();
    for (let due = this.deadlines.takeDue(now); due !== undefined; due = this.deadlines.takeDue(now)) due.expire(now);
    this.advance(now);
    this.deadlines.rearm();
  }

  private tellThoseWhoWait(now: number): void {
    if (this.readiness.isAwaited) {
      const isOpen = this.slots.living - this.slots.creating >= this.options.minConnections;
      const hasFailed = this.slots.creates.failuresInRow > 0;
      this.readiness.tell(isOpen, hasFailed || this.slots.creating === 0 || this.phase.is !== 'open');
    }
    if (this.phase.is === 'closed' && this.slots.size === 0 && this.phase.close.isPending) {
      this.deadlines.close();
      this.phase.close.finish(now, this.slots.overdue);
    }
  }

  /** Somebody waits for the pool, so the process must not end. */
  private get isAwaited(): boolean {
    if (this.phase.is === 'closed') return this.phase.close.isPending;
    return this.waiters.size > 0 || this.readiness.isAwaited;
  }

  private beginClose(now: number): PoolClose {
    const close = new PoolClose(now, () => this.slots.abandon(new errors.PoolClosedError(this.name, this.stats())));
    this.enter({ is: 'closed', close });
    const error = new errors.PoolClosedError(this.name, this.stats());
    this.waiters.takeEach((waiter) => {
      this.refused('closed');
      waiter.reject(error);
    });
    this.readiness.reject(error);
    this.slots.destroyIdle('closed');
    this.slots.cancelOpening(error);
    return close;
  }

  private enter(phase: Phase): void {
    this.events.tell('state', { from: this.phase.is, to: phase.is });
    this.phase = phase;
  }

  private ownSlots(): SlotSetOwner<T> {
    return {
      admit: (slot, now) => this.admit(slot, now),
      advance: (now) => this.advance(now),
      wantsLate: () => this.phase.is !== 'closed' && (this.waiters.size > 0 || this.isBelowMinimum),
      createFailed: (error) => {
        this.waiters.shift()?.reject(new errors.ConnectionCreateError(this.name, this.stats(), error));
      },
    };
  }

  /** Whether the minimum is wanted and not there. */
  private get isBelowMinimum(): boolean {
    return this.isStarted && this.phase.is === 'open' && this.slots.living < this.options.minConnections;
  }
}
