import type { ConnectionPool } from '../core/index.js';

/**
 * Which pools a project has, and of what type: empty, and for the project to fill in. What it declares here once,
 * `PoolRegistry.get`, `@InjectPool`, `@UsePool` and `@Leased` know from then on.
 *
 * ```ts
 * declare module 'nestjs-pools' {
 *   interface PoolRegistryTypes {
 *     embeddings: HttpPool;
 *   }
 * }
 * ```
 *
 * @publicApi
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- it is there to be augmented
export interface PoolRegistryTypes {}

/** The type of the pool of that name: as declared in {@link PoolRegistryTypes}, else a pool of anything. @publicApi */
export type PoolOf<N> = N extends keyof PoolRegistryTypes ? PoolRegistryTypes[N] : ConnectionPool<any>;

/** The type of its connections. @publicApi */
export type ConnectionOf<N> = PoolOf<N> extends ConnectionPool<infer T> ? T : never;

/** A type that nothing is: in a compiler's complaint it says what is wrong. @publicApi */
export interface Misfit<Why extends string> {
  readonly [MISFIT]: Why;
}

declare const MISFIT: unique symbol;
