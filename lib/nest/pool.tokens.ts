/**
 * The injection token of a named pool, for `overrideProvider` in tests and for `inject` lists.
 *
 * A string that says what it is, because Nest prints it when a dependency is missing, and because it is the same in every
 * installed copy of this package.
 *
 * @publicApi
 */
export function getPoolToken(name: string): string {
  return `Pool(${name})`;
}

/** What a module's factory or `pools` gave, before it becomes pools. One per dynamic module, never exported. @internal */
export const POOL_DEFINITIONS = 'PoolDefinitions';

/** The provider that enters a pool into the registry. @internal */
export function registrationToken(name: string): string {
  return `PoolRegistration(${name})`;
}
