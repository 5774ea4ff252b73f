import type { Ask } from './reference-model.js';
import type { Pooled } from './scripted-factory.js';
import type { World } from './world.js';

/** What must come of acquires by the end of a step, as the model foresees it, and what did. */
export class Expectations {
  private readonly expecting: { readonly ask: Ask; readonly connection: Pooled | undefined }[] = [];
  private readonly outcomes = new Map<Ask, string>();
  private readonly overtaken = new Set<Ask>();

  constructor(private readonly world: World) {}

  /** A new acquire, before the pool hears of it. */
  asked(ask: Ask): void {
    if (this.world.depth > 0) return;
    ask.expected = this.foresee(ask);
    if (ask.expected !== undefined) this.expecting.push({ ask, connection: undefined });
  }

  /** What came of it: a connection's number as `#1`, or an error's code. */
  settled(ask: Ask, outcome: string): void {
    this.outcomes.set(ask, outcome);
  }

  wasOvertaken(ask: Ask): boolean {
    return this.overtaken.has(ask) && ask.step !== this.world.step;
  }

  /** Compares what the model foresaw for this step with what came of it. */
  check(): void {
    const { world } = this;
    for (const { ask, connection } of this.expecting.splice(0)) {
      const outcome = this.outcomes.get(ask) ?? 'nothing';
      if (world.wasNested) continue;
      const wanted = ask.expected === 'lease' && connection !== undefined ? `#${connection.serial}` : ask.expected;
      const isMet =
        wanted === outcome ||
        ((wanted ?? 'settled') === 'settled' && outcome !== 'nothing') ||
        (wanted === 'lease' && outcome.startsWith('#'));
      world.must(isMet, `a${ask.seq}: expected ${wanted}, got ${outcome}`);
    }
    this.outcomes.clear();
    for (const ask of this.overtaken) world.must(!world.model.asks.has(ask), `rule 4: a${ask.seq} was overtaken`);
    this.overtaken.clear();
  }

  /** Rule 4: whoever is served, or told of a failed create, was the first in the queue. */
  isInOrder(ask: Ask, what: string): void {
    for (const late of this.world.model.overtaken(ask, this.world.step)) {
      // It may have been refused already and not have heard of it; then it settles within this step, without a lease.
      if (late.isUse) this.overtaken.add(late);
      // Served from inside its own call, it hears after those who listen already. It does hear within this step.
      else if (late.step === this.world.step) this.expecting.push({ ask: late, connection: undefined });
      else this.world.must(false, `rule 4: a${ask.seq} ${what} before a${late.seq}`);
    }
  }

  /** Rule 7: a connection that becomes free, returned, opened, checked or reset, goes to the oldest waiter at once. */
  handOver(connection: Pooled): void {
    const { world } = this;
    const { model, now } = world;
    const { head } = model;
    if (head === undefined || world.depth > 0 || model.isSuspended || model.mayBeSurplus) return;
    if (!model.isGood(connection, now) || connection.isDead) return;
    // Also one whose time is over already, as long as nobody has told it so: rule 8.
    head.expected = 'lease';
    this.expecting.push({ ask: head, connection });
  }

  /** What must come of an acquire at once; nothing, when that depends. */
  private foresee(ask: Ask): Ask['expected'] {
    const { model, now, hasCheck } = this.world;
    if (ask.isAborted) return model.phase === 'closed' ? 'settled' : 'POOL_ACQUIRE_ABORTED';
    if (model.phase === 'closed') return 'POOL_CLOSED';
    if (model.mustServe(now, hasCheck)) {
      ask.idleSince = model.nextIdleSince();
      return 'lease';
    }
    if (ask.dueAt === now) return 'settled';
    const mayQueue = model.asks.size < model.limits.maxWaiting && !model.isSuspended;
    if (!model.limits.detectDeadlock || !mayQueue) return undefined;
    const { totalConnections, maxConnections, down } = this.world.lastStats;
    const isStuck = !down && totalConnections >= maxConnections && totalConnections === model.leases.size;
    return isStuck && model.isCircle([...model.asks, ask]) ? 'POOL_DEADLOCK' : undefined;
  }
}
