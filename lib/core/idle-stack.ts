import type { Slot } from './slot.js';

const MAX_STEPS = 16;

/**
 * Idle connections in the order of their idle times, from a warm end to a cold one. A linked list through the slots, so
 * that one that dies or expires is taken out without a search.
 *
 * @internal
 */
export class IdleStack<T> {
  size = 0;
  /** The one idle longest. */
  coldest: Slot<T> | undefined;
  private warmest: Slot<T> | undefined;

  constructor(private readonly order: 'lifo' | 'fifo') {}

  /** Puts a connection where its idle time belongs: one just in use at the warm end, one that was only checked back among its like. */
  put(slot: Slot<T>): void {
    const { warmest } = this;
    if (warmest === undefined || slot.idleSince >= warmest.idleSince) return this.insert(slot, warmest, undefined);
    // One that was only checked is cold, so its place is near that end. A few steps from it a better one is not worth a
    // search: with thousands idle, which of two cold ones goes first is all the same.
    let warmer = this.coldest!;
    for (let steps = 0; steps < MAX_STEPS && warmer.idleSince < slot.idleSince; steps += 1) warmer = warmer.warmer!;
    this.insert(slot, warmer.colder, warmer);
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

  /** From the coldest on, as they are now. */
  list(): Slot<T>[] {
    const all: Slot<T>[] = [];
    for (let slot = this.coldest; slot !== undefined; slot = slot.warmer) all.push(slot);
    return all;
  }

  private insert(slot: Slot<T>, colder: Slot<T> | undefined, warmer: Slot<T> | undefined): void {
    slot.colder = colder;
    slot.warmer = warmer;
    if (colder === undefined) this.coldest = slot;
    else colder.warmer = slot;
    if (warmer === undefined) this.warmest = slot;
    else warmer.colder = slot;
    this.size += 1;
  }
}
