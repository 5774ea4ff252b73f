import {
  checkGroup,
  group,
  positiveDuration,
  type Rule,
  someFunction,
  someText,
  wholeFrom,
} from '../../core/option-rules.js';
import type { VectorCache } from './vector-cache.js';

/** How long and where vectors are kept, so that a text is paid for once. @publicApi */
export interface EmbeddingCacheOptions {
  /** Memory for vectors of this process, in bytes; those used last are kept. 0: none. Default: 64 MiB, some 10 000 vectors of 1 536. */
  readonly maxBytes?: number;
  /** How long a vector is kept in memory, in milliseconds. Default: Infinity. */
  readonly ttlMs?: number;
  /** Where vectors are kept beyond this process. Default: nowhere. */
  readonly store?: VectorCache;
  /** How long the store is to keep a vector, in milliseconds. Default: `ttlMs`. */
  readonly storeTtlMs?: number;
  /**
   * How long a call waits for the store before it goes without, in milliseconds. What is written has ten times as long, for
   * nobody waits for it. Default: 250.
   */
  readonly storeTimeoutMs?: number;
  /** Stands before every key in the store. Default: `embeddings`. */
  readonly namespace?: string;
}

const store: Rule = (value) => {
  const expected = 'an object with getMany() and setMany(), such as redisVectorCache() returns';
  if (group(value) !== undefined) return expected;
  const { getMany, setMany } = value as Partial<VectorCache>;
  return (someFunction(getMany) ?? someFunction(setMany)) ? expected : undefined;
};

const RULES: Record<keyof EmbeddingCacheOptions, Rule> = {
  maxBytes: wholeFrom(0),
  ttlMs: positiveDuration,
  store,
  storeTtlMs: positiveDuration,
  storeTimeoutMs: positiveDuration,
  namespace: someText,
};

/** Every problem of a cache's options, in words. @internal */
export function checkCacheOptions(options: EmbeddingCacheOptions, prefix = ''): string[] {
  return checkGroup(RULES, options, prefix);
}
