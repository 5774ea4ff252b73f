import type { ResolvedPoolOptions } from './pool-options.js';
import type { DestroyCause } from './pool-stats.js';
import { type Slot, SlotState } from './slot.js';

/** Background checks of connections opened together drift apart: each one's interval is up to this share shorter. */
const SPREAD = 0.25;

/**
 * When a connection is too old, too used, too long idle or too long unproven. It only judges; the pool acts.
 *
 * @internal
 */
export class SlotPolicy<T> {
  constructor(private readonly options: ResolvedPoolOptions<T>) {}

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
    return factory.isHealthy !== undefined && now - this.lastKnownGood(slot) > validateAfterIdleMs;
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

  private lastKnownGood(slot: Slot<T>): number {
    return Math.max(slot.idleSince, slot.provenAt);
  }
}
