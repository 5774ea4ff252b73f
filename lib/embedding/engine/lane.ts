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

/** Texts of single calls, and those of lists. @internal */
export type QueueName = 'alone' | 'bulk';

/**
 * While connections are free, texts are shared out among them, so that a few go as fast as many: but not to fewer than
 * these in a request, each of which costs both sides some tenths of a millisecond.
 */
const FEWEST: Record<QueueName, number> = { alone: 4, bulk: 16 };

/** `embed()` calls in one request at most, in the interest of the first of them. */
const MOST_ALONE = 64;

const BOUNDLESS = { maxInputs: Infinity, maxTokens: Infinity, maxBytes: Infinity };

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
  private readonly queues: Readonly<Record<QueueName, TicketQueue>> = {
    alone: new TicketQueue(),
    bulk: new TicketQueue(),
  };

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

  /** The number of the text that has waited longest in this queue. */
  firstOf(queue: QueueName): number | undefined {
    return this.queues[queue].peek()?.number;
  }

  /** Nothing queued and nothing under way. */
  get isIdle(): boolean {
    return this.underWay.size === 0 && this.queues.alone.peek() === undefined && this.queues.bulk.peek() === undefined;
  }

  /** The same text, if it is queued or under way. */
  find(text: string): Ticket | undefined {
    return this.manners.dedupe ? this.underWay.get(text) : undefined;
  }

  add(ticket: Ticket, queue: QueueName): void {
    if (this.manners.dedupe) this.underWay.set(ticket.text, ticket);
    this.queues[queue].push(ticket);
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
    for (const queue of Object.values(this.queues)) {
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
   * @param first whose texts go before the others
   * @param free how many requests could start now; 1: fill it up
   */
  take(limits: EmbeddingLimits, first: QueueName, free: number): Ticket[] {
    const { mayShare, isDivisible } = this.manners;
    const { alone, bulk } = this.queues;
    const isAlone = first === 'alone';
    const share = mayShare ? Math.max(FEWEST[first], Math.ceil((alone.length + bulk.length) / free)) : Infinity;
    const maxInputs = Math.min(share, limits.maxInputs, isAlone ? MOST_ALONE : Infinity);
    // What may not be sent apart goes as it came: it is for the server to say that it is too much.
    const room = new BatchRoom(isDivisible ? { ...limits, maxInputs } : BOUNDLESS);
    const tickets: Ticket[] = [];
    for (const queue of isAlone ? [alone, bulk] : [bulk, alone]) {
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
