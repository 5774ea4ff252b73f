import type { ConnectionPool, PoolDefinition, PoolLimits } from '../core/index.js';

/**
 * Makes the pool of a definition, as an application wants it: opens nothing.
 *
 * @throws {@link PoolOptionsError} for limits that cannot work
 * @internal
 */
export function makePool<T, P extends ConnectionPool<T>>(name: string, definition: PoolDefinition<T, P>): P {
  return definition.createPool({ ...nestDefaults(), ...definition.limits, name, factory: definition.factory });
}

/**
 * What an application wants of every pool and a bare one does not do: to hear of leases that are forgotten, and get their
 * connections back; outside production also where they were acquired, and of work that waits for itself.
 *
 * @internal
 */
export function nestDefaults(): PoolLimits {
  const isProduction = process.env.NODE_ENV === 'production';
  return {
    leakWarnAfterMs: 60_000,
    leakStackSampleRate: isProduction ? 0 : 1,
    reclaimLeaked: true,
    detectDeadlock: !isProduction,
  };
}
