import type { Outside } from './outside.js';

/**
 * User code that is due: hooks, listeners, aborts. A transition notes it here, and it runs once the state is whole; what
 * it does to the pool meanwhile is noted behind it and run by the same loop, so that nothing ever recurses.
 *
 * @internal
 */
export class Effects {
  private readonly queue: (() => void)[] = [];
  private next = 0;
  private isRunning = false;

  constructor(private readonly outside: Outside) {}

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  add(effect: () => void): void {
    this.queue.push(effect);
  }

  run(): void {
    if (this.isRunning || this.queue.length === 0) return;
    this.isRunning = true;
    this.next = 0;
    try {
      this.outside.run(this.drain);
    } finally {
      // No effect is meant to throw. One that does all the same must not stop those behind it for good.
      if (this.next === this.queue.length) this.queue.length = 0;
      else this.queue.splice(0, this.next);
      this.isRunning = false;
    }
  }

  private readonly drain = (): void => {
    while (this.next < this.queue.length) this.queue[this.next++]!();
  };
}
