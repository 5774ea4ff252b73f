import { MAX_DELAY_MS } from '../../core/clock.js';
import type { Clock, ClockTimer, ConnectionPool } from '../../core/index.js';
import type { Outside } from '../../core/outside.js';
import type { KeyedPool } from './keyed-pool.js';

/**
 * Pools by key, in the order of their last use, and one timer for all of them: for the time at which the least recently
 * used one has been idle for long enough. Where no pool is, no timer is.
 *
 * @internal
 */
export class PoolShelf<T, P extends ConnectionPool<T>, K extends string> {
  /** The least recently used first. */
  private readonly entries = new Map<K, KeyedPool<T, P, K>>();
  private latest: KeyedPool<T, P, K> | undefined;
  private timer: ClockTimer | undefined;

  constructor(
    private readonly idleMs: number,
    private readonly clock: Clock,
    private readonly outside: Outside,
    private readonly onIdle: (entry: KeyedPool<T, P, K>) => void,
  ) {}

  get size(): number {
    return this.entries.size;
  }

  get(key: K): KeyedPool<T, P, K> | undefined {
    return this.entries.get(key);
  }

  /** The most recently used last. */
  list(): KeyedPool<T, P, K>[] {
    return [...this.entries.values()];
  }

  put(entry: KeyedPool<T, P, K>): void {
    this.entries.set(entry.key, entry);
    this.used(entry);
    this.watch();
  }

  take(entry: KeyedPool<T, P, K>): void {
    this.entries.delete(entry.key);
    if (this.latest === entry) this.latest = undefined;
    if (this.entries.size > 0 || this.timer === undefined) return;
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** A use has begun or ended. Of a pool that is not here any more it is no news. */
  used(entry: KeyedPool<T, P, K>): void {
    if (this.entries.get(entry.key) !== entry) return;
    entry.usedAt = this.clock.now();
    if (entry === this.latest) return;
    this.latest = entry;
    this.entries.delete(entry.key);
    this.entries.set(entry.key, entry);
  }

  /** The least recently used pool of those that are not in use. */
  leastRecentlyUsed(): KeyedPool<T, P, K> | undefined {
    for (const entry of this.entries.values()) if (!entry.isInUse) return entry;
    return undefined;
  }

  private watch(): void {
    const [first] = this.entries.values();
    if (this.timer !== undefined || first === undefined || this.idleMs === Infinity) return;
    const delayMs = Math.ceil(first.usedAt + this.idleMs - this.clock.now());
    this.outside.run(() => {
      this.timer = this.clock.setTimeout(this.wake, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
      this.timer.unref?.();
    });
  }

  private readonly wake = (): void => {
    this.timer = undefined;
    const unusedSince = this.clock.now() - this.idleMs;
    for (const entry of this.entries.values()) {
      if (entry.usedAt > unusedSince) break;
      if (entry.isInUse) this.used(entry);
      else this.onIdle(entry);
    }
    this.watch();
  };
}
