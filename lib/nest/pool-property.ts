import 'reflect-metadata';
import { Inject } from '@nestjs/common';
import type { ConnectionPool } from '../core/index.js';
import { onlyRegistry, type PoolRegistry } from './pool.registry.js';
import { getPoolToken } from './pool.tokens.js';

type WithPools = Record<symbol, ConnectionPool<unknown> | undefined>;

/** Hidden properties of classes whose methods use pools, by prototype and name of the pool. */
const properties = new WeakMap<object, Map<string, symbol>>();

/**
 * Has Nest inject a pool into a hidden property of a class's instances; so that a pool which no module registers stops the
 * boot, and not the first call.
 *
 * @param title what asks for it, for Nest's message when there is no such pool
 * @returns finds the pool of an instance
 * @internal
 */
export function injectedPool(
  prototype: object,
  name: string,
  title: string,
): (self: unknown) => ConnectionPool<unknown> | undefined {
  const known = properties.get(prototype) ?? new Map<string, symbol>();
  properties.set(prototype, known);
  let property = known.get(name);
  if (property === undefined) {
    property = Symbol(`${title}: a PoolModule that registers "${name}"`);
    known.set(name, property);
    Inject(getPoolToken(name))(prototype, property);
  }
  const own = property;
  return (self) => (self as WithPools | undefined)?.[own] ?? guess(name);
}

/**
 * Gives an instance that Nest holds and did not make, by a `useFactory` or `useValue`, the pools of its methods. One that
 * was used by an application before gets those of this one.
 *
 * @internal
 */
export function givePools(instance: unknown, registry: PoolRegistry): void {
  if (typeof instance !== 'object' || instance === null) return;
  for (
    let prototype = Object.getPrototypeOf(instance);
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    for (const [name, property] of properties.get(prototype as object) ?? []) {
      if (registry.has(name)) (instance as WithPools)[property] = registry.get(name);
    }
  }
}

/** For an instance that Nest has never seen: the registry of the application, if just one runs in this process. */
function guess(name: string): ConnectionPool<unknown> | undefined {
  const registry = onlyRegistry();
  return registry?.has(name) ? registry.get(name) : undefined;
}
