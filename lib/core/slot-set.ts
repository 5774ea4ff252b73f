import { CreateRecord } from './create-record.js';
import { FactoryRunner, type SlotOwner } from './factory-runner.js';
import type { HookEnd } from './hook-call.js';
import { IdleStack } from './idle-stack.js';
import { ConnectionLostError } from './pool-errors.js';
import type { ResolvedPoolOptions } from './pool-options.js';
import type { PoolParts } from './pool-parts.js';
import type { DestroyCause, SlotStats } from './pool-stats.js';
import { type ConnectionInfo, infoOf, Slot, SlotState } from './slot.js';
import { SlotPolicy } from './slot-policy.js';

/** Who decides what becomes of a connection. @internal */
export interface SlotSetOwner<T> {
  /** A connection is in nobody's hands: lend it, park it or destroy it. */
  admit(slot: Slot<T>, now: number): void;
  /** Whether a connection that comes late still has a place. */
  wantsLate(): boolean;
  /** A connection could not be opened. */
  createFailed(error: unknown, isRetryable: boolean): void;
  /** Something ended: look at what is wanted next. */
  advance(now: number): void;
}

/**
 * The connections of a pool, each in exactly one state: how they are opened, looked after, checked, reset and closed,
 * and how many there are of each.
 *
 * Invariant: `size` never exceeds `maxConnections`, since only {@link SlotSet.open} adds one and asks `canOpen` first. One
 * that is being opened for a waiter that has left counts, and so does one that is being closed.
 *
 * @internal
 */
export class SlotSet<T> {
  readonly idle: IdleStack<T>;
  readonly policy: SlotPolicy<T>;
  readonly creates: CreateRecord;
  /** How health checks have been going. */
  readonly checks = { failedInRow: 0, failedAt: -Infinity, lastError: undefined as unknown };
  private readonly slots = new Set<Slot<T>>();
  private readonly connections = new Set<T>();
  private readonly counts = [0, 0, 0, 0, 0, 0];
  /** How many of them are of an earlier generation, where that matters: nobody may wait for those. */
  private readonly outdated = [0, 0, 0, 0, 0, 0];
  /** `slots.size`, which costs a call each time it is read. */
  private total = 0;
  private readonly runner: FactoryRunner<T>;
  private lastId = 0;
  private generation = 0;
  /** Failed checks in a row, of connections of this generation. */
  private failedOfGeneration = 0;
  private isClosing = false;
  /** Why connections of earlier generations are closed. */
  private retiredAs: DestroyCause = 'evicted';
  /** The one create that asks, while the upstream is down, whether it still is. */
  private probe: Slot<T> | undefined;

  constructor(
    private readonly options: ResolvedPoolOptions<T>,
    private readonly parts: PoolParts,
    private readonly owner: SlotSetOwner<T>,
  ) {
    const { turn, deadlines, effects } = parts;
    this.idle = new IdleStack(options.order);
    this.policy = new SlotPolicy(options);
    this.creates = new CreateRecord(options);
    this.runner = new FactoryRunner(options, { name: options.name, turn, deadlines, effects }, this.hookEnds());
  }

  // ---- how many

  get size(): number {
    return this.total;
  }

  /** All but those being closed. */
  get living(): number {
    return this.total - this.count(SlotState.destroying);
  }

  /** How many more may be opened at this moment. */
  get canOpen(): number {
    const { maxCreating, size } = this.options;
    return Math.max(0, Math.min(maxCreating - this.creating, size.max - this.total));
  }

  /** How many there are too many, after the pool has shrunk. */
  get surplus(): number {
    return this.living - this.options.size.max;
  }

  get isProbing(): boolean {
    return this.probe !== undefined;
  }

  get active(): number {
    return this.count(SlotState.active);
  }

  all(): Iterable<Slot<T>> {
    return this.slots;
  }

  /** Hooks past their limit, of connections that are no longer counted here. */
  get overdue(): number {
    return this.runner.overdue;
  }

  get creating(): number {
    return this.count(SlotState.creating);
  }

  /** Those being opened that will be lent: not those that were begun before the last change of generation. */
  get opening(): number {
    return this.count(SlotState.creating) - this.outdated[SlotState.creating]!;
  }

  /** Those being checked or reset that will be lent, if they pass. */
  get checking(): number {
    return this.count(SlotState.checking) - this.outdated[SlotState.checking]!;
  }

