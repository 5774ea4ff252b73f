import { Inject } from '@nestjs/common';
import type { Misfit, PoolRegistryTypes } from './pool-registry-types.interface.js';
import { getPoolToken } from './pool.tokens.js';

/**
 * What `@InjectPool('embeddings')` asks of its parameter, or of its property, where {@link PoolRegistryTypes} tells the type of
 * that pool: that it takes one. Properties that are not public are beyond the compiler's sight here.
 *
 * @publicApi
 */
export interface InjectPoolDecorator<N extends string> {
  <C, I extends number>(target: C, key: undefined, index: Fits<N, ParameterOf<C, I>, I>): void;
  <T extends object, K extends string | symbol>(target: T, key: K extends keyof T ? Fits<N, T[K], K> : K): void;
}

/** `Place`, where the pool fits what it is injected into. */
type Fits<N extends string, Target, Place> = N extends keyof PoolRegistryTypes
  ? PoolRegistryTypes[N] extends Target
    ? Place
    : Misfit<`the pool "${N}" is of another type than what it is injected into`>
  : Place;

type ParameterOf<C, I extends number> = C extends abstract new (...args: infer Args) => unknown ? Args[I] : unknown;

/**
 * Injects the pool of that name.
 *
 * ```ts
 * constructor(@InjectPool('documents') private readonly documents: ConnectionPool<Session>) {}
 * ```
 *
 * @publicApi
 */
export function InjectPool<const N extends string>(name: N): InjectPoolDecorator<N> {
  return Inject(getPoolToken(name)) as InjectPoolDecorator<N>;
}
