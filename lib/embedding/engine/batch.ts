import type { Ticket } from './ticket.js';

/**
 * The texts of one request, and of those that it takes until each of them has its vector or its error.
 *
 * @internal
 */
export class Batch {
  /** What it is doing, for the error of a caller whose time is up. */
  doing = 'waiting for its turn';
  lastError: unknown = undefined;
  /** Answers whose vectors could not be told apart. */
  muddles = 0;
  private readonly controller = new AbortController();
  private wanted: number;

  constructor(readonly tickets: readonly Ticket[]) {
    this.wanted = tickets.length;
    for (const ticket of tickets) ticket.batch = this;
  }

  /** Aborts when nobody waits for any of it. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /**
   * Whether the server makes no sense whatever it is asked. As many muddled answers are put up with as it takes to find one
   * text that muddles it.
   */
  get isMuddled(): boolean {
    return this.muddles > Math.ceil(Math.log2(this.tickets.length)) + 1;
  }

  /** Nobody waits for one of its tickets any more. */
  lost(): void {
    this.wanted -= 1;
    if (this.wanted === 0) this.end(new Error('nobody waits for the vectors any more'));
  }

  /** One of its tickets has what it wanted. */
  served(): void {
    this.wanted -= 1;
  }

  end(reason: unknown): void {
    this.controller.abort(reason);
  }

  /** The latest time until which somebody waits for one of these. */
  static wantedUntil(tickets: readonly Ticket[]): number {
    return tickets.reduce((latest, ticket) => Math.max(latest, ticket.wantedUntil), 0);
  }
}
