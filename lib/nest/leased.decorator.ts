import 'reflect-metadata';
import type { ConnectionOf, Misfit, PoolRegistryTypes } from './pool-registry-types.interface.js';

const LEASED = 'nestjs-pools:leased';

/** A parameter that gets a leased connection. @internal */
export interface LeasedParameter {
  readonly index: number;
  readonly pool: string | undefined;
}

/**
 * What `@Leased('embeddings')` asks of its parameter, where {@link PoolRegistryTypes} tells what that pool's connections are:
 * that it takes one. Methods that are not public are beyond the compiler's sight here.
 *
 * @publicApi
 */
export type LeasedDecorator<N extends string> = <T extends object, K extends string | symbol, I extends number>(
  target: T,
  key: K | undefined,
  index: N extends keyof PoolRegistryTypes
    ? K extends keyof T
      ? T[K] extends (...args: infer Args) => unknown
        ? ConnectionOf<N> extends Args[I]
          ? I
          : Misfit<`the connections of the pool "${N}" are of another type than this parameter`>
        : I
      : I
    : I,
) => void;

/**
 * Marks the parameter of a method under {@link UsePool} or {@link LeasePerRequest} that gets the leased connection. It is
 * filled only when the caller passed `undefined`; a caller that has a connection already may pass it on, and then none is
 * leased.
 *
 * @param pool which pool's connection, where a method uses several
 * @publicApi
 */
export function Leased<const N extends string = string>(pool?: N): LeasedDecorator<N> {
  return (target: object, key: string | symbol | undefined, index: unknown) => {
    if (key === undefined) throw new TypeError('@Leased() marks a parameter of a method, not of a constructor');
    const known = leasedParameters(target, key);
    Reflect.defineMetadata(LEASED, [...known, { index, pool }], target, key);
  };
}

/** @internal */
export function leasedParameters(target: object, key: string | symbol): readonly LeasedParameter[] {
  return (Reflect.getOwnMetadata(LEASED, target, key) as LeasedParameter[] | undefined) ?? [];
}

/**
 * The arguments, with the connection where a parameter is for it and the caller passed nothing.
 *
 * @internal
 */
export function fillLeased(args: unknown[], parameters: readonly LeasedParameter[], connection: unknown): unknown[] {
  if (parameters.length === 0) return args;
  const filled = [...args];
  // Only `undefined` is "not given"; a caller's null is the caller's.
  for (const { index } of parameters) if (filled[index] === undefined) filled[index] = connection;
  return filled;
}
