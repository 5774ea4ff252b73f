import { type Clock, type ClockTimer, systemClock } from '../../core/clock.js';
import { PoolOptionsError } from '../../core/pool-errors.js';
import { checkCacheOptions, type EmbeddingCacheOptions } from './cache-options.js';
import { isOutdated, LocalVectorCache } from './local-cache.js';
import { StoreRest } from './store-rest.js';
import { decodeCached, encodeVector } from './vector-bytes.js';
import type { VectorCache } from './vector-cache.js';

/** Batches on their way to the store. Beyond them vectors are kept in memory only: it cannot keep up. */
const MOST_WRITES = 32;

/** How much longer what is written may take than what a call waits for. */
const WRITE_PATIENCE = 10;

/** Timers of a call, as many as there are calls: the part of a timeline that is needed here. @internal */
export interface CacheTimers {
  after(ms: number, due: () => void): object;
  cancel(timer: object): void;
}

/** @internal */
export interface EmbeddingCacheParts {
  /** The endpoint's name, for the error of wrong options. */
  readonly name?: string;
  readonly clock?: Clock;
  /** Default: a timer of the clock for each wait, which keeps no process alive. */
  readonly timers?: CacheTimers;
}

/** @publicApi */
export interface EmbeddingCacheStats {
  /** Vectors in memory. */
  readonly entries: number;
  /** Memory that they take, in bytes. */
  readonly bytes: number;
  /** Left memory for want of room. */
  readonly evicted: number;
  /** Found in memory. */
  readonly hits: number;
  /** Not found in memory. */
  readonly misses: number;
  /** Of these, found in the store. */
  readonly storeHits: number;
  /** Values of the store that were no vectors, or those of another model than the server answers by now. */
  readonly storeUnfit: number;
  /** Requests to the store that failed, timeouts included. */
  readonly storeFailures: number;
  readonly storeTimeouts: number;
  /** Requests that the store was spared while it rested after failures. */
  readonly storeSpared: number;
  /** Batches that are being written. */
  readonly storeWrites: number;
  /** Vectors that the store was not given: it was too slow, or at rest. */
  readonly storeDropped: number;
  /** Whether the store is left alone after failures. */
  readonly storeResting: boolean;
}

/**
 * Two tiers of vectors: this process's memory, then a store if there is one.
 *
 * The store is a help and never a condition. It is asked for no longer than `storeTimeoutMs`, written to in the background,
 * and left alone for a while when it fails ({@link StoreRest}): each of these is a miss, and no call fails of it.
 *
 * `asked` is the model of the request. The server's own name for what answered it comes with the vectors; once that
 * changes, what another model made is no longer handed out.
 *
 * @internal
 */
export class EmbeddingCache {
  private readonly local: LocalVectorCache;
  private readonly store: VectorCache | undefined;
  private readonly storeTtlMs: number | undefined;
  private readonly timeoutMs: number;
  private readonly prefix: string;
  private readonly timers: CacheTimers;
  private readonly rest: StoreRest;
  private readonly writes = new Set<Promise<void>>();
  /** By the model of the request, the one that answers by now. */
  private readonly answering = new Map<string, string>();
  private hits = 0;
  private misses = 0;
  private storeHits = 0;
  private storeUnfit = 0;
  private storeFailures = 0;
  private storeTimeouts = 0;
  private storeSpared = 0;
  private storeDropped = 0;

  /** @throws {@link PoolOptionsError} naming every option that is wrong */
  constructor(options: EmbeddingCacheOptions = {}, parts: EmbeddingCacheParts = {}) {
    const problems = checkCacheOptions(options, 'cache.');
    if (problems.length > 0) throw new PoolOptionsError(parts.name ?? 'embedding', problems);
    const { maxBytes, ttlMs = Infinity, store, storeTtlMs = ttlMs, storeTimeoutMs = 250 } = options;
    const { clock = systemClock, timers = timersOf(clock) } = parts;
    this.local = new LocalVectorCache({ maxBytes, ttlMs, clock });
    this.store = store;
    // Whole ones, for that is what every store counts in.
    this.storeTtlMs = storeTtlMs === Infinity ? undefined : Math.ceil(storeTtlMs);
    this.timeoutMs = storeTimeoutMs;
    this.prefix = `${options.namespace ?? 'embeddings'}:`;
    this.timers = timers;
    this.rest = new StoreRest(clock);
  }

  /** Whether `getMany` may know more than `getLocal`. */
  get hasStore(): boolean {
    return this.store !== undefined;
  }

  /** A copy of the caller's own, from memory. */
  getLocal(key: string, asked = ''): Float32Array | undefined {
    const vector = this.local.get(key, this.answering.get(asked));
    if (vector === undefined) this.misses += 1;
    else this.hits += 1;
    return vector;
  }

