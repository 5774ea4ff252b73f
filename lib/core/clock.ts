/**
 * A timer that a {@link Clock} has set.
 *
 * `unref` lets the process end although the timer is pending, `ref` takes that back. A clock whose timers have neither
 * never keeps a process alive.
 *
 * @publicApi
 */
export interface ClockTimer {
  ref?(): unknown;
  unref?(): unknown;
}

/**
 * Time as a parameter: what a pool asks for the time and for its one timer.
 *
 * @publicApi
 */
export interface Clock {
  /** Milliseconds that never run backwards. Only differences between two readings mean anything. */
  now(): number;
  /** Calls `callback` once, `delayMs` milliseconds from now. A pool never asks for more than 2³¹−1. */
  setTimeout(callback: () => void, delayMs: number): ClockTimer;
  /** Forgets a timer; one that fired already is fine. */
  clearTimeout(timer: ClockTimer): void;
}

/**
 * The machine's monotonic clock: a system clock that is set, or leaps, has no effect on it.
 *
 * @publicApi
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};
