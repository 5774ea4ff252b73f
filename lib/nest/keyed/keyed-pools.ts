import {
  type AcquireOptions,
  type CloseOptions,
  type CloseReport,
  type ConnectionPool,
  type Lease,
  PoolClosedError,
  PoolOptionsError,
  type PoolStateName,
  TooManyPoolsError,
} from '../../core/index.js';
import { checkClose, shapeOf } from '../../core/option-rules.js';
import { Outside } from '../../core/outside.js';
import { ConnectionBudget } from './connection-budget.js';
import type { KeyedPool, KeyedPoolOwner } from './keyed-pool.js';
import { KeyedPoolMaker } from './keyed-pool-maker.js';
import {
  type KeyedPoolEnd,
  type KeyedPoolsCloseReport,
  type KeyedPoolsSetup,
  type KeyedPoolsStats,
  type PoolTemplate,
  resolveKeyedPools,
} from './keyed-pools-options.js';
import { reportOfAll, statsOfAll } from './keyed-pools-reports.js';
import { PoolDepartures } from './pool-departures.js';
import { PoolShelf } from './pool-shelf.js';

export type { KeyedPoolEnd, KeyedPoolsCloseReport, KeyedPoolsStats, PoolTemplate } from './keyed-pools-options.js';
export type { KeyedPoolsOptions } from './keyed-pools-options.js';

type Closed = { readonly is: 'closed'; readonly done: Promise<KeyedPoolsCloseReport> };
type Phase = { readonly is: 'open' | 'draining' } | Closed;

/**
 * A pool for each key, such as a tenant or a host: made on first use, closed when nobody uses it.
 *
 * Invariant: there are never more than `maxPools` pools, without those being closed, nor more connections at the upstream
 * than `maxTotalConnections`, with those. A pool in use is never closed to make room.
 *
 * `minConnections` is 0 for all of them: a tenant who is away holds nothing open.
 *
 * @typeParam T the pooled connection
 * @typeParam P the pools; a kind may bring its own subclass
 * @typeParam K the keys
 * @publicApi
 */
