import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

export const ok = (saw) => ({ is: 'ok', saw });
export const partial = (saw) => ({ is: 'partial', saw });
export const fails = (saw) => ({ is: 'fails', saw });

/** How a promise has ended after so long: `resolved`, `rejected` or still `pending`. Its rejection counts as handled. */
export async function settled(promise, withinMs) {
  const since = performance.now();
  const outcome = { is: 'pending' };
  const end = promise.then(
    (value) => Object.assign(outcome, { is: 'resolved', value, tookMs: performance.now() - since }),
    (error) => Object.assign(outcome, { is: 'rejected', error, tookMs: performance.now() - since }),
  );
  const patience = new AbortController();
  await Promise.race([end, sleep(withinMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
  patience.abort();
  return outcome;
}

/** Looks every few milliseconds whether something has come about; false if it has not by then. */
export async function comesAbout(isSo, withinMs) {
  for (const since = performance.now(); !isSo(); await sleep(5)) {
    if (performance.now() - since > withinMs) return false;
  }
  return true;
}

/** What a call does at once: its promise, or what it throws instead of giving one. */
export function tryCall(call) {
  try {
    return { promise: Promise.resolve(call()) };
  } catch (thrown) {
    return { thrown, promise: Promise.reject(thrown) };
  }
}

/** Opens a pool with hooks that do nothing unless they are given. */
export function opener(pool) {
  return (hooks = {}, wishes = {}) => {
    const brokenBy = new Map();
    const { create = async () => ({}), check = () => true, reset = () => undefined, destroy = () => undefined } = hooks;
    const tell = (resource, context) => {
      if (context !== undefined) brokenBy.set(resource, context.broken);
      return resource;
    };
    const whole = {
      brokenBy,
      check,
      reset,
      destroy,
      create: (context) => {
        const created = create(context);
        return typeof created?.then === 'function' ? created.then((one) => tell(one, context)) : tell(created, context);
      },
    };
    return pool.open(whole, { max: 1, min: 0, acquireTimeoutMs: 400, ...wishes });
  };
}

export const down = () => Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
