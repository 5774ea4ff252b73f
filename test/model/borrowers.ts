import { type AcquireOptions, type Lease, LeaseReleasedError } from 'nestjs-pools/core';
import { Expectations } from './expectations.js';
import type { Ask, Frame, Held } from './reference-model.js';
import { Refusals } from './refusals.js';
import type { Pooled } from './scripted-factory.js';
import type { World } from './world.js';

export interface AskFor {
  readonly timeoutMs?: number | undefined;
  readonly priority?: number | undefined;
  readonly signal?: 'live' | 'aborted' | undefined;
}

export type Work = 'returns' | 'throws' | 'holds';

class WorkError extends Error {}

/** Everybody who asks the pool for a connection, and what becomes of them. */
export class Borrowers {
  /** Leases that have ended, to be misused. */
  readonly ended: Held[] = [];
  /** Works of `use()` that wait to be told what to do. */
  readonly frames = new Set<Frame>();
  readonly expectations: Expectations;
  private readonly refusals: Refusals;
  private asked = 0;

  constructor(private readonly world: World) {
    this.expectations = new Expectations(world);
    this.refusals = new Refusals(world);
  }

  acquire(what: AskFor, frame?: Frame): void {
    const { pool } = this.world;
    const ask = this.ask(what, frame, false);
    this.world.write(`const a${ask.seq} = pool.acquire(${show(what)});`);
    pool.acquire(optionsOf(what, ask)).then(
      (lease) => this.lent(ask, lease, undefined),
      (error: unknown) => this.refused(ask, error),
    );
  }

  use(what: AskFor, work: Work, parent?: Frame): void {
    const { pool } = this.world;
    const ask = this.ask(what, parent, true);
    this.world.write(`const a${ask.seq} = pool.use(work('${work}')${show(what) && `, ${show(what)}`});`);
    const frame: Frame = { parent, lease: undefined, asks: new Set(), tell: () => undefined };
    const leave = (): void => {
      this.frames.delete(frame);
      const held = frame.lease;
      if (held !== undefined && this.world.model.leases.has(held) && !this.isOver(held)) this.noteReturn(held);
    };
    const body = (lease: Lease<Pooled>): number | Promise<number> => {
      frame.lease = this.lent(ask, lease, frame);
      if (work === 'holds') return this.obey(frame, ask.seq, leave);
      leave();
      if (work === 'throws') throw new WorkError();
      return ask.seq;
    };
    pool
      .use((_connection, lease) => body(lease), optionsOf(what, ask))
      .then(
        (result) => this.world.must(result === ask.seq, 'use() resolves to what its work returns'),
        (error: unknown) => {
          if (!(error instanceof WorkError)) this.refused(ask, error);
        },
      );
  }

  tryAcquire(): void {
    const { world } = this;
    const { model, now } = world;
    const mustServe = model.mustServe(now, world.hasCheck);
    // Inside a hook some have been served that have not heard of it yet: then the pool's own count is asked.
    const waiting = world.depth > 0 ? world.pool.stats().waiting : model.asks.size;
    const mustNot = waiting > 0 || model.isSuspended || model.phase === 'closed';
    const seq = (this.asked += 1);
    world.write(`const l${seq} = pool.tryAcquire();`);
    const wasNested = world.wasNested;
    const idleSince = model.nextIdleSince();
    const lease = world.pool.tryAcquire();
    if (lease !== undefined) {
      world.must(!mustNot, 'rule 4: tryAcquire() serves past waiters, a suspended or a closed pool');
      const held = this.hold(lease, `l${seq}`, undefined);
      const isFirst = held?.connection.idleSince === idleSince;
      if (mustServe && !world.wasNested) world.must(isFirst, `l${seq} is not the ${model.limits.order} one`);
    } else if (world.depth === 0 && !wasNested && !world.wasNested) {
      world.must(!mustServe, 'tryAcquire() yields nothing although a connection is idle');
    }
  }

  release(held: Held): void {
    this.world.write(`${held.name}.release();`);
    if (this.isOver(held)) return;
    if (!this.world.hasReset) this.expectations.handOver(held.connection);
    this.noteReturn(held);
    held.lease.release();
  }

  destroy(held: Held): void {
    this.world.write(`${held.name}.destroy();`);
    if (this.isOver(held)) return;
    this.noteReturn(held);
    held.connection.place = 'ending';
    held.lease.destroy(new Error('unfit'));
  }