  /** The slots' part of the pool's statistics. */
  snapshot(): SlotStats {
    const { max: maxConnections, min: minConnections } = this.options.size;
    const activeConnections = this.active;
    return {
      totalConnections: this.total,
      idleConnections: this.count(SlotState.idle),
      activeConnections,
      creatingConnections: this.creating,
      checkingConnections: this.count(SlotState.checking),
      destroyingConnections: this.count(SlotState.destroying),
      overdue: this.runner.overdue,
      minConnections,
      maxConnections,
      utilization: maxConnections > 0 ? activeConnections / maxConnections : 0,
      down: this.creates.isDown,
      createFailuresInRow: this.creates.failuresInRow,
      lastCreateError: this.creates.lastFailure(this.parts.clock.now()),
    };
  }

  // ---- what the pool does with them

  open(): void {
    const slot = new Slot<T>((this.lastId += 1), this.generation, this.lookAfter);
    if (this.creates.isDown) this.probe = slot;
    this.enrol(slot);
    this.runner.open(slot, this.creates.failuresInRow + 1);
  }

  lend(slot: Slot<T>): void {
    // Handed over from one borrower to the next, it never was anything else.
    if (slot.state !== SlotState.active) this.move(slot, SlotState.active);
  }

  park(slot: Slot<T>): void {
    this.move(slot, SlotState.idle);
    this.idle.put(slot);
  }

  check(slot: Slot<T>): void {
    this.move(slot, SlotState.checking);
    this.runner.check(slot);
  }

  reset(slot: Slot<T>): void {
    this.move(slot, SlotState.checking);
    this.runner.reset(slot);
  }

  /** The one door out for a connection that the pool closes. */
  destroy(slot: Slot<T>, cause: DestroyCause, reason?: unknown): void {
    const { clock, counters, deadlines, events } = this.parts;
    this.move(slot, SlotState.destroying);
    deadlines.remove(slot);
    counters.destroyed[cause] += 1;
    if (slot.usageCount > 0) {
      this.creates.wasOfUse();
    } else if ((cause === 'broken' || cause === 'unhealthy') && slot.generation === this.generation) {
      // It died before anybody used it: replace it after a pause, as after a failed create.
      this.creates.diedUnused(slot.createdAt, clock.now());
      this.retryLater();
    }
    events.tell('destroy', { id: slot.id, cause, reason });
    this.runner.destroy(slot);
  }

  /** Closes idle connections, the coldest first: all of them, or as many as are too many. */
  destroyIdle(cause: DestroyCause, count = Infinity): void {
    for (let left = count; left > 0 && this.idle.coldest !== undefined; left -= 1) this.evict(this.idle.coldest, cause);
  }

  /** Closes an idle connection. */
  evict(slot: Slot<T>, cause: DestroyCause): void {
    this.idle.remove(slot);
    this.destroy(slot, cause);
  }

  /** From here on no connection opened so far is lent: idle ones go now, the others when they come back. */
  retireAll(cause: DestroyCause): void {
    this.generation += 1;
    this.retiredAs = cause;
    this.failedOfGeneration = 0;
    this.probe = undefined;
    for (const state of [SlotState.creating, SlotState.checking]) this.outdated[state] = this.count(state);
    this.destroyIdle(cause);
    this.cancelOpening(new Error('the pool retired its connections'), this.generation);
  }

  /** Why a connection must not be lent again. */
  unwantedBecause(slot: Slot<T>, now: number): DestroyCause | undefined {
    if (slot.doom !== undefined) return slot.doom;
    if (slot.generation !== this.generation) return this.retiredAs;
    // living > max: after a shrink, whichever comes back first goes.
    return this.surplus > 0 ? 'evicted' : this.policy.wornOut(slot, now);
  }

  /** Tells creates under way to stop. They still count until they have. */
  cancelOpening(reason: unknown, before = Infinity): void {
    if (before === Infinity) this.isClosing = true;
    for (const slot of this.slots) {
      if (slot.state === SlotState.creating && slot.generation < before) slot.call?.cancel(reason);
    }
  }

