import { bytesOf, textOf } from './bytes-as-text.js';
import type { VectorCache } from './vector-cache.js';

/** What is used of a Keyv 5. @publicApi */
export interface KeyvVectorClient {
  getMany(keys: string[]): Promise<readonly unknown[]>;
  setMany(entries: { key: string; value: string; ttl?: number }[]): Promise<unknown>;
}

/**
 * Keeps vectors in a Keyv 5, with any of its stores. They go as base64: Keyv writes JSON, in which its own serialiser keeps a
 * Buffer that way too, and others make four times the bytes of it.
 *
 * Without a time to live from the cache, Keyv's own `ttl` holds.
 *
 * @publicApi
 */
export function keyvVectorCache(keyv: KeyvVectorClient): VectorCache {
  return {
    async getMany(keys) {
      const values = await keyv.getMany([...keys]);
      return values.map(bytesOf);
    },

    async setMany(entries, ttlMs) {
      const results = await keyv.setMany(
        entries.map(([key, value]) => ({ key, value: textOf(value), ...(ttlMs === undefined ? {} : { ttl: ttlMs }) })),
      );
      // Keyv tells of errors by an event, and only by its results besides.
      const kept = !Array.isArray(results) || entries.length === 0 || results.some((result) => result !== false);
      if (!kept) throw new Error('Keyv kept none of the vectors; its "error" event says why');
    },
  };
}
