import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../../core/clock.js';
import type { CachedVector } from './vector-bytes.js';

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/**
 * What an entry takes beside its numbers and its key, measured with 65 000 entries on Node 20: 340 bytes of heap (the array,
 * its memory block's object, the entry, the places in the list and the map with the slack of their growth), and 300 that the
 * resident memory grows by for what stands outside of the heap.
 */
const OVERHEAD_BYTES = 640;

/** @internal */
export interface LocalCacheOptions {
  /** Default: 64 MiB. 0: nothing is kept. */
  readonly maxBytes?: number | undefined;
  /** Default: Infinity. */
  readonly ttlMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** @internal */
export interface LocalCacheStats {
  readonly entries: number;
  /** What they take, the overhead included. */
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Left for want of room. */
  readonly evicted: number;
}

/**
 * The vectors used last, as many as fit into so many bytes. Both ways are by copy: a caller may normalise a vector in
 * place, and everybody after it would get that one.
 *
 * @internal
 */
export class LocalVectorCache {
  private readonly entries: LRUCache<string, CachedVector> | undefined;
  private hits = 0;
  private misses = 0;
  private evicted = 0;
  private lastModel: string | undefined;

  constructor({ maxBytes = DEFAULT_MAX_BYTES, ttlMs = Infinity, clock = systemClock }: LocalCacheOptions = {}) {
    if (maxBytes === 0) return;
    this.entries = new LRUCache<string, CachedVector>({
      maxSize: maxBytes,
      // It wants whole milliseconds, and takes 0 for never.
      ttl: ttlMs === Infinity ? 0 : Math.ceil(ttlMs),
      // Else it sets a timer of its own to read the clock less often.
      ttlResolution: 0,
      // It takes 0 for no time at all, and a manual clock starts there.
      perf: { now: () => clock.now() + 1 },
      sizeCalculation: sizeOf,
      dispose: (_entry, _key, reason) => {
        if (reason === 'evict') this.evicted += 1;
      },
    });
  }

  /**
   * A copy of the caller's own.
   *
   * @param model what the server answers by now: a vector of another model is forgotten, for the two cannot be compared
   */
  get(key: string, model?: string): Float32Array | undefined {
    const entry = this.entries?.get(key);
    if (entry !== undefined && !isOutdated(entry, model)) {
      this.hits += 1;
      return entry.vector.slice();
    }
    this.misses += 1;
    if (entry !== undefined) this.entries?.delete(key);
    return undefined;
  }

  /** Keeps a copy. A vector that is larger than the whole cache is not kept. */
  set(key: string, vector: Float32Array, model?: string): void {
    if (this.entries === undefined) return;
    // One string for all that name the same model: each answer and each value of a store brings one of its own.
    if (model !== this.lastModel) this.lastModel = model;
    this.entries.set(key, { vector: vector.slice(), model: this.lastModel });
  }

  stats(): LocalCacheStats {
    const { hits, misses, evicted, entries } = this;
    return { entries: entries?.size ?? 0, bytes: entries?.calculatedSize ?? 0, hits, misses, evicted };
  }

  clear(): void {
    this.entries?.clear();
  }
}

function sizeOf({ vector }: CachedVector, key: string): number {
  return vector.byteLength + key.length + OVERHEAD_BYTES;
}

/** Whether the two name different models; of one that has no name nothing is known. @internal */
export function isOutdated(cached: CachedVector, model: string | undefined): boolean {
  return model !== undefined && cached.model !== undefined && cached.model !== model;
}