  /**
   * For the keys that `getLocal` missed, and counts no miss again: one request to the store for those that are still not
   * in memory, where its finds are kept. Never rejects.
   */
  async getMany(keys: readonly string[], asked = ''): Promise<(Float32Array | undefined)[]> {
    const model = this.answering.get(asked);
    const vectors: (Float32Array | undefined)[] = [];
    const missing: number[] = [];
    for (let index = 0; index < keys.length; index += 1) {
      const vector = this.local.get(keys[index]!, model);
      vectors.push(vector);
      if (vector === undefined) missing.push(index);
      else this.hits += 1;
    }
    const values =
      missing.length === 0 ? undefined : await this.ask(missing.map((index) => this.prefix + keys[index]!));
    if (values === undefined) return vectors;
    for (let place = 0; place < missing.length; place += 1) {
      const index = missing[place]!;
      vectors[index] = this.take(keys[index]!, values[place], asked);
    }
    return vectors;
  }

  /**
   * Keeps vectors in memory, by copy, and sends them to the store in the background.
   *
   * @param model as the server named it in its answer
   */
  setMany(entries: readonly (readonly [key: string, vector: Float32Array])[], model?: string, asked = ''): void {
    if (model !== undefined) this.answering.set(asked, model);
    for (const [key, vector] of entries) this.local.set(key, vector, model);
    if (this.store === undefined || entries.length === 0) return;
    if (this.writes.size >= MOST_WRITES || !this.rest.mayAsk()) {
      this.storeDropped += entries.length;
      return;
    }
    // Encoded now: the vectors are the caller's from here on.
    const values = entries.map(([key, vector]) => [this.prefix + key, encodeVector(vector, model)] as const);
    const write: Promise<void> = this.write(this.store, values).finally(() => this.writes.delete(write));
    this.writes.add(write);
  }

  /** Resolves when what was on its way to the store has arrived or is given up. Never rejects. */
  async flush(): Promise<void> {
    await Promise.all(this.writes);
  }

  /** Forgets what is in memory; the store keeps what it has. */
  clear(): void {
    this.local.clear();
  }

  stats(): EmbeddingCacheStats {
    const { entries, bytes, evicted } = this.local.stats();
    return {
      entries,
      bytes,
      evicted,
      hits: this.hits,
      misses: this.misses,
      storeHits: this.storeHits,
      storeUnfit: this.storeUnfit,
      storeFailures: this.storeFailures,
      storeTimeouts: this.storeTimeouts,
      storeSpared: this.storeSpared,
      storeWrites: this.writes.size,
      storeDropped: this.storeDropped,
      storeResting: this.rest.isResting,
    };
  }

  /** What the store has to say in time; `undefined` if it has nothing to say. */
  private async ask(keys: readonly string[]): Promise<readonly unknown[] | undefined> {
    const { store } = this;
    if (store === undefined) return undefined;
    if (!this.rest.mayAsk()) {
      this.storeSpared += 1;
      return undefined;
    }
    const answer = await this.within(this.timeoutMs, () => store.getMany(keys));
    // One that answers with another number of values would give a text another text's vector.
    const isWhole = answer !== FAILED && Array.isArray(answer) && answer.length === keys.length;
    this.note(isWhole);
    return isWhole ? answer : undefined;
  }

  private take(key: string, value: unknown, asked: string): Float32Array | undefined {
    if (value === undefined || value === null) return undefined;
    const cached = decodeCached(value);
    // Looked up again: the server may have changed while the store was asked.
    if (cached === undefined || isOutdated(cached, this.answering.get(asked))) {
      this.storeUnfit += 1;
      return undefined;
    }
    this.storeHits += 1;
    this.local.set(key, cached.vector, cached.model);
    return cached.vector;
  }

  private async write(store: VectorCache, entries: readonly (readonly [string, Uint8Array])[]): Promise<void> {
    const outcome = await this.within(this.timeoutMs * WRITE_PATIENCE, () => store.setMany(entries, this.storeTtlMs));
    this.note(outcome !== FAILED);
  }

  private note(worked: boolean): void {
    if (worked) return this.rest.worked();
    this.storeFailures += 1;
    this.rest.failed();
  }

  /** Never rejects, and what the store does after its time concerns nobody. */
  private within(limitMs: number, work: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve) => {
      const timer =
        limitMs === Infinity
          ? undefined
          : this.timers.after(limitMs, () => {
              this.storeTimeouts += 1;
              resolve(FAILED);
            });
      const settle = (outcome: unknown): void => {
        if (timer !== undefined) this.timers.cancel(timer);
        resolve(outcome);
      };
      try {
        // Of any kind: a store may be written in JavaScript, and return what is no promise.
        void Promise.resolve(work()).then(settle, () => settle(FAILED));
      } catch {
        settle(FAILED);
      }
    });
  }
}

const FAILED = Symbol('failed');

function timersOf(clock: Clock): CacheTimers {
  return {
    after: (ms, due) => {
      const timer = clock.setTimeout(due, ms);
      timer.unref?.();
      return timer;
    },
    cancel: (timer) => clock.clearTimeout(timer as ClockTimer),
  };
}
