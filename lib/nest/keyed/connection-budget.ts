import type { Clock, ClockTimer } from '../../core/index.js';
import type { Outside } from '../../core/outside.js';
import { BudgetLedger } from './budget-ledger.js';
import { BudgetShare, type ShareOwner } from './budget-share.js';

/**
 * Where more pools want connections than there are, they take turns, and everyone's comes round in about this time. What was
 * asked back and has not come by then is no longer counted on, and another pool is asked too.
 */
const TURN_MS = 1_000;

/**
 * A bound on the connections of many pools together, at the upstream's side, and whose turn it is.
 *
 * A pool has what it uses and no more, so that nothing lies about reserved. One that could use more is hungry, and gets
 *
 * 1. what is free, one at a time: the poorest first, and of equals the one that has been hungry for longest;
 * 2. what others do not use: an idle connection is closed, of the pool that was left alone for longest;
 * 3. by force, one of the richest pool's, as long as that stays at least as rich. The next connection that comes back to it
 *    is closed. By each step the two come nearer to each other, so nothing ever goes back the same way;
 * 4. where nobody has more than one, that of the pool whose turn has lasted longest, once it is over.
 *
 * Nobody waits here: acquires wait in the queue of their own pool, by their own deadlines.
 *
 * While nobody is hungry, an event costs constant time. While somebody is, all that happens in one turn of microtasks is
 * looked at together.
 *
 * @internal
 */
export class ConnectionBudget implements ShareOwner {
  private readonly ledger: BudgetLedger;
  /** Those who could use more, the one that has been hungry for longest first. */
  private readonly hungry = new Set<BudgetShare>();
  /** Those who may have something to spare, the one that was left alone for longest first. */
  private readonly stirred = new Set<BudgetShare>();
  private isScheduled = false;
  /** Set while somebody is hungry, for when more can be asked back. */
  private timer: ClockTimer | undefined;

  constructor(
    max: number,
    private readonly clock: Clock,
    private readonly outside: Outside,
  ) {
    this.ledger = new BudgetLedger(max, clock);
  }

  get held(): number {
    return this.ledger.held;
  }

  /** How many pools wait for what others have. */
  get starving(): number {
    return this.hungry.size;
  }

  join(): BudgetShare {
    return new BudgetShare(this);
  }

  /** A pool is being closed. Its connections count until they are gone. */
  leave(share: BudgetShare): void {
    share.leave();
    this.stirred.delete(share);
    this.hungry.delete(share);
    this.heed(share);
  }

  /** Its pool is closed. A create that was given up may have a permit still. */
  ended(share: BudgetShare): void {
    share.ended();
    this.heed(share);
  }

  // ---- what pools tell

  use(more: number): void {
    this.ledger.held += more;
  }

  /** Else a pool could not tell an acquire that a new connection will serve from one too many to wait. */
  expect(share: BudgetShare): void {
    if (share.target >= share.limit || this.ledger.free === 0 || this.hungry.size > 0) return;
    share.refresh();
    const isServed = share.spare > 0 || share.wanted < share.target;
    if (!isServed && share.wanted < share.limit) this.ledger.assign(share, share.wanted + 1);
  }

  heed(share: BudgetShare): void {
    this.ledger.settle(share);
    if (share.hasLeft || this.noteHunger(share)) this.schedule();
    else this.stir(share);
  }

  stir(share: BudgetShare): void {
    if (share.hasLeft) return;
    this.stirred.delete(share);
    this.stirred.add(share);
    if (this.hungry.size > 0) this.schedule();
  }

  opened(share: BudgetShare): void {
    this.ledger.opened(share);
    this.heed(share);
  }

  extend(share: BudgetShare): boolean {
    return this.hungry.size === 0 && this.ledger.extend(share);
  }

  /** Whether it is hungry, or was. */
  private noteHunger(share: BudgetShare): boolean {
    share.need = share.lack;
    if (share.need === 0) return this.hungry.delete(share);
    this.hungry.add(share);
    return true;
  }

