/**
 * Where vectors are kept beyond this process: a port, for Redis, Keyv, cache-manager or anything else that keeps bytes by key.
 *
 * The bytes must come back as they went; anything else is taken for a miss. It may forget at will, may be slow and may fail:
 * none of it fails a call.
 *
 * @publicApi
 */
export interface VectorCache {
  /** One value for each key, in their order; `undefined` or `null` for a key that is not there. */
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined | null)[]>;
  /** @param ttlMs in milliseconds; without it they are kept for good */
  setMany(entries: readonly (readonly [key: string, value: Uint8Array])[], ttlMs?: number): Promise<void>;
}
