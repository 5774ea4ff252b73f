import 'reflect-metadata';

/**
 * Copies what decorators noted on a method to what stands in its place, so that it does not matter which of them comes first.
 *
 * @internal
 */
export function copyMetadata(from: object, to: object): void {
  for (const key of Reflect.getMetadataKeys(from)) Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
}
