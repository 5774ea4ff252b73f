import type { Clock } from './clock.js';
import type { Deadlines } from './deadlines.js';
import type { Effects } from './effects.js';
import type { PoolEvents } from './pool-events.js';
import type { PoolCounters } from './pool-stats.js';
import type { TurnClock } from './turn-clock.js';

/** What the parts of a pool share. @internal */
export interface PoolParts {
  readonly clock: Clock;
  readonly turn: TurnClock;
  readonly deadlines: Deadlines;
  readonly effects: Effects;
  readonly events: PoolEvents;
  readonly counters: PoolCounters;
}