  detach(held: Held): void {
    const { model, factory } = this.world;
    this.world.write(`${held.name}.detach();`);
    if (this.isOver(held)) return;
    this.noteEnd(held);
    model.counted.detached += 1;
    held.connection.place = 'detached';
    factory.known.delete(held.connection);
    const connection = held.lease.detach();
    this.world.must(connection === held.connection, 'detach() yields the connection of its lease');
  }

  /** Rule 6: gives back what was given back before. */
  misuse(held: Held, how: 'release' | 'destroy' | 'detach' | 'dispose'): void {
    const { world } = this;
    world.write(`${held.name}.${how === 'dispose' ? '[Symbol.dispose]' : how}(); // a second time`);
    const before = world.pool.stats();
    // A connection that was taken by force is expected to come back; that is no misuse.
    const counts = (how === 'release' || how === 'destroy') && !held.isTaken;
    if (counts) world.model.counted.misused += 1;
    try {
      if (how === 'dispose') held.lease[Symbol.dispose]();
      else held.lease[how]();
      world.must(how !== 'detach', 'rule 6: a lease is detached after its end');
    } catch (error) {
      world.must(how === 'detach' && error instanceof LeaseReleasedError, 'rule 6: a second return throws');
    }
    if (world.wasNested) return;
    const after = world.pool.stats();
    world.must(after.released === before.released && after.idleConnections === before.idleConnections, 'rule 6: no-op');
  }

  abort(ask: Ask): void {
    const { world } = this;
    world.write(`c${ask.seq}.abort();`);
    const before = world.pool.stats().waiting;
    ask.controller!.abort(new Error('enough'));
    // The pool lets it go at once. From inside a hook it may have been served already, although it has not heard of it.
    if (world.depth === 0 || world.pool.stats().waiting < before) ask.isAborted = true;
  }

  /** The pool takes a connection from its borrower: only a close that has waited long enough may do that. */
  taken(connection: Pooled): void {
    const { world } = this;
    const { model } = world;
    const held = [...model.leases].find((one) => one.connection === connection);
    world.must(model.closeDueAt <= world.now, `rule 2: #${connection.serial} is destroyed while it is lent`);
    if (held === undefined) return;
    held.isTaken = true;
    world.must(held.lease.signal.aborted, 'lease.signal is aborted before the connection is destroyed');
    this.noteEnd(held);
  }

  leaked({ id, heldMs, isReturned }: { id: number; heldMs: number; isReturned: boolean }): void {
    const { model, must } = { model: this.world.model, must: this.world.must.bind(this.world) };
    must(heldMs >= model.limits.leakWarnAfterMs, 'a leak is told before its time');
    if (isReturned) return;
    model.counted.leaks += 1;
    const held = [...model.leases].find((one) => one.id === id);
    if (held === undefined) return;
    held.warnings += 1;
    must(held.warnings === 1, 'a leak is told once');
  }

  private ask(what: AskFor, frame: Frame | undefined, isUse: boolean): Ask {
    const { world } = this;
    const { model, now } = world;
    const { timeoutMs = model.limits.acquireTimeoutMs, priority = 0, signal } = what;
    const controller = signal === undefined ? undefined : new AbortController();
    if (signal === 'aborted') controller!.abort(new Error('enough'));
    const ask: Ask = {
      seq: (this.asked += 1),
      priority,
      since: now,
      dueAt: now + timeoutMs,
      frame,
      step: world.step,
      isNested: world.depth > 0,
      isUse,
      controller,
      checksBefore: model.checks,
      ahead: model.asks.size,
      isAborted: signal === 'aborted',
      expected: undefined,
      idleSince: undefined,
    };
    this.expectations.asked(ask);
    model.isStarted = model.isStarted || (model.phase !== 'closed' && signal !== 'aborted');
    model.asks.add(ask);
    frame?.asks.add(ask);
    return ask;
  }

