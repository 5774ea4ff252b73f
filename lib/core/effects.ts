/**
 * User code that is due: hooks, listeners, aborts. A transition notes it here, and it runs once the state is whole; what
 * it does to the pool meanwhile is noted behind it and run by the same loop, so that nothing ever recurses.
 *
 * @internal
 */
export class Effects {
  private readonly queue: (() => void)[] = [];
  private isRunning = false;

  /**
   * @param outside runs user code in the context of whoever made the pool, so that a connection never keeps a request's
   * AsyncLocalStorage store alive.
   */
  constructor(private readonly outside: (work: () => void) => void) {}

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  add(effect: () => void): void {
    this.queue.push(effect);
  }

  run(): void {
    if (this.isRunning || this.queue.length === 0) return;
    this.isRunning = true;
    let next = 0;
    try {
      this.outside(() => {
        while (next < this.queue.length) this.queue[next++]!();
      });
    } finally {
      // No effect is meant to throw. One that does all the same must not stop those behind it for good.
      if (next === this.queue.length) this.queue.length = 0;
      else this.queue.splice(0, next);
      this.isRunning = false;
    }
  }
}
