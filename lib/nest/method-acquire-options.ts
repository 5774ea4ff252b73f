import type { AcquireOptions } from '../core/index.js';
import type { DecoratedMethod } from './decorated-method.js';
import { parameterNames } from './parameter-names.js';
import type { UsePoolOptions } from './use-pool-options.interface.js';

type FindSignal = (...args: unknown[]) => AbortSignal | undefined;

/**
 * What the calls of a method ask of the pool: the same each time, or each with the signal among its arguments.
 *
 * @internal
 */
export function acquireOptionsOf(
  place: DecoratedMethod,
  method: (...args: never[]) => unknown,
  { acquireTimeoutMs, priority, signal }: UsePoolOptions,
): (args: unknown[]) => AcquireOptions | undefined {
  if (signal === undefined) {
    // Nothing asked is the short way through the pool.
    const same = acquireTimeoutMs === undefined && priority === undefined ? undefined : { acquireTimeoutMs, priority };
    return () => same;
  }
  const find = typeof signal === 'function' ? signal : signalByName(place, method, signal);
  return (args) => ({ acquireTimeoutMs, priority, signal: find(...args) });
}

/** `'signal'`, or `'options.signal'`. */
function signalByName(place: DecoratedMethod, method: (...args: never[]) => unknown, path: string): FindSignal {
  const [parameter, ...properties] = path.split('.');
  const names = parameterNames(method);
  const index = names.indexOf(parameter);
  if (index < 0) {
    const there = names.filter((name) => name !== undefined).join(', ');
    throw place.error(
      `signal: it has no parameter "${parameter}", but (${there}). Correct the name; where a minifier changes names, give a ` +
        'function: { signal: (texts, signal) => signal }',
    );
  }
  return (...args) => {
    let value = args[index];
    for (const property of properties) value = (value as Record<string, unknown> | null | undefined)?.[property];
    return value as AbortSignal | undefined;
  };
}
