import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events';

/**
 * Listens to somebody else's signal.
 *
 * One signal over many acquires is how a request, or a shutdown, ends all it has started; Node takes more than ten
 * listeners on it for a leak and says so on stderr. Ours are always removed, so the limit is lifted unless its owner set one.
 *
 * @internal
 */
export function listenToAbort(signal: AbortSignal, listener: EventListenerObject): void {
  // Infinity and not 0, which means the same: Node's own getMaxListeners() fails on a target whose limit is 0.
  if (maxListenersOf(signal) === defaultMaxListeners) setMaxListeners(Infinity, signal);
  signal.addEventListener('abort', listener);
}

/** What `addEventListener` takes besides a function, without the DOM's types. @internal */
export interface EventListenerObject {
  handleEvent(): void;
}

function maxListenersOf(signal: AbortSignal): number | undefined {
  try {
    return getMaxListeners(signal);
  } catch {
    // Its owner has set 0, or it is a signal of somebody else's making that warns of nothing.
    return undefined;
  }
}

/**
 * Ends as `work` does; from the moment that it calls `begun`, also with the signal's reason as soon as that aborts. What it
 * still has to undo then goes on without the caller, who need not wait for a server that has stopped answering.
 *
 * @internal
 */
export function tellingAtOnce<R>(signal: AbortSignal | undefined, work: (begun: () => void) => Promise<R>): Promise<R> {
  if (signal === undefined) return work(() => {});
  return new Promise((resolve, reject) => {
    const abort = { handleEvent: () => reject(signal.reason as Error) };
    work(() => listenToAbort(signal, abort))
      .finally(() => signal.removeEventListener('abort', abort))
      .then(resolve, reject);
  });
}
