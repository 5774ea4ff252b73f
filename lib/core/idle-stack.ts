import type { Slot } from './slot.js';

/**
 * Idle connections between a warm end, where they are put, and a cold one. A linked list through the slots, so that one
 * that dies or expires is taken out without a search.
 *
 * @internal
 */
export class IdleStack<T> {
  size = 0;
  private warmest: Slot<T> | undefined;
  private coldest: Slot<T> | undefined;

  constructor(private readonly order: 'lifo' | 'fifo') {}

  /** A connection that was just in use. */
  push(slot: Slot<T>): void {
    slot.colder = this.warmest;
    if (this.warmest === undefined) this.coldest = slot;
    else this.warmest.warmer = slot;
    this.warmest = slot;
    this.size += 1;
  }

  /** A connection that was only checked: it keeps its place among those that nobody needed. */
  pushCold(slot: Slot<T>): void {
    slot.warmer = this.coldest;
    if (this.coldest === undefined) this.warmest = slot;
    else this.coldest.colder = slot;
    this.coldest = slot;
    this.size += 1;
  }

  /** The next one to lend. It stays where it is. */
  peek(): Slot<T> | undefined {
    // Newest first: the cold tail can then expire after a burst.
    return this.order === 'lifo' ? this.warmest : this.coldest;
  }

  remove(slot: Slot<T>): void {
    const { colder, warmer } = slot;
    if (colder === undefined) this.coldest = warmer;
    else colder.warmer = warmer;
    if (warmer === undefined) this.warmest = colder;
    else warmer.colder = colder;
    slot.colder = undefined;
    slot.warmer = undefined;
    this.size -= 1;
  }
}
