import { Deadline } from './deadlines.js';
import type { Lease } from './lease.js';
import type { DestroyCause } from './pool-stats.js';

/**
 * What may become of a connection: creating → idle ⇄ active → destroying → gone, with checking between idle and active
 * both ways (health check on the way out, reset on the way back). Numbers, because they index the pool's counts.
 *
 * @internal
 */
export enum SlotState {
  creating,
  idle,
  checking,
  active,
  destroying,
  gone,
}

/**
 * The pool's private record of one connection. It is in exactly one place: the idle stack when idle, a lease when
 * active, a hook's call when creating, checking or destroying.
 *
 * Its deadline is the next time that somebody should look at it: see `SlotSet.lookAfter`.
 *
 * @internal
 */
export class Slot<T> extends Deadline {
  state: SlotState = SlotState.creating;
  connection: T | undefined = undefined;
  createdAt = 0;
  /** End of its lifetime, jitter included. */
  expiresAt = Infinity;
  idleSince = 0;
  /** When it last passed a health check. */
  provenAt = 0;
  /** How long it may go unproven; each slot has a slightly different one, so that checks are spread. */
  checkEveryMs = Infinity;
  lastUsedAt = 0;
  usageCount = 0;
  /** Why it must not be lent again. Marked now, destroyed at the next safe point. */
  doom: DestroyCause | undefined = undefined;
  brokenBy: unknown = undefined;
  /** How to tell the borrower that its connection is lost, once it has asked for a signal; and what it is told. */
  borrower: AbortController | undefined = undefined;
  lost: Error | undefined = undefined;
  /** Who holds it, where forgotten leases are looked for; after a while weakly, so that the pool keeps none of them alive. */
  lease: Lease<T> | WeakRef<Lease<T>> | undefined = undefined;
  /** Where it was acquired, if that was sampled. */
  acquiredAt: StackHolder | undefined = undefined;
  isLeakTold = false;
  /** The hook that is running on it. */
  call: { cancel(reason: unknown): void; giveUp(reason: unknown): void } | undefined = undefined;

  colder: Slot<T> | undefined = undefined;
  warmer: Slot<T> | undefined = undefined;

  constructor(
    readonly id: number,
    /** Those opened before the last change of generation are not lent any more. */
    readonly generation: number,
    private readonly look: (slot: Slot<T>, now: number) => void,
  ) {
    super();
  }

  expire(now: number): void {
    this.look(this, now);
  }
}

/** An error, or what `Error.captureStackTrace` was given: the stack is put into words when it is first read. @internal */
export interface StackHolder {
  readonly stack?: string;
}

/**
 * A pooled connection as users see it, at the moment of asking. Times are on the pool's clock (`performance.now()`
 * unless another was given).
 *
 * @publicApi
 */
export interface ConnectionInfo {
  /** Unique in its pool, counted from 1. */
  readonly id: number;
  readonly createdAt: number;
  /** When it was lent last. */
  readonly lastUsedAt: number;
  /** How often it was lent, this time included. */
  readonly usageCount: number;
}

/** @internal */
export function infoOf({ id, createdAt, lastUsedAt, usageCount }: ConnectionInfo): ConnectionInfo {
  return { id, createdAt, lastUsedAt, usageCount };
}
