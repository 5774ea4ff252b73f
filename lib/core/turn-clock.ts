import { type Clock, systemClock } from './clock.js';

/** How often one reading may be used again, so that work which keeps the turn long cannot make it old. */
const MOST_USES = 4;

const settled = Promise.resolve();

/**
 * Reads the clock once for much that happens at once: a burst of acquires, or a crowd of tasks that hand connections on to
 * each other, all in one turn of microtasks. A reading costs as much as half of what the pool does with it. Node's own
 * timers are as exact: they count from the beginning of a turn.
 *
 * A clock of somebody else's making is always read: it may move in the middle of a turn.
 *
 * @internal
 */
export class TurnClock {
  /** The last reading. */
  reading = 0;
  private usesLeft = 0;

  constructor(private readonly clock: Clock) {}

  /** The time as it is. */
  fresh(): number {
    return (this.reading = this.clock.now());
  }

  /** The time of this turn: for who has to wait, or gives back to somebody who waits. */
  now(): number {
    if (this.usesLeft === 0) {
      this.usesLeft = this.clock === systemClock ? MOST_USES : 1;
      this.reading = this.clock.now();
      if (this.usesLeft > 1) void settled.then(this.forget);
    }
    this.usesLeft -= 1;
    return this.reading;
  }

  private readonly forget = (): void => {
    this.usesLeft = 0;
  };
}
