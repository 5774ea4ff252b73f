import type { Outside } from './outside.js';

const MOST_KEPT = 1_000;

/** User code to be run. @internal */
export type Effect = (() => void) | { run(): void };

/**
 * User code that is due: hooks, listeners, aborts. A transition notes it here, and it runs once the state is whole; what
 * it does to the pool meanwhile is noted behind it and run by the same loop, so that nothing ever recurses.
 *
 * @internal
 */
export class Effects {
  private readonly queue: (Effect | undefined)[] = [];
  /** Those noted since the queue was last empty, and how many of them have begun: to cut the array each time costs more. */
  private noted = 0;
  private begun = 0;
  private isRunning = false;

  constructor(private readonly outside: Outside) {}

  get isEmpty(): boolean {
    return this.noted === 0;
  }

  /** Whether no other user code has run since the transition ended that noted it: then no time has passed. */
  get isFirst(): boolean {
    return this.begun === 1;
  }

  add(effect: Effect): void {
    this.queue[this.noted] = effect;
    this.noted += 1;
  }

  run(): void {
    if (this.isRunning || this.noted === 0) return;
    this.isRunning = true;
    try {
      this.outside.run(this.drain);
    } finally {
      this.isRunning = false;
    }
  }

  private readonly drain = (): void => {
    while (this.begun < this.noted) {
      const effect = this.queue[this.begun]!;
      this.queue[this.begun] = undefined;
      this.begun += 1;
      // No effect is meant to throw. One that does all the same stops those behind it, but not for good.
      if (typeof effect === 'function') effect();
      else effect.run();
    }
    this.noted = 0;
    this.begun = 0;
    // A storm leaves a long array behind, a quiet pool keeps a short one.
    if (this.queue.length > MOST_KEPT) this.queue.length = 0;
  };
}
