import { calendarAhead, systemClock } from './clock.js';
import type { ResolvedPoolOptions } from './pool-options.js';
import type { DestroyCause } from './pool-stats.js';
import { type Slot, SlotState } from './slot.js';

/** Background checks of connections opened together drift apart: each one's interval is up to this share shorter. */
const SPREAD = 0.25;

/** A calendar that runs ahead by this much at once has not been put right by the network: the machine slept. */
const SLEEP_MS = 1_000;

/**
 * When a connection is too old, too used, too long idle or too long unproven. It only judges; the pool acts.
 *
 * @internal
 */
export class SlotPolicy<T> {
  /** How far the calendar was ahead of the clock when it was last looked at. */
  private ahead: number;
  private wokeAt = -Infinity;

  constructor(private readonly options: ResolvedPoolOptions<T>) {
    this.ahead = calendarAhead(options.clock.now());
  }

  /** Starts the life of a connection that was just opened. */
  begin(slot: Slot<T>, now: number): void {
    const { maxLifetimeMs, lifetimeJitter, healthCheckIntervalMs, factory } = this.options;
    slot.createdAt = now;
    slot.idleSince = now;
    slot.provenAt = now;
    slot.expiresAt = now + maxLifetimeMs * (1 - lifetimeJitter * Math.random());
    if (factory.isHealthy !== undefined) slot.checkEveryMs = healthCheckIntervalMs * (1 - SPREAD * Math.random());
  }

  /** Why a connection that comes back must not be lent again. */
  wornOut(slot: Slot<T>, now: number): DestroyCause | undefined {
    if (slot.usageCount >= this.options.maxUses) return 'uses';
    if (now >= slot.expiresAt) return 'lifetime';
    // One that was just opened is as good as its factory could make it, and is not asked.
    return slot.state !== SlotState.creating && this.looksDead(slot) ? 'broken' : undefined;
  }

  /** Why an idle connection must not be lent. */
  unfit(slot: Slot<T>, now: number): DestroyCause | undefined {
    if (now >= slot.expiresAt) return 'lifetime';
    return this.looksDead(slot) ? 'broken' : undefined;
  }

  private looksDead(slot: Slot<T>): boolean {
    const { factory } = this.options;
    if (factory.looksAlive === undefined) return false;
    try {
      return !factory.looksAlive(slot.connection as T);
    } catch {
      return true;
    }
  }

  /** Whether an idle connection must pass a check before it is lent. */
  needsCheck(slot: Slot<T>, now: number): boolean {
    const { validateAfterIdleMs, factory } = this.options;
    if (factory.isHealthy === undefined || validateAfterIdleMs === Infinity) return false;
    const provenAt = this.lastKnownGood(slot);
    return now - provenAt > validateAfterIdleMs || this.hasSleptSince(provenAt, now);
  }

  /** What is due for an idle connection that nobody asked for. `isSpare`: it is above the minimum. */
  upkeep(slot: Slot<T>, now: number, isSpare: boolean): 'lifetime' | 'idle' | 'check' | undefined {
    if (now >= slot.expiresAt) return 'lifetime';
    if (isSpare && now - slot.idleSince >= this.options.maxIdleTimeMs) return 'idle';
    return now - this.lastKnownGood(slot) >= slot.checkEveryMs ? 'check' : undefined;
  }

  /** When upkeep is next worth a look. */
  nextLookAt(slot: Slot<T>, now: number): number {
    const { maxIdleTimeMs } = this.options;
    if (slot.state !== SlotState.idle) {
      // In use, it is judged when it comes back. One look per period is enough then, and lending sets no deadline; but
      // none later than its end, or it could come back before that and lie idle long after.
      const period = now + Math.min(maxIdleTimeMs, slot.checkEveryMs);
      return slot.expiresAt > now ? Math.min(slot.expiresAt, period) : period;
    }
    const idleUntil = slot.idleSince + maxIdleTimeMs;
    const checkAt = this.lastKnownGood(slot) + slot.checkEveryMs;
    // The minimum outlives its idle time; it is looked at again a whole idle time later.
    return Math.min(slot.expiresAt, checkAt, idleUntil > now ? idleUntil : now + maxIdleTimeMs);
  }

  /**
   * Whether the machine was asleep since then, a laptop's lid shut or a virtual machine frozen: on Linux the clock does not
   * tell, but the calendar does. A calendar that was merely set forward costs a check too many, and nothing else.
   */
  private hasSleptSince(time: number, now: number): boolean {
    if (this.options.clock !== systemClock) return false;
    const ahead = calendarAhead(now);
    if (ahead - this.ahead > Math.max(SLEEP_MS, this.options.validateAfterIdleMs)) this.wokeAt = now;
    this.ahead = ahead;
    return time < this.wokeAt;
  }

  private lastKnownGood(slot: Slot<T>): number {
    return Math.max(slot.idleSince, slot.provenAt);
  }
}
