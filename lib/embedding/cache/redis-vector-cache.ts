import { nameOf, PoolOptionsError } from '../../core/pool-errors.js';
import { checkGroup, positiveDuration, text } from '../../core/option-rules.js';
import type { VectorCache } from './vector-cache.js';

/** What is used of a client of ioredis, a Redis or a Cluster. @publicApi */
export interface RedisVectorClient {
  readonly isCluster?: boolean;
  getBuffer(key: string): Promise<Uint8Array | null>;
  mgetBuffer(keys: string[]): Promise<(Uint8Array | null)[]>;
  set(key: string, value: Buffer): Promise<unknown>;
  set(key: string, value: Buffer, unit: 'PX', ms: number): Promise<unknown>;
  pipeline(commands: unknown[][]): { exec(): Promise<[error: Error | null, result: unknown][] | null> };
}

/** @publicApi */
export interface RedisVectorCacheOptions {
  /** Stands before every key, the cache's `namespace` after it. Default: none. */
  readonly prefix?: string;
  /** How long Redis keeps a vector, in milliseconds, where the cache does not say. Default: Infinity. */
  readonly ttlMs?: number;
}

const RULES = { prefix: text, ttlMs: positiveDuration };

/**
 * Keeps vectors in Redis, by a client of ioredis: one `MGET` for what is read, one pipeline of `SET … PX` for what is written.
 * With a Cluster each key goes on its own to the node that has it.
 *
 * Redis then needs a limit of its own (`maxmemory` with an `allkeys-…` policy) or a time to live.
 *
 * @throws {@link PoolOptionsError} for wrong options
 * @publicApi
 */
export function redisVectorCache(client: RedisVectorClient, options: RedisVectorCacheOptions = {}): VectorCache {
  const problems = checkGroup(RULES, options, 'redisVectorCache.');
  if (problems.length > 0) throw new PoolOptionsError('embedding', problems);
  const { prefix = '', ttlMs: ownTtlMs = Infinity } = options;
  const keyOf = (key: string): string => prefix + key;

  return {
    getMany(keys) {
      if (keys.length === 0) return Promise.resolve([]);
      // A Cluster refuses an MGET over several slots, and ioredis a pipeline over several nodes.
      if (client.isCluster === true) return Promise.all(keys.map((key) => client.getBuffer(keyOf(key))));
      return client.mgetBuffer(keys.map(keyOf));
    },

    async setMany(entries, ttlMs = ownTtlMs) {
      if (entries.length === 0) return;
      // Redis takes whole milliseconds only.
      const lifetimeMs = ttlMs === Infinity ? undefined : Math.ceil(ttlMs);
      if (client.isCluster === true) {
        await Promise.all(entries.map(([key, value]) => setOne(client, keyOf(key), bufferOf(value), lifetimeMs)));
        return;
      }
      const expiry = lifetimeMs === undefined ? [] : ['PX', lifetimeMs];
      const commands = entries.map(([key, value]) => ['set', keyOf(key), bufferOf(value), ...expiry]);
      const results = await client.pipeline(commands).exec();
      const failure = results?.find(([error]) => error !== null)?.[0];
      // ioredis hangs the command on its error, with the vector in it.
      if (failure) throw new Error(`Redis did not keep every vector: ${nameOf(failure)}`);
    },
  };
}

function setOne(client: RedisVectorClient, key: string, value: Buffer, ms: number | undefined): Promise<unknown> {
  return ms === undefined ? client.set(key, value) : client.set(key, value, 'PX', ms);
}

/** The same memory: ioredis would write another kind of array as text. */
function bufferOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