export class KeyedPools<T, P extends ConnectionPool<T> = ConnectionPool<T>, K extends string = string>
  implements AsyncDisposable, KeyedPoolOwner
{
  private readonly settings: ReturnType<typeof resolveKeyedPools>;
  private readonly budget: ConnectionBudget | undefined;
  private readonly maker: KeyedPoolMaker<T, P, K>;
  private phase: Phase = { is: 'open' };
  private readonly shelf: PoolShelf<T, P, K>;
  private readonly departures: PoolDepartures<T, P, K>;
  private opened = 0;
  private refused = 0;

  /**
   * @param name of all of them together; a pool's own name is `name/key`
   * @throws {@link PoolOptionsError} naming every option that is wrong
   */
  constructor(
    readonly name: string,
    template: PoolTemplate<K, T, P>,
    options: KeyedPoolsSetup<T, P, K> = {},
  ) {
    this.settings = resolveKeyedPools(name, template, options as KeyedPoolsSetup<never, never, never>);
    const { maxTotalConnections, idleMs, clock, limits } = this.settings;
    const outside = new Outside();
    this.shelf = new PoolShelf(idleMs, clock, outside, (entry) => void this.end(entry, 'idle'));
    const isBounded = maxTotalConnections < Infinity;
    const budget = isBounded ? new ConnectionBudget(maxTotalConnections, clock, outside) : undefined;
    this.budget = budget;
    this.departures = new PoolDepartures(budget);
    this.maker = new KeyedPoolMaker({ name, template, limits, clock, outside, budget, onOpen: options.onOpen });
  }

  /** Whether pools are made, made and drained, or made no more. */
  get state(): PoolStateName {
    return this.phase.is;
  }

  /**
   * Borrows a connection of the key's pool for the duration of `work` and gives it back whatever happens.
   *
   * Rejects as {@link KeyedPools.acquire} does, and with whatever `work` throws.
   */
  async use<R>(key: K, work: (connection: T, lease: Lease<T>) => R | Promise<R>, options?: AcquireOptions): Promise<R> {
    return this.poolOf(key).pool.use(work, options);
  }

  /**
   * Borrows a connection of the key's pool, waiting for one if need be.
   *
   * Rejects as {@link ConnectionPool.acquire} does; with {@link TooManyPoolsError} if there are as many pools as there may
   * be and all of them are in use; with {@link PoolOptionsError} if the key is no text or what the template yields cannot
   * work; with whatever the template throws; with {@link PoolClosedError} after `close()`.
   */
  async acquire(key: K, options?: AcquireOptions): Promise<Lease<T>> {
    return this.poolOf(key).pool.acquire(options);
  }

  /**
   * Hands the key's pool itself to `work`, for what a kind's own pool can do. Until that ends, the pool is not closed to
   * make room or for being idle; keep it no longer.
   *
   * Rejects as {@link KeyedPools.acquire} does where no pool can be made, and with whatever `work` throws.
   */
  async withPool<R>(key: K, work: (pool: P) => R | Promise<R>): Promise<R> {
    return this.poolOf(key).visit(work);
  }

  has(key: K): boolean {
    return this.shelf.get(key) !== undefined;
  }

  /** Of the pools that there are, the most recently used last. */
  keys(): readonly K[] {
    return this.shelf.list().map(({ key }) => key);
  }

  /** A frozen snapshot. It costs time for every pool. */
  stats(): KeyedPoolsStats {
    const { maxPools, maxTotalConnections } = this.settings;
    return statsOfAll(this.shelf.list(), this.departures.list(), {
      state: this.state,
      maxPools,
      maxTotalConnections,
      totalConnections: this.budget?.held,
      starving: this.budget?.starving ?? 0,
      opened: this.opened,
      closed: this.departures.counts,
      refused: this.refused,
    });
  }

  /**
   * Closes the key's pool, as {@link ConnectionPool.close} does. If the key is used again, a new one is made.
   *
   * @returns when that has ended; `undefined` if there was none. Rejects with {@link PoolOptionsError} for a wrong
   *   `timeoutMs`
   */
  async remove(key: K, options?: CloseOptions): Promise<CloseReport | undefined> {
    const problems = checkClose(options ?? {});
    if (problems.length > 0) throw new PoolOptionsError(this.name, problems);
    const entry = this.shelf.get(key);
    if (entry !== undefined) return this.end(entry, 'removed', options);
    return this.departures.latest(key, options);
  }

  /** Drains every pool, and those that are still made: they keep no connection that nobody waits for. */
  drain(): void {
    if (this.phase.is !== 'open') return;
    this.phase = { is: 'draining' };
    for (const { pool } of this.shelf.list()) pool.drain();
  }

  /**
   * Closes all pools at once and makes no more. Always the same promise; a later call with a shorter timeout shortens the
   * wait.
   *
   * @returns rejects with {@link PoolOptionsError} for a wrong `timeoutMs`, and if a kind's own pool fails to close
   */
  close(options: CloseOptions = {}): Promise<KeyedPoolsCloseReport> {
    const problems = checkClose(options);
    if (problems.length > 0) return Promise.reject(new PoolOptionsError(this.name, problems));
    if (this.phase.is !== 'closed') {
      // Before the first of them closes: what that sets off may come back here.
      let done!: (report: Promise<KeyedPoolsCloseReport>) => void;
      this.phase = { is: 'closed', done: new Promise((resolve) => (done = resolve)) };
      done(this.closeAll(options));
    } else this.departures.hurry(options);
    return this.phase.done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => undefined);
  }

  /** @internal */
  used(entry: KeyedPool<T, P, K>): void {
    this.shelf.used(entry);
  }

  /** @internal */
  wasClosed(entry: KeyedPool<T, P, K>): void {
    if (this.shelf.get(entry.key) === entry) void this.end(entry, 'removed');
  }

  // ---- how a pool comes

  private poolOf(key: K): KeyedPool<T, P, K> {
    const found = this.shelf.get(key);
    // Closed by somebody who was given it: its event is on its way.
    if (found?.pool.state === 'closed') this.wasClosed(found);
    else if (found !== undefined) {
      this.shelf.used(found);
      return found;
    }
    return this.open(key);
  }

  private open(key: K): KeyedPool<T, P, K> {
    if (typeof key !== 'string' || key === '') {
      throw new PoolOptionsError(this.name, [`key: expected a text that is not empty, got ${shapeOf(key)}`]);
    }
    if (this.phase.is === 'closed') throw new PoolClosedError(this.maker.nameOf(key));
    // Asked before the template, which may be dear, and again after it, since it may have used these pools itself.
    this.mostDispensable(key);
    const definition = this.maker.define(key);
    const twin = this.shelf.get(key);
    if (twin !== undefined) return twin;
    if (this.state === 'closed') throw new PoolClosedError(this.maker.nameOf(key));
    const dispensable = this.mostDispensable(key);
    const entry = this.maker.make(key, definition, this);
    if (dispensable !== undefined) void this.end(dispensable, 'lru');
    if (this.phase.is === 'draining') entry.pool.drain();
    this.shelf.put(entry);
    this.opened += 1;
    return entry;
  }

  /** The pool that has to go if there is to be one for the key, if one has to. */
  private mostDispensable(key: K): KeyedPool<T, P, K> | undefined {
    const { maxPools } = this.settings;
    if (this.shelf.size < maxPools) return undefined;
    const unused = this.shelf.leastRecentlyUsed();
    if (unused !== undefined) return unused;
    this.refused += 1;
    throw new TooManyPoolsError(this.maker.nameOf(key), maxPools);
  }

  // ---- how a pool goes

  private end(entry: KeyedPool<T, P, K>, why: KeyedPoolEnd, options?: CloseOptions): Promise<CloseReport> {
    this.shelf.take(entry);
    return this.departures.begin(entry, why, options);
  }

  private closeAll(options: CloseOptions): Promise<KeyedPoolsCloseReport> {
    const { clock } = this.settings;
    const since = clock.now();
    this.departures.hurry(options);
    for (const entry of this.shelf.list()) void this.end(entry, 'removed', options);
    return this.departures.end().then((reports) => reportOfAll(clock.now() - since, reports));
  }
}
