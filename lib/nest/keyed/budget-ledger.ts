import type { Clock } from '../../core/index.js';
import type { BudgetShare } from './budget-share.js';

/**
 * Who has how much of a budget.
 *
 * Invariant: free + Σ quota = max, and free >= 0. No share holds more than its quota, so the upstream never has more than max.
 *
 * @internal
 */
export class BudgetLedger {
  free: number;
  /** Permits in use, of all shares: connections at the upstream. */
  held = 0;
  /** Those who have something, the one whose turn has lasted longest first. */
  readonly holders = new Set<BudgetShare>();
  /** Those who have more than they are to have, until it has come back. */
  readonly giving = new Set<BudgetShare>();

  constructor(
    readonly max: number,
    private readonly clock: Clock,
  ) {
    this.free = max;
  }

  /**
   * The one door for what a pool may have: as much as is wished and there. Of what it has to give back, what is in use stays
   * reserved until it has come back.
   */
  assign(share: BudgetShare, wished: number): void {
    const target = Math.max(0, Math.min(wished, share.quota + this.free));
    const quota = Math.max(target, Math.min(share.occupied, share.quota));
    if (share.quota === quota && share.target === target) return;
    this.free += share.quota - quota;
    share.quota = quota;
    share.target = target;
    if (target === 0) this.holders.delete(share);
    else if (!this.holders.has(share)) this.beginTurn(share);
    this.noteGiving(share);
    share.apply();
  }

  /** Takes back what a pool has no use for. */
  settle(share: BudgetShare): void {
    share.refresh();
    this.assign(share, share.hasLeft ? 0 : Math.min(share.target, share.wanted));
  }

  /** Has a pool give one back, at the next chance. */
  askBack(share: BudgetShare): void {
    share.refresh();
    this.assign(share, share.target - 1);
    share.givingSince = this.clock.now();
  }

  /** One more, in place of a create that was given up and has not ended: if there is one, and within the pool's own maximum. */
  extend(share: BudgetShare): boolean {
    if (this.free === 0 || share.held >= share.limit) return false;
    this.free -= 1;
    share.quota += 1;
    this.noteGiving(share);
    return true;
  }

  /** The first connection of a turn was opened: the turn begins now, and not with the opening. */
  opened(share: BudgetShare): void {
    if (share.hasOpened) return;
    this.holders.delete(share);
    if (share.target > 0) this.beginTurn(share);
    share.hasOpened = true;
  }

  richest(): BudgetShare | undefined {
    let richest: BudgetShare | undefined;
    for (const share of this.holders) if (richest === undefined || share.target > richest.target) richest = share;
    return richest;
  }

  /** Permits that are to come back and have been for no longer than that. */
  comingBack(forMs: number): number {
    const since = this.clock.now() - forMs;
    let count = 0;
    for (const share of this.giving) if (share.givingSince > since) count += share.quota - share.target;
    return count;
  }

  private beginTurn(share: BudgetShare): void {
    share.turnSince = this.clock.now();
    share.hasOpened = false;
    this.holders.add(share);
  }

  private noteGiving(share: BudgetShare): void {
    if (share.quota <= share.target) this.giving.delete(share);
    else if (!this.giving.has(share)) {
      share.givingSince = this.clock.now();
      this.giving.add(share);
    }
  }
}
