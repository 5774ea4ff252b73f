import type { CloseOptions, CloseReport, ConnectionPool } from '../../core/index.js';
import type { ConnectionBudget } from './connection-budget.js';
import type { KeyedPool } from './keyed-pool.js';
import type { KeyedPoolEnd } from './keyed-pools-options.js';

/**
 * Pools that are being closed. A key may have several, if it is used again each time before that has ended.
 *
 * @internal
 */
export class PoolDepartures<T, P extends ConnectionPool<T>, K extends string> {
  readonly counts: Record<KeyedPoolEnd, number> = { idle: 0, lru: 0, removed: 0 };
  private readonly closing = new Map<KeyedPool<T, P, K>, Promise<CloseReport>>();

  constructor(private readonly budget: ConnectionBudget | undefined) {}

  list(): KeyedPool<T, P, K>[] {
    return [...this.closing.keys()];
  }

  begin(entry: KeyedPool<T, P, K>, why: KeyedPoolEnd, options?: CloseOptions): Promise<CloseReport> {
    this.counts[why] += 1;
    if (entry.share !== undefined) this.budget?.leave(entry.share);
    const closing = entry.close(options).finally(() => {
      this.closing.delete(entry);
      if (entry.share !== undefined) this.budget?.ended(entry.share);
    });
    // A kind's own pool may fail to close where nobody listens.
    closing.catch(() => undefined);
    this.closing.set(entry, closing);
    return closing;
  }

  /** Shortens the wait of all. */
  hurry(options: CloseOptions): void {
    for (const { pool } of this.closing.keys()) pool.close(options).catch(() => undefined);
  }

  /** Of the pool of the key that was the last to go, if it is not gone yet. */
  latest(key: K, options: CloseOptions | undefined): Promise<CloseReport> | undefined {
    const entry = this.list().findLast((one) => one.key === key);
    return entry?.pool.close(options);
  }

  /** Waits for all, and rejects after that if one has failed. */
  async end(): Promise<{ readonly key: K; readonly report: CloseReport }[]> {
    const reports = [...this.closing].map(async ([{ key }, closing]) => ({ key, report: await closing }));
    await Promise.allSettled(reports);
    return Promise.all(reports);
  }
}
