import 'reflect-metadata';

const LEASED = 'nestjs-pools:leased';

/** A parameter that {@link UsePool} fills. @internal */
export interface LeasedParameter {
  readonly index: number;
  readonly pool: string | undefined;
}

/**
 * Marks the parameter of a method under {@link UsePool} that gets the leased connection. It is filled only when the caller
 * passed `undefined`; a caller that has a connection already may pass it on, and then none is leased.
 *
 * @param pool which pool's connection, where a method uses several
 * @publicApi
 */
export function Leased(pool?: string): ParameterDecorator {
  return (target, key, index) => {
    if (key === undefined) throw new TypeError('@Leased() marks a parameter of a method, not of a constructor');
    const known = leasedParameters(target, key);
    Reflect.defineMetadata(LEASED, [...known, { index, pool }], target, key);
  };
}

/** @internal */
export function leasedParameters(target: object, key: string | symbol): readonly LeasedParameter[] {
  return (Reflect.getOwnMetadata(LEASED, target, key) as LeasedParameter[] | undefined) ?? [];
}
