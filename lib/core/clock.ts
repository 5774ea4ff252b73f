import { hrtime } from 'node:process';

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

/** The longest delay that a platform timer takes; beyond it a timer must wake, find nothing due, and be set again. @internal */
export const MAX_DELAY_MS = 2 ** 31 - 1;

/** `hrtime()` counts from another moment than `performance.now()`; what lies between them never changes. */
const ORIGIN_MS = performance.now() - sinceBoot();

/**
 * The machine's monotonic clock, on the scale of `performance.now()`: a system clock that is set, or leaps, has no effect
 * on it. Read by `hrtime()`, which is the cheapest, and two readings are half of what a lease costs.
 *
 * @publicApi
 */
export const systemClock: Clock = {
  now: () => ORIGIN_MS + sinceBoot(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

function sinceBoot(): number {
  // By index: to destructure costs a third more.
  const time = hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

/** How far the calendar is ahead of a clock's reading. It grows while the machine sleeps, for the monotonic clock sleeps too. @internal */
export function calendarAhead(now: number): number {
  return Date.now() - now;
}

/** The calendar's time so many milliseconds from now, for what people read. @internal */
export function dateIn(ms: number): Date {
  return new Date(Date.now() + ms);
}
