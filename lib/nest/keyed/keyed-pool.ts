import type { CloseOptions, CloseReport, ConnectionPool, PoolEventName } from '../../core/index.js';
import type { BudgetShare } from './budget-share.js';

/** By each of these somebody may have ceased to use the pool. */
const USE_ENDS = [
  'release',
  'detach',
  'reclaim',
  'timeout',
  'abort',
  'refuse',
  'createError',
] as const satisfies readonly PoolEventName[];

/** Whom a pool tells what happens to it. @internal */
export interface KeyedPoolOwner {
  /** Somebody has ceased to use it. */
  used(entry: KeyedPool<any, any, any>): void;
  /** Somebody else has closed it. */
  wasClosed(entry: KeyedPool<any, any, any>): void;
}

/**
 * The pool of one key, with what is known of its use.
 *
 * @internal
 */
export class KeyedPool<T, P extends ConnectionPool<T>, K extends string> {
  private visits = 0;
  /** It was found in use, and nobody has told of an end since. */
  private isKnownInUse = false;
  private readonly unwatch: readonly (() => void)[];

  constructor(
    readonly key: K,
    readonly pool: P,
    /** When somebody last used it, as far as is known. */
    public usedAt: number,
    /** Its share of the budget, where there is one. */
    readonly share: BudgetShare | undefined,
    private readonly owner: KeyedPoolOwner,
  ) {
    const ended = (): void => this.useEnded();
    this.unwatch = [
      ...USE_ENDS.map((event) => pool.on(event, ended)),
      pool.on('state', ({ to }) => {
        if (to === 'closed') this.owner.wasClosed(this);
      }),
    ];
  }

  /** Whether a lease is out, an acquire waits, or somebody has been given the pool itself. */
  get isInUse(): boolean {
    if (this.visits > 0) return true;
    if (!this.isKnownInUse) {
      const { activeConnections, waiting } = this.pool.stats();
      this.isKnownInUse = activeConnections > 0 || waiting > 0;
    }
    return this.isKnownInUse;
  }

  /** Lets somebody have the pool itself: until that ends, it counts as in use. */
  async visit<R>(work: (pool: P) => R | Promise<R>): Promise<R> {
    this.visits += 1;
    try {
      return await work(this.pool);
    } finally {
      this.visits -= 1;
      this.useEnded();
    }
  }

  async close(options?: CloseOptions): Promise<CloseReport> {
    try {
      return await this.pool.close(options);
    } finally {
      for (const unwatch of this.unwatch) unwatch();
    }
  }

  private useEnded(): void {
    this.isKnownInUse = false;
    this.owner.used(this);
  }
}