  /**
   * Ends everything that has not ended by itself: waits for no create or check any longer, and takes leased connections
   * back. Returns those.
   */
  abandon(reason: unknown): ConnectionInfo[] {
    const taken: ConnectionInfo[] = [];
    for (const slot of this.slots) {
      if (slot.state === SlotState.creating) {
        this.runner.giveUpOpening(slot, reason);
        this.forget(slot);
      } else if (slot.state === SlotState.active) {
        taken.push(infoOf(slot));
        // The borrower hears of it before the connection is closed under it.
        this.tellBorrower(slot, reason);
        this.destroy(slot, 'closed', reason);
      } else if (slot.state === SlotState.checking) {
        slot.call?.giveUp(reason);
        this.destroy(slot, 'closed', reason);
      }
    }
    return taken;
  }

  /** Out of the pool for good. */
  forget(slot: Slot<T>): void {
    this.move(slot, SlotState.gone);
    this.parts.deadlines.remove(slot);
    this.slots.delete(slot);
    this.total -= 1;
    if (this.probe === slot) this.probe = undefined;
    if (slot.connection !== undefined) this.connections.delete(slot.connection);
    slot.connection = undefined;
    slot.call = undefined;
  }

  // ---- what happens to them

  /** What a slot's deadline asks for: the next time that age, idleness or a background check may be due. */
  private readonly lookAfter = (slot: Slot<T>, now: number): void => {
    if (slot.state === SlotState.idle) {
      const due = this.policy.upkeep(slot, now, this.living > this.options.size.min);
      if (due !== undefined) this.idle.remove(slot);
      if (due === 'check') this.check(slot);
      else if (due !== undefined) return this.destroy(slot, due);
    }
    this.parts.deadlines.add(slot, this.policy.nextLookAt(slot, now));
  };

  private hookEnds(): SlotOwner<T> {
    const { clock, effects, turn } = this.parts;
    return {
      has: (connection) => this.connections.has(connection),
      opened: (slot, connection) => this.opened(slot, connection),
      openedLate: (slot, connection) => {
        const now = turn.fresh();
        const isCurrent = slot.generation === this.generation;
        if (isCurrent && this.total < this.options.size.max && this.owner.wantsLate()) {
          const beganAt = slot.createdAt;
          this.enrol(slot);
          slot.createdAt = beganAt;
          return this.opened(slot, connection);
        }
        if (isCurrent) this.createSucceeded(now);
        this.runner.destroyStray(connection, (end) => {
          this.tellFailure('destroy', slot, end);
          effects.run();
        });
        this.owner.advance(now);
      },
      openFailed: (slot, error, isRetryable) => {
        const isProbe = this.probe === slot;
        this.forget(slot);
        // One that was told to stop, because its connection was not wanted any more, says nothing about the upstream.
        const wasStopped = this.isClosing || slot.generation !== this.generation;
        if (!wasStopped) this.failed(error, isRetryable, slot, isProbe);
        this.owner.advance(clock.now());
      },
      checked: (slot, isHealthy, error) => {
        if (slot.state !== SlotState.checking) return;
        const now = turn.fresh();
        slot.provenAt = now;
        if (isHealthy) this.checkPassed(slot);
        else this.checkFailed(slot, error, now);
        this.hookEnded(slot, now, isHealthy ? undefined : 'unhealthy', error);
      },
      resetEnded: (slot, end) => {
        if (slot.state !== SlotState.checking) return;
        const now = turn.fresh();
        slot.idleSince = now;
        this.tellFailure('reset', slot, end);
        this.hookEnded(slot, now, end.ok ? undefined : 'reset', end.ok ? undefined : end.error);
      },
      destroyed: (slot, end) => {
        this.tellFailure('destroy', slot, end);
        this.forget(slot);
        this.owner.advance(clock.now());
      },
      broken: (slot, error) => this.broken(slot, error),
    };
  }

  private tellFailure(hook: 'reset' | 'destroy', slot: Slot<T>, end: HookEnd<void>): void {
    if (!end.ok) this.parts.events.tell('hookError', { hook, id: slot.id, error: end.error });
  }

  private checkFailed(slot: Slot<T>, error: unknown, now: number): void {
    this.parts.events.tell('checkFailed', { id: slot.id, error });
    this.checks.failedInRow += 1;
    this.checks.failedAt = now;
    this.checks.lastError = error;
    // One of those that were retired already says nothing about those that came after.
    if (slot.generation !== this.generation) return;
    this.failedOfGeneration += 1;
    // So many in a row are no accident: whatever killed them, a failover or a firewall, has met the others too.
    if (this.failedOfGeneration >= this.options.unhealthyAfter) this.retireAll('unhealthy');
  }

