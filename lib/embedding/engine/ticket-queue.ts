import type { Ticket } from './ticket.js';

/** So many dead places at its beginning, and the queue is moved up. */
const SLACK = 1_024;

/**
 * Tickets in the order in which they came. One that nobody waits for any more is passed over when its turn comes.
 *
 * @internal
 */
export class TicketQueue {
  private items: Ticket[] = [];
  private head = 0;

  /** With those that nobody waits for any more. */
  get length(): number {
    return this.items.length - this.head;
  }

  push(ticket: Ticket): void {
    this.items.push(ticket);
  }

  /** The next one that somebody waits for. */
  peek(): Ticket | undefined {
    while (this.head < this.items.length) {
      const ticket = this.items[this.head]!;
      if (ticket.isWanted && !ticket.isSettled) return ticket;
      this.head += 1;
    }
    this.clear();
    return undefined;
  }

  /** Takes what {@link peek} has shown. */
  drop(): void {
    this.head += 1;
    if (this.head < this.items.length) {
      // Else a queue that never runs empty would keep all that has ever been in it.
      if (this.head >= SLACK && this.head * 2 >= this.items.length) {
        this.items = this.items.slice(this.head);
        this.head = 0;
      }
      return;
    }
    this.clear();
  }

  /** All that somebody waits for. */
  waiting(): Ticket[] {
    return this.items.slice(this.head).filter((ticket) => ticket.isWanted && !ticket.isSettled);
  }

  private clear(): void {
    this.items.length = 0;
    this.head = 0;
  }
}
