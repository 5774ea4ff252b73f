import { listenToAbort } from './abort-listening.js';
import { systemClock } from './clock.js';

/** The pause before the first repetition at most, and how it grows. Conflicts pass within the time that a transaction takes. */
const PAUSE = { initialMs: 10, mostMs: 500, factor: 2 } as const;
const REPETITIONS_BY_DEFAULT = 10;

/**
 * Does a transaction again when its server gave it up for another one's sake, each time after a pause in which the others go
 * first. Rejects with the last failure, or with the signal's reason when that aborts in a pause.
 *
 * @param most how often; `true` for 10 times
 * @internal
 */
export async function repeating<R>(
  run: () => Promise<R>,
  isConflict: (error: object) => boolean,
  most: number | boolean,
  signal: AbortSignal | undefined,
): Promise<R> {
  const repetitions = most === true ? REPETITIONS_BY_DEFAULT : Number(most);
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= repetitions || signal?.aborted || !isCausedBy(error, isConflict)) throw error;
      await pause(Math.random() * Math.min(PAUSE.mostMs, PAUSE.initialMs * PAUSE.factor ** attempt), signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = {
      handleEvent: (): void => {
        systemClock.clearTimeout(timer);
        reject(signal!.reason as Error);
      },
    };
    const timer = systemClock.setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    if (signal !== undefined) listenToAbort(signal, abort);
  });
}

/** Also where a query builder has wrapped the error. */
function isCausedBy(error: unknown, isIt: (error: object) => boolean): boolean {
  for (let cause = error, depth = 0; typeof cause === 'object' && cause !== null && depth < 5; depth += 1) {
    if (isIt(cause)) return true;
    cause = (cause as { readonly cause?: unknown }).cause;
  }
  return false;
}
