import { BatchRoom } from '../batching/batch-room.js';
import type { CacheKeys } from '../cache/cache-key.js';
import type { EmbeddingInputType, EmbeddingLimits } from '../profiles/profile.js';
import type { Ticket } from './ticket.js';
import { TicketQueue } from './ticket-queue.js';

/** What texts must have in common to share a request. @internal */
export interface LaneSettings {
  readonly dimensions: number | undefined;
  readonly inputType: EmbeddingInputType | undefined;
  readonly extraBody: Readonly<Record<string, unknown>> | undefined;
  readonly tenant: string | undefined;
}

/**
 * While connections are free, texts are shared out among them, so that a few go as fast as many: but not to fewer than
 * these in a request, each of which costs both sides some tenths of a millisecond.
 */
const FEWEST = { alone: 4, bulk: 16 };

/** `embed()` calls in one request at most, in the interest of the first of them. */
const MOST_ALONE = 64;

/** @internal */
export interface LaneManners {
  /** `undefined`: none of its vectors is cached. */
  readonly cacheKeys: CacheKeys | undefined;
  /** Whether a request may hold the texts of several calls. */
  readonly mayShare: boolean;
  /** Whether a text that is queued or under way need not be sent once more. */
  readonly dedupe: boolean;
  /** Whether texts that were sent together may be sent apart. */
  readonly isDivisible: boolean;
}

/**
 * Texts that may share a request: of the same dimensions, input type, fields and tenant. Those of single calls go before
 * those of long lists, and share their requests where there is room.
 *
 * @internal
 */
export class Lane {
  /** How long vectors are: as asked for, else as the first answer had them. A model does not change its mind. */
  dimensions: number | undefined;
  /** Each text that is queued or under way, for those who come with the same. */
  private readonly underWay = new Map<string, Ticket>();
  private readonly alone = new TicketQueue();
  private readonly bulk = new TicketQueue();

  constructor(
    readonly settings: LaneSettings,
    private readonly manners: LaneManners,
  ) {
    this.dimensions = settings.dimensions;
  }

  /** Whether texts that were sent together may be sent apart. */
  get isDivisible(): boolean {
    return this.manners.isDivisible;
  }

  get cacheKeys(): CacheKeys | undefined {
    return this.manners.cacheKeys;
  }

  get hasAlone(): boolean {
    return this.alone.peek() !== undefined;
  }

  get isEmpty(): boolean {
    return this.alone.peek() === undefined && this.bulk.peek() === undefined;
  }

  /** Nothing queued and nothing under way. */
  get isIdle(): boolean {
    return this.underWay.size === 0 && this.isEmpty;
  }

  /** The same text, if it is queued or under way. */
  find(text: string): Ticket | undefined {
    return this.manners.dedupe ? this.underWay.get(text) : undefined;
  }

  add(ticket: Ticket, isAlone: boolean): void {
    if (this.manners.dedupe) this.underWay.set(ticket.text, ticket);
    (isAlone ? this.alone : this.bulk).push(ticket);
  }

  forget(ticket: Ticket): void {
    if (this.underWay.get(ticket.text) === ticket) this.underWay.delete(ticket.text);
  }

  /**
   * Tells those who are in a hurry that nothing will be sent for now.
   *
   * @returns whether there are others, who wait
   */
  refuse(error: Error): boolean {
    let others = false;
    for (const queue of [this.alone, this.bulk]) {
      for (const ticket of queue.waiting()) {
        if (ticket.owner.isPatient) others = true;
        else ticket.reject(error);
      }
    }
    return others;
  }

  /**
   * The texts of the next request.
   *
   * @param free how many requests could start now; 1: fill it up
   */
  take(limits: EmbeddingLimits, free: number): Ticket[] {
    const { mayShare } = this.manners;
    const isAlone = this.hasAlone;
    const queued = this.alone.length + this.bulk.length;
    const fewest = isAlone ? FEWEST.alone : FEWEST.bulk;
    const share = mayShare ? Math.max(fewest, Math.ceil(queued / free)) : Infinity;
    const most = Math.min(share, limits.maxInputs, isAlone ? MOST_ALONE : Infinity);
    const room = new BatchRoom({ ...limits, maxInputs: most });
    const tickets: Ticket[] = [];
    for (const queue of [this.alone, this.bulk]) {
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        if (!room.fits(next.tokens, next.bytes)) return tickets;
        if (!mayShare && tickets.length > 0 && tickets[0]!.owner !== next.owner) return tickets;
        queue.drop();
        room.add(next.tokens, next.bytes);
        tickets.push(next);
      }
    }
    return tickets;
  }
}