  private checkPassed(slot: Slot<T>): void {
    this.checks.failedInRow = 0;
    if (slot.generation === this.generation) this.failedOfGeneration = 0;
  }

  private hookEnded(slot: Slot<T>, now: number, failedBy: DestroyCause | undefined, error: unknown): void {
    if (failedBy === undefined) this.owner.admit(slot, now);
    else this.destroy(slot, failedBy, error);
    // One that is fit and lent or parked changes nothing else: it was counted on.
    if (!this.parts.effects.isEmpty) this.owner.advance(now);
  }

  private enrol(slot: Slot<T>): void {
    slot.state = SlotState.creating;
    slot.createdAt = this.parts.clock.now();
    this.counts[SlotState.creating]! += 1;
    this.slots.add(slot);
    this.total += 1;
  }

  private opened(slot: Slot<T>, connection: T): void {
    const { clock, counters, deadlines, events } = this.parts;
    const now = clock.now();
    events.tell('create', { id: slot.id, tookMs: now - slot.createdAt });
    counters.created += 1;
    counters.createTime.record(now - slot.createdAt);
    slot.connection = connection;
    const isProbe = this.probe === slot;
    if (isProbe) this.probe = undefined;
    if (slot.generation === this.generation) {
      // Dead on arrival is a failed create, or an upstream that accepts and hangs up would be dialled without a pause.
      const brokenBy = slot.brokenBy ?? new Error('broken before it was open');
      if (slot.doom === 'broken') this.failed(brokenBy, true, slot, isProbe);
      else this.createSucceeded(now);
    }
    this.connections.add(connection);
    this.policy.begin(slot, now);
    this.owner.admit(slot, now);
    if (slot.state !== SlotState.destroying) deadlines.add(slot, this.policy.nextLookAt(slot, now));
    this.owner.advance(now);
  }

  private createSucceeded(now: number): void {
    const { downSince } = this.creates;
    this.creates.succeeded();
    if (downSince !== undefined) this.parts.events.tell('up', { downForMs: now - downSince });
  }

  private failed(error: unknown, isRetryable: boolean, slot: Slot<T>, isProbe: boolean): void {
    const { clock, counters, events } = this.parts;
    const wasDown = this.creates.isDown;
    const now = clock.now();
    counters.createFailed += 1;
    const wentDown = this.creates.failed(error, isRetryable, slot.createdAt, now);
    this.retryLater();
    const inRow = this.creates.failuresInRow;
    events.tell('createError', { error, inRow, tookMs: now - slot.createdAt });
    if (wentDown) events.tell('down', { error, inRow });
    // While the pool is down, whoever waits does so for the probe, and not for one that began before.
    if (!wasDown || isProbe) this.owner.createFailed(error, isRetryable);
  }

  private retryLater(): void {
    this.parts.deadlines.remove(this.creates);
    this.parts.deadlines.add(this.creates, this.creates.retryAt);
  }

  private broken(slot: Slot<T>, error: unknown): void {
    if (slot.doom !== undefined || slot.state === SlotState.destroying) return;
    slot.brokenBy = error;
    slot.doom = 'broken';
    // Not opened yet, or given up: remembered, in case a connection still comes of it.
    if (slot.state === SlotState.creating || slot.state === SlotState.gone) return;
    this.parts.events.tell('broken', { id: slot.id, error });
    if (slot.state === SlotState.active) this.tellBorrower(slot, error);
    if (slot.state === SlotState.idle) {
      this.idle.remove(slot);
      this.destroy(slot, 'broken', error);
    }
    this.owner.advance(this.parts.clock.now());
  }

  private tellBorrower(slot: Slot<T>, cause: unknown): void {
    const { borrower } = slot;
    const lost = (slot.lost = new ConnectionLostError(this.options.name, slot.id, cause));
    if (borrower !== undefined) this.parts.effects.add(() => borrower.abort(lost));
  }

  private count(state: SlotState): number {
    return this.counts[state]!;
  }

  private move(slot: Slot<T>, to: SlotState): void {
    this.counts[slot.state]! -= 1;
    // Only creating and checking ones are counted as outdated; none of an earlier generation comes into such a state.
    if (slot.generation !== this.generation && this.outdated[slot.state]! > 0) this.outdated[slot.state]! -= 1;
    this.counts[to]! += 1;
    slot.state = to;
  }
}