  private lent(ask: Ask, lease: Lease<Pooled>, frame: Frame | undefined): Held | undefined {
    const { world } = this;
    this.expectations.isInOrder(ask, 'is served');
    world.must(!this.expectations.wasOvertaken(ask), `rule 4: a${ask.seq} was overtaken`);
    world.must(!ask.isAborted, `rule 3: a${ask.seq} is served after its abort`);
    const mayLend = world.wasNested || !world.wasSuspended || !world.model.isSuspended;
    world.must(mayLend, 'a suspended pool lends');
    this.forget(ask);
    const held = this.hold(lease, `l${ask.seq}`, frame);
    this.expectations.settled(ask, held === undefined ? 'taken' : `#${held.connection.serial}`);
    const isFirst = ask.idleSince === undefined || held === undefined || held.connection.idleSince === ask.idleSince;
    world.must(
      isFirst || world.wasNested,
      `a${ask.seq} is lent another connection than the ${world.setup.limits.order} one`,
    );
    world.script.push(`const l${ask.seq} = await a${ask.seq};${held ? ` // #${held.connection.serial}` : ''}`);
    return held;
  }

  private hold(lease: Lease<Pooled>, name: string, frame: Frame | undefined): Held | undefined {
    const { world } = this;
    const { model, now } = world;
    model.counted.lent += 1;
    let connection: Pooled;
    try {
      ({ connection } = lease);
    } catch {
      world.must(model.closeDueAt <= now, 'rule 2: a lease is over before its borrower has it');
      return undefined;
    }
    const who = `#${connection.serial}`;
    world.must(connection.place === 'idle', `rule 2: ${who} is lent while it is ${connection.place}`);
    world.must(connection.generation >= world.generationBefore, `${who} is lent after retireAll()`);
    world.must(world.wasNested || !connection.isBroken, `${who} is lent although it is broken`);
    world.must(world.wasNested || !connection.isDead, `${who} is lent although it looks dead`);
    world.must(!world.hasCheck || !model.needsCheck(connection, now), `rule 8: ${who} is lent without its check`);
    connection.uses += 1;
    world.must(connection.uses <= model.limits.maxUses, `${who} is lent beyond maxUses`);
    world.must(lease.info.usageCount === connection.uses, `${who}: its usage is counted wrong`);
    connection.place = 'lent';
    const held: Held = { lease, connection, id: lease.info.id, since: now, frame, name, warnings: 0, isTaken: false };
    model.leases.add(held);
    return held;
  }

  private refused(ask: Ask, error: unknown): void {
    this.expectations.settled(ask, this.refusals.explain(ask, error));
    this.forget(ask);
  }

  /** Inside a hook: the pool has taken the connection by force and not destroyed it yet. */
  private isOver(held: Held): boolean {
    try {
      return held.lease.connection !== held.connection;
    } catch {
      this.world.must(
        this.world.model.closeDueAt <= this.world.now,
        'rule 2: a lease is over before its borrower ended it',
      );
      held.isTaken = true;
      this.noteEnd(held);
      held.lease.release();
      return true;
    }
  }

  private forget(ask: Ask): void {
    this.world.must(this.world.model.asks.delete(ask), `rule 3: a${ask.seq} settles twice`);
    ask.frame?.asks.delete(ask);
  }

  private noteReturn(held: Held): void {
    const { model, now } = this.world;
    this.noteEnd(held);
    model.counted.released += 1;
    held.connection.place = 'idle';
    held.connection.idleSince = now;
  }

  private noteEnd(held: Held): void {
    this.world.model.leases.delete(held);
    this.ended.push(held);
    if (this.ended.length > 20) this.ended.shift();
  }

  /** The work of a `use()` that stays and does what it is told. */
  private async obey(frame: Frame, seq: number, leave: () => void): Promise<number> {
    this.frames.add(frame);
    for (;;) {
      const order = await new Promise<string>((resolve) => (frame.tell = resolve));
      if (order === 'nest') this.acquire({}, frame);
      else if (order === 'nestUse') this.use({}, 'holds', frame);
      else {
        leave();
        if (order === 'throw') throw new WorkError();
        return seq;
      }
    }
  }
}

/** Nothing, for one who wants nothing special: the pool has a shorter way for those. */
function optionsOf({ timeoutMs, priority }: AskFor, { controller }: Ask): AcquireOptions | undefined {
  if (timeoutMs === undefined && priority === undefined && controller === undefined) return undefined;
  return {
    ...(timeoutMs === undefined ? {} : { acquireTimeoutMs: timeoutMs }),
    ...(priority === undefined ? {} : { priority }),
    ...(controller === undefined ? {} : { signal: controller.signal }),
  };
}

function show({ timeoutMs, priority, signal }: AskFor): string {
  const parts: string[] = [];
  if (timeoutMs !== undefined) parts.push(`acquireTimeoutMs: ${timeoutMs}`);
  if (priority !== undefined) parts.push(`priority: ${priority}`);
  if (signal !== undefined) parts.push(signal === 'live' ? 'signal' : 'signal: aborted');
  return parts.length === 0 ? '' : `{ ${parts.join(', ')} }`;
}