  // ---- giving and taking

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    queueMicrotask(this.balance);
  }

  private readonly balance = (): void => {
    const { ledger, hungry } = this;
    this.isScheduled = false;
    this.stopTimer();
    do {
      this.feed();
      this.collect();
      this.takeByForce();
    } while (hungry.size > 0 && ledger.free > 0);
    if (hungry.size > 0) this.startTimer();
    else this.pardon();
  };

  private feed(): void {
    for (let share = this.poorest(); share !== undefined; share = this.poorest()) {
      share.refresh();
      // One who was to give, and is now the next to get, keeps what he still has.
      if (this.ledger.free === 0 && Math.min(share.living, share.quota) <= share.target) return;
      // Behind the others, if it is still hungry: each gets one before anybody gets two.
      this.hungry.delete(share);
      if (share.lack > 0) this.ledger.assign(share, share.target + 1);
      this.noteHunger(share);
    }
  }

  private poorest(): BudgetShare | undefined {
    let poorest: BudgetShare | undefined;
    for (const share of this.hungry) {
      if (poorest === undefined || share.target < poorest.target) poorest = share;
      if (share.target === 0) break;
    }
    return poorest;
  }

  /** Has pools close what they do not use, as far as that is needed. */
  private collect(): void {
    const { ledger } = this;
    if (this.hungry.size === 0) return;
    let missing = -ledger.comingBack(TURN_MS);
    for (const share of this.hungry) missing += share.need;
    for (const share of this.stirred) {
      if (missing <= ledger.free) return;
      ledger.settle(share);
      const spare = Math.max(0, share.spare - Math.max(0, share.living - share.target));
      const taken = Math.min(spare, missing - ledger.free);
      if (taken >= spare) this.stirred.delete(share);
      if (taken <= 0) continue;
      missing -= taken;
      ledger.assign(share, Math.min(share.target, share.living) - taken);
    }
  }

  private takeByForce(): void {
    const { ledger } = this;
    let coming = ledger.comingBack(TURN_MS);
    while (ledger.free === 0 && this.hungry.size > 0) {
      const richest = ledger.richest();
      // Who has no more than this may take from the richest. Below 0, nobody has more than one.
      const level = (richest?.target ?? 0) - 2;
      let claims = 0;
      for (const share of this.hungry) {
        if (share.target <= Math.max(level, 0) && share.quota === share.target) claims += 1;
      }
      if (claims <= coming) return;
      const victim = level >= 0 ? richest : this.turnIsOver();
      if (victim === undefined) return;
      // Whatever it is hungry for, it has had its turn.
      this.hungry.delete(victim);
      ledger.askBack(victim);
      this.noteHunger(victim);
      coming += 1;
    }
  }

  /**
   * The first whose turn is over. One whose connection is still being opened has had none: it would be closed before it was of
   * use to anybody. One that has none at all, because its creates fail, has had enough.
   */
  private turnIsOver(): BudgetShare | undefined {
    const since = this.clock.now() - this.turnMs();
    for (const share of this.ledger.holders) {
      if (share.turnSince > since) continue;
      share.refresh();
      if (share.active > 0 || share.living === 0) return share;
    }
    return undefined;
  }

  private turnMs(): number {
    const { max, holders } = this.ledger;
    let wanting = holders.size;
    for (const share of this.hungry) if (share.target === 0) wanting += 1;
    return (TURN_MS * max) / Math.max(wanting, max);
  }

  /** Nobody needs any more what was asked back. */
  private pardon(): void {
    for (const share of this.ledger.giving) {
      if (share.hasLeft) continue;
      share.refresh();
      const target = Math.min(share.living, share.quota, share.limit);
      if (target > share.target) this.ledger.assign(share, target);
    }
  }

  private startTimer(): void {
    const now = this.clock.now();
    const turnMs = this.turnMs();
    let dueAt = Infinity;
    const look = (at: number): void => void (at > now && at < dueAt && (dueAt = at));
    for (const share of this.ledger.giving) look(share.givingSince + TURN_MS);
    for (const share of this.ledger.holders) look(share.turnSince + turnMs);
    if (dueAt === Infinity) return;
    this.outside.run(() => {
      this.timer = this.clock.setTimeout(this.balance, Math.ceil(dueAt - now));
      this.timer.unref?.();
    });
  }

  private stopTimer(): void {
    if (this.timer !== undefined) this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }
}
