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
 * 1. idle + active + creating + checking + destroying <= maxConnections; after a shrink, as soon as returns allow. A create
 *    that outlives its waiter still counts, and so does a connection that is being closed.
 * 2. A connection is in exactly one place, and each one created is destroyed or detached exactly once.
 * 3. An acquire settles exactly once: a lease, a timeout, an abort, a refusal, a failed create, or the pool's close.
 * 4. Waiters are served in order, within a priority. A newcomer never overtakes, a failed check never reorders.
 * 5. Where more wait than checks under way will serve, nothing is idle, and the pool is full, opening, waiting out the pause
 *    after a failed create, or suspended.
 * 6. The lease is the only key.
 * 7. Creates belong to the pool. A borrower that leaves never cancels one; a return or a create, whichever comes first,
 *    serves the oldest waiter.
 * 8. After a stall it serves first and expires after; what nobody has looked at meanwhile is checked before it is lent.
 *
 * Transitions are synchronous and never call user code; hooks, listeners and aborts are noted as effects and run once
 * the state is whole. Three doors carry everything: `admit` for a connection in nobody's hands, `destroy` for one that
 * ends, `pump` for what the pool wants next.
 */
import type { Clock } from './clock.js';
import { DeadlockWatch } from './deadlock-watch.js';
import { Deadlines } from './deadlines.js';
import { Effects } from './effects.js';
import type { Lease } from './lease.js';
import { LeaseDesk } from './lease-desk.js';
import { checkClose, checkReady } from './option-rules.js';
import { Outside } from './outside.js';
import { type CloseReport, PoolClose } from './pool-close.js';
import * as errors from './pool-errors.js';
import { type PoolEventName, PoolEvents, type PoolListener } from './pool-events.js';
import * as door from './pool-options.js';
import { type DestroyCause, PoolCounters, type PoolStateName, type PoolStats } from './pool-stats.js';
import { Readiness } from './readiness.js';
import { type ConnectionInfo, infoOf, type Slot, SlotState, type StackHolder } from './slot.js';
import { SlotSet } from './slot-set.js';
import type { WaitQueue } from './wait-queue.js';
import { TurnClock } from './turn-clock.js';
import { WaitingRoom } from './waiting-room.js';

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
  private readonly turn: TurnClock;

  private phase: Phase = { is: 'open' };
  /** Whether the minimum is wanted: from the first acquire or `start()` on. */
  private isStarted = false;
  private isSuspended = false;
  private readonly counters = new PoolCounters();
  private readonly effects: Effects;
  private readonly events: PoolEvents;
  private readonly deadlines: Deadlines;
  private readonly deadlocks: DeadlockWatch | undefined;
  private readonly slots: SlotSet<T>;
  private readonly room: WaitingRoom<T>;
  private readonly waiters: WaitQueue<Lease<T>>;
  private readonly readiness: Readiness;
  private readonly desk: LeaseDesk<T>;

  /**
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  constructor(poolOptions: door.PoolOptions<T>) {
    const options = (this.options = door.resolvePoolOptions(poolOptions));
    const { name, clock } = options;
    this.name = name;
    this.clock = clock;
    const turn = (this.turn = new TurnClock(clock));
    const outside = new Outside();
    const effects = (this.effects = new Effects(outside));
    const events = (this.events = new PoolEvents(name, effects));
    const deadlines = (this.deadlines = new Deadlines(clock, outside, (now) => this.advance(now)));
    const parts = { clock, turn, deadlines, effects, events, counters: this.counters };
    const advance = (now: number): void => this.advance(now);
    const admit = (slot: Slot<T>, now: number): void => this.admit(slot, now);
    this.deadlocks = options.detectDeadlock ? new DeadlockWatch() : undefined;
    this.slots = new SlotSet(options, parts, {
      admit,
      advance,
      wantsLate: () => this.phase.is !== 'closed' && (this.waiters.size > 0 || this.isBelowMinimum),
      createFailed: (error, isRetryable) => this.createFailed(error, isRetryable),
    });
    const stats = (): PoolStats => this.stats();
    this.room = new WaitingRoom(options, parts, this.slots, this.deadlocks, { stats, advance });
    this.waiters = this.room.queue;
    const isUnwanted = (slot: Slot<T>, now: number): boolean => this.unwantedBecause(slot, now) !== undefined;
    this.desk = new LeaseDesk(options, parts, this.slots, {
      admit,
      advance,
      isUnwanted,
      isAwaited: () => this.waiters.size > 0,
    });
    this.readiness = new Readiness(clock, deadlines, {
      timeoutError: (waitedMs, since) => this.room.describeTimeout(waitedMs, since),
      abortError: (_waitedMs, reason) => new errors.AcquireAbortedError(name, this.stats(), reason),
      left: () => this.deadlines.keepAlive(this.isAwaited),
    });
  }

  /** Whether the pool is open, draining or closed. */
  get state(): PoolStateName {
    return this.phase.is;
  }

  /**
   * Borrows a connection, waiting for one if need be. Among those of one priority the oldest waiter is always served first.
   *
   * Rejects with {@link AcquireTimeoutError}, {@link AcquireAbortedError}, {@link PoolExhaustedError},
   * {@link PoolDownError}, {@link ConnectionCreateError}, {@link NoHealthyConnectionError}, {@link PoolDeadlockError},
   * {@link PoolClosedError}, or {@link PoolOptionsError} for wrong options.
   */
  acquire(options?: door.AcquireOptions): Promise<Lease<T>> {
    const problem = options === undefined ? undefined : this.room.problemOf(options);
    if (problem !== undefined) return Promise.reject(problem);
    const acquiredAt = this.desk.sampleStack(acquire);
    const now = this.waiters.size > 0 ? this.turn.now() : this.turn.fresh();
    const lease = this.lendReady(now, acquiredAt);
    return lease === undefined ? this.wait(options, now, acquiredAt) : Promise.resolve(lease);
  }

  /** Borrows an idle connection that needs no check, if there is one and nobody waits; else `undefined`. */
  tryAcquire(): Lease<T> | undefined {
    const now = this.turn.fresh();
    const lease = this.lendReady(now, this.desk.sampleStack(tryAcquire));
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
    // One that is ready needs no turn of microtasks in between.
    const isPlain = options === undefined && this.waiters.size === 0;
    const ready = isPlain ? this.lendReady(this.turn.fresh(), this.desk.sampleStack(use)) : undefined;
    const lease = ready ?? (await this.acquire(options));
    // A close by force came between: the work has not begun, and need not.
    if (!lease.isHeld) throw new errors.PoolClosedError(this.name, this.stats());
    try {
      if (this.deadlocks === undefined) return await work(lease.connection, lease);
      return await this.deadlocks.run(lease, () => work(lease.connection, lease));
    } finally {
      if (lease.isHeld) lease.release();
    }
  }

  /** Opens the minimum. Ends with the first attempt and does not reject for a failed one: the background goes on trying. */
  start(): Promise<void> {
    return this.startAnd(this.readiness.untilAttempted());
  }

  /**
   * Waits until the minimum is open.
   *
   * Rejects with {@link AcquireTimeoutError}, {@link AcquireAbortedError}, {@link PoolClosedError} (also while draining, for
   * then the minimum is not opened any more), or {@link PoolOptionsError} for wrong options.
   */
  ready(options: door.ReadyOptions = {}): Promise<void> {
    const problems = checkReady(options);
    if (problems.length > 0) return Promise.reject(new errors.PoolOptionsError(this.name, problems));
    const { timeoutMs = this.options.acquireTimeoutMs, signal } = options;
    if (this.phase.is !== 'open') return Promise.reject(new errors.PoolClosedError(this.name, this.stats()));
    if (signal?.aborted) {
      return Promise.reject(new errors.AcquireAbortedError(this.name, this.stats(), signal.reason));
    }
    return this.startAnd(this.readiness.untilOpen(timeoutMs, signal));
  }

  /** A frozen snapshot, at constant cost. */
  stats(): PoolStats {
    return this.counters.snapshot(this.slots.snapshot(), this.waiters.size, this.phase.is, this.isSuspended);
  }

  /**
   * Changes the limits. Shrinking closes idle connections at once and leased ones as they come back; growing serves those
   * who wait. A minimum that nobody has set follows the maximum.
   *
   * @throws {@link PoolOptionsError} naming every value that is wrong; {@link PoolClosedError} after `close()`
   */
  resize(options: door.ResizeOptions): void {
    if (this.phase.is === 'closed') throw new errors.PoolClosedError(this.name, this.stats());
    this.options.size.change(this.name, options);
    this.slots.destroyIdle('evicted', this.slots.surplus);
    this.advance(this.clock.now());
  }

  /**
   * Closes idle connections: all, or those that `predicate` picks. An error that it throws reaches the caller, and nothing
   * is closed then. The minimum is restored in the background.
   *
   * @returns how many
   * @throws {@link PoolOptionsError} for a predicate that is no function
   */
  evict(predicate: (connection: T, info: ConnectionInfo) => boolean = () => true): number {
    if (typeof predicate !== 'function') {
      throw new errors.PoolOptionsError(this.name, ['evict: expected a function of a connection and its info']);
    }
    // It may use the pool, so a connection that was idle when it was asked need not be so any more.
    const isIdle = (slot: Slot<T>): boolean => slot.state === SlotState.idle;
    const picked = this.slots.idle
      .list()
      .filter((slot) => isIdle(slot) && predicate(slot.connection as T, infoOf(slot)));
    const evicted = picked.filter(isIdle);
    for (const slot of evicted) this.slots.evict(slot, 'evicted');
    this.advance(this.clock.now());
    return evicted.length;
  }

  /**
   * Replaces all connections, as after a failover: idle ones are closed now, leased ones when they come back, and those
   * that are being opened are never lent.
   */
  retireAll(): void {
    this.slots.retireAll('evicted');
    this.advance(this.clock.now());
  }

  /** Lends nothing until {@link ConnectionPool.resume}. Acquires wait, each until its deadline; connections still come back. */
  suspend(): void {
    this.isSuspended = true;
  }

  /** Lends again, the oldest waiter first. */
  resume(): void {
    this.isSuspended = false;
    this.advance(this.clock.now());
  }

  /** Stops keeping connections: idle ones are closed, returned ones too unless somebody waits. Acquires are still served. */
  drain(): void {
    if (this.phase.is !== 'open') return;
    this.enter({ is: 'draining' });
    this.readiness.reject(new errors.PoolClosedError(this.name, this.stats()));
    this.advance(this.clock.now());
  }

  /**
   * Refuses acquires, rejects waiters, and closes every connection as it comes back; at the deadline, those that did not
   * come back too. Always the same promise; a later call with a shorter timeout shortens the wait.
   *
   * @returns rejects with {@link PoolOptionsError} for a wrong `timeoutMs`, never for a connection that would not close
   */
  close(options: door.CloseOptions = {}): Promise<CloseReport> {
    const problems = checkClose(options);
    if (problems.length > 0) return Promise.reject(new errors.PoolOptionsError(this.name, problems));
    const { timeoutMs = this.options.closeTimeoutMs } = options;
    const now = this.clock.now();
    const close = this.phase.is === 'closed' ? this.phase.close : this.beginClose(now);
    if (close.isPatient && now + timeoutMs < close.dueAt) {
      this.deadlines.remove(close);
      if (timeoutMs > 0) this.deadlines.add(close, now + timeoutMs);
      else close.expire();
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

  private lendReady(now: number, acquiredAt: StackHolder | undefined): Lease<T> | undefined {
    if (this.waiters.size > 0 || this.isSuspended) return undefined;
    for (let slot = this.slots.idle.peek(); slot !== undefined; slot = this.slots.idle.peek()) {
      const cause = this.slots.policy.unfit(slot, now);
      if (cause === undefined && this.slots.policy.needsCheck(slot, now)) break;
      if (cause !== undefined) {
        this.slots.evict(slot, cause);
        continue;
      }
      this.slots.idle.remove(slot);
      const lease = this.desk.lend(slot, now, 0, acquiredAt);
      this.counters.acquiredDirect += 1;
      if (!this.effects.isEmpty) this.advance(now);
      return lease;
    }
    return undefined;
  }

  /** Hands a connection over, never frees it first: nobody can come between. */
  private serve(slot: Slot<T>, now: number): void {
    const waiter = this.waiters.shift()!;
    this.counters.acquiredWaited += 1;
    waiter.resolve(this.desk.lend(slot, now, now - waiter.since, waiter.extras?.acquiredAt));
    if (this.waiters.size === 0) this.deadlines.keepAlive(this.isAwaited);
    if (this.deadlocks?.isAtRisk) this.deadlocks.prune();
  }

  private wait(options: door.AcquireOptions | undefined, now: number, at: StackHolder | undefined): Promise<Lease<T>> {
    const refusal = this.room.refusalOf(options, this.phase.is === 'closed');
    if (refusal !== undefined) return this.startAnd(Promise.reject(refusal), now);
    const queued = this.room.queueUp(options, now, at);
    // The hot path of a busy pool: one more behind others changes nothing else, so there is nothing else to look at.
    return this.waiters.size > 1 && this.isBusy ? queued : this.startAnd(queued, now);
  }

  private get isBusy(): boolean {
    const { idle, canOpen, creates } = this.slots;
    if (this.deadlocks?.isAtRisk) return false;
    return idle.size === 0 && canOpen === 0 && !creates.isDown && this.effects.isEmpty;
  }

  private startAnd<R>(promise: Promise<R>, now = this.clock.now()): Promise<R> {
    this.isStarted = true;
    this.advance(now);
    return promise;
  }

  /** The one door for a connection in nobody's hands: just opened, checked, reset or returned. */
  private admit(slot: Slot<T>, now: number): void {
    const cause = this.unwantedBecause(slot, now);
    if (cause !== undefined) this.slots.destroy(slot, cause, slot.brokenBy);
    else if (this.waiters.size > 0 && !this.isSuspended) this.serve(slot, now);
    else this.slots.park(slot);
  }

  private unwantedBecause(slot: Slot<T>, now: number): DestroyCause | undefined {
    const isClosing = this.phase.is === 'closed' || (this.phase.is === 'draining' && this.waiters.size === 0);
    return this.slots.unwantedBecause(slot, now) ?? (isClosing ? 'closed' : undefined);
  }

  private createFailed(error: unknown, isRetryable: boolean): void {
    // Those who wait for a suspended pool do not wait for this, and neither do those whom a check under way will serve.
    if (this.isSuspended || this.waiters.size <= this.slots.checking) return;
    if (this.options.onCreateError === 'reject') this.room.createFailed(error, isRetryable, 'oldest');
    // Nobody will try again by himself, so nobody need wait for it.
    else if (!isRetryable) this.room.createFailed(error, isRetryable, 'all');
  }

  private advance(now: number): void {
    this.turn.reading = now;
    this.pump(now);
    this.tellThoseWhoWait(now);
    this.deadlines.keepAlive(this.isAwaited);
    this.effects.run();
  }

  private pump(now: number): void {
    const { slots, waiters } = this;
    while (waiters.size > 0 && !this.isSuspended) {
      const slot = slots.idle.peek();
      if (slot === undefined) break;
      const cause = slots.policy.unfit(slot, now);
      const isStale = cause === undefined && slots.policy.needsCheck(slot, now);
      // Those that are being checked will serve as many; the waiters keep their places meanwhile.
      if (isStale && slots.checking >= waiters.size) break;
      slots.idle.remove(slot);
      if (cause !== undefined) slots.destroy(slot, cause);
      else if (isStale) slots.check(slot);
      else this.serve(slot, now);
    }
    while (slots.canOpen > 0 && this.isOneMoreWanted(now)) slots.open();
    this.deadlocks?.prune();
    if (waiters.size === 0 && this.phase.is === 'draining') slots.destroyIdle('closed');
    if (waiters.size === 0 || this.isSuspended) return;
    // Full, it cannot even ask whether the upstream is back; those who wait, wait for a return.
    const isFull = slots.size >= this.options.size.max;
    if (slots.creates.isDown && !isFull) this.room.turnAwayBeyond(slots.checking + (slots.isProbing ? 1 : 0), now);
    if (this.deadlocks?.isAtRisk && slots.active === slots.size && slots.canOpen === 0)
      this.room.breakDeadlock(slots.active);
  }

  /** Whether a connection should be opened: for a waiter that nothing under way will serve, or for the minimum. */
  private isOneMoreWanted(now: number): boolean {
    if (this.phase.is === 'closed') return false;
    const { creates, opening, checking, isProbing } = this.slots;
    const isTime = now >= creates.retryAt;
    const isForWaiter = !this.isSuspended && this.waiters.size > checking + (creates.isDown ? 0 : opening);
    const isForMinimum = this.isBelowMinimum && isTime && !creates.isHalted;
    if (creates.isDown) return !isProbing && isTime && (isForWaiter || isForMinimum);
    // Those who rather wait than hear of a failure wait out the pause after it too.
    return isForMinimum || (isForWaiter && (isTime || this.options.onCreateError === 'reject'));
  }

  private tellThoseWhoWait(now: number): void {
    if (this.readiness.isAwaited) {
      const isOpen = this.slots.living - this.slots.creating >= this.options.size.min;
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
    this.room.closeFor(error);
    this.readiness.reject(error);
    this.slots.destroyIdle('closed');
    this.slots.cancelOpening(error);
    return close;
  }

  private enter(phase: Phase): void {
    this.events.tell('state', { from: this.phase.is, to: phase.is });
    this.phase = phase;
  }

  /** Whether the minimum is wanted and not there. */
  private get isBelowMinimum(): boolean {
    return this.isStarted && this.phase.is === 'open' && this.slots.living < this.options.size.min;
  }
}

/** What a sampled stack begins below. They are compared with its frames, never called. */
// oxlint-disable-next-line typescript/unbound-method
const { acquire, tryAcquire, use } = ConnectionPool.prototype;
