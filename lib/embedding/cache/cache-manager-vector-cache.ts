import { bytesOf, textOf } from './bytes-as-text.js';
import type { VectorCache } from './vector-cache.js';

/** What is used of a cache of cache-manager 7, which is what `CACHE_MANAGER` of `@nestjs/cache-manager` injects. @publicApi */
export interface CacheManagerVectorClient {
  mget(keys: string[]): Promise<readonly unknown[]>;
  mset(list: { key: string; value: string; ttl?: number }[]): Promise<unknown>;
}

/**
 * Keeps vectors in a cache of cache-manager 7, as base64 for the sake of the stores under it, which write JSON.
 *
 * Without a time to live from the cache, cache-manager's own `ttl` holds.
 *
 * @publicApi
 */
export function cacheManagerVectorCache(cache: CacheManagerVectorClient): VectorCache {
  return {
    async getMany(keys) {
      const values = await cache.mget([...keys]);
      return values.map(bytesOf);
    },

    async setMany(entries, ttlMs) {
      await cache.mset(
        entries.map(([key, value]) => ({ key, value: textOf(value), ...(ttlMs === undefined ? {} : { ttl: ttlMs }) })),
      );
    },
  };
}
