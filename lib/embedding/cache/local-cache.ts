import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../../core/clock.js';
import { type KeptVector, VectorBlocks } from './vector-blocks.js';
import type { CachedVector } from './vector-bytes.js';

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/**
 * What an entry takes beside its numbers and its key: the key's string object, the entry, the places in the list and the map
 * with the slack of their growth. The resident memory of Node 20 grows by 405 bytes with 10 000 entries, by 340 with 65 000.
 */
const OVERHEAD_BYTES = 420;

/** @internal */
export interface LocalCacheOptions {
  /** Default: 64 MiB. 0: nothing is kept. */
  readonly maxBytes?: number | undefined;
  /** Default: Infinity. */
  readonly ttlMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** The most that is allocated at a time. Default: 1 MiB. */
  readonly blockBytes?: number | undefined;
}

/** @internal */
export interface LocalCacheStats {
  readonly entries: number;
  /** What they take, the overhead included. Memory that others have left is kept for new ones and does not count. */
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
 * The entries are counted exactly; their numbers are in blocks, which are never given back before a clear and together
 * never more than `maxBytes`. With vectors of one length all places can be used. When another length needs a block and none
 * is left, it takes the one of the vector used longest ago, with all that is in it.
 *
 * @internal
 */
export class LocalVectorCache {
  private readonly maxBytes: number;
  private readonly blocks: VectorBlocks;
  private readonly entries: LRUCache<string, KeptVector> | undefined;
  private hits = 0;
  private misses = 0;
  private evicted = 0;
  private lastModel: string | undefined;

  constructor(options: LocalCacheOptions = {}) {
    const { maxBytes = DEFAULT_MAX_BYTES, ttlMs = Infinity, clock = systemClock, blockBytes } = options;
    this.maxBytes = maxBytes;
    this.blocks = new VectorBlocks(maxBytes, blockBytes);
    if (maxBytes === 0) return;
    this.entries = new LRUCache<string, KeptVector>({
      maxSize: maxBytes,
      // It wants whole milliseconds, and takes 0 for never.
      ttl: ttlMs === Infinity ? 0 : Math.ceil(ttlMs),
      // Else it sets a timer of its own to read the clock less often.
      ttlResolution: 0,
      // It takes 0 for no time at all, and a manual clock starts there.
      perf: { now: () => clock.now() + 1 },
      sizeCalculation: sizeOf,
      dispose: (kept, _key, reason) => {
        this.blocks.free(kept);
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
      return this.blocks.copy(entry);
    }
    this.misses += 1;
    if (entry !== undefined) this.entries?.delete(key);
    return undefined;
  }

  /** Keeps a copy. A vector that is larger than the whole cache, or than a block of it, is not kept. */
  set(key: string, vector: Float32Array, model?: string): void {
    const { entries, blocks } = this;
    if (entries === undefined) return;
    // One string for all that name the same model: each answer and each value of a store brings one of its own.
    if (model !== this.lastModel) this.lastModel = model;
    const kept = { key, model: this.lastModel, length: vector.length, block: undefined, place: 0 };
    if (sizeOf(kept) > this.maxBytes || !blocks.fits(vector.length)) {
      entries.delete(key);
      return;
    }
    // First the entry, which makes room by bytes, then its place.
    entries.set(key, kept);
    while (!blocks.put(kept, vector)) this.evictOldest(vector.length);
  }

  stats(): LocalCacheStats {
    const { hits, misses, evicted, entries } = this;
    return { entries: entries?.size ?? 0, bytes: entries?.calculatedSize ?? 0, hits, misses, evicted };
  }

  /** Memory that is set aside for numbers, used or not. */
  get allocatedBytes(): number {
    return this.blocks.allocatedBytes;
  }

  /** Gives the memory back as well. */
  clear(): void {
    this.entries?.clear();
    this.blocks.clear();
  }

  /** Makes a place for that length: the oldest one's, or the whole block of the oldest, which holds another length. */
  private evictOldest(length: number): void {
    const block = this.entries!.pop()?.block;
    if (block === undefined || block.length === length) return;
    for (const mate of block.residents) {
      if (mate !== undefined && this.entries!.delete(mate.key)) this.evicted += 1;
    }
  }
}

function sizeOf({ key, length }: KeptVector): number {
  return length * Float32Array.BYTES_PER_ELEMENT + key.length + OVERHEAD_BYTES;
}

/** Whether the two name different models; of one that has no name nothing is known. @internal */
export function isOutdated(cached: Pick<CachedVector, 'model'>, model: string | undefined): boolean {
  return model !== undefined && cached.model !== undefined && cached.model !== model;
}
