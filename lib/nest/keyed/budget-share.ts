import type { ConnectionFactory, ConnectionPool, PoolEventName } from '../../core/index.js';
import { budgeted, type Permits } from './budgeted-factory.js';

/** What a share tells the budget. @internal */
export interface ShareOwner {
  /** So many permits more, or less, are in use. */
  use(more: number): void;
  /** An acquire is about to come, which may have to wait. */
  expect(share: BudgetShare): void;
  /** The pool may want more or less than before. */
  heed(share: BudgetShare): void;
  /** The pool may have something to spare. */
  stir(share: BudgetShare): void;
  /** A connection was opened. */
  opened(share: BudgetShare): void;
  /** A create needs a permit that the share does not have. */
  extend(share: BudgetShare): boolean;
}

/** After these somebody may no longer wait for a connection. */
const WAITS_LESS = ['timeout', 'abort', 'refuse', 'createError'] as const satisfies readonly PoolEventName[];

/**
 * What one pool has of a budget.
 *
 * Invariant: held <= quota, for a create takes its permit here first. The quotas together are the budget's matter.
 *
 * @internal
 */
export class BudgetShare implements Permits {
  /** Connections that the pool may have now: its `maxConnections`, which the budget moves between 0 and the pool's own. */
  target = 0;
  /** Permits that are reserved for it: the target, or what it still has beyond. */
  quota = 0;
  /** Permits in use: its connections at the upstream, those of creates that were given up and have not ended included. */
  held = 0;
  /** The pool's own maximum. */
  limit = 0;
  /** How many more connections it could use, as far as the budget knows; above 0 it is hungry. */
  need = 0;
  /** Since when it has had something without a break, and whether it has opened a connection since. */
  turnSince = 0;
  hasOpened = false;
  /** Since when it has had to give something back. */
  givingSince = 0;
  /** Its pool is being closed. */
  hasLeft = false;

  /** Permits that the pool is going to need for what it has begun, those in use included. */
  occupied = 0;
  /** Connections but those being closed, and those that wait for a permit. */
  living = 0;
  /** Those of them that nobody uses or waits for. */
  spare = 0;
  active = 0;
  /** Connections that the pool can make use of, up to its own maximum. */
  wanted = 0;
  /** Acquires that nothing under way will serve. */
  private unserved = 0;

  private pool: ConnectionPool<unknown> | undefined;
  private readonly unwatch: (() => void)[] = [];
  /** The target that the pool knows of. */
  private applied = 0;
  /** Creates that have a permit and have not ended. */
  private opening = 0;
  /** Creates that wait for a permit: the upstream still has connections that the pool has given up on. */
  private readonly blocked = new Set<() => void>();

  constructor(private readonly owner: ShareOwner) {}

  wrap<T>(factory: ConnectionFactory<T>): ConnectionFactory<T> {
    return budgeted(factory, this);
  }

  /** From now on the pool, which has opened nothing yet, has what the budget gives it: nothing for now. */
  govern<T>(pool: ConnectionPool<T>): void {
    this.pool = pool as ConnectionPool<unknown>;
    this.limit = pool.stats().maxConnections;
    pool.resize({ maxConnections: 0 });
    this.watchWaits(pool);
    const heed = (): void => this.owner.heed(this);
    this.unwatch.push(
      ...WAITS_LESS.map((event) => pool.on(event, heed)),
      pool.on('release', () => (this.need > 0 ? heed() : this.owner.stir(this))),
      pool.on('create', () => this.owner.opened(this)),
      pool.on('detach', () => this.giveBack()),
    );
  }

  /** The pool is being closed: what it has comes back as that goes on. */
  leave(): void {
    this.hasLeft = true;
  }

  /** The pool is closed; a create that was given up may still have a permit. */
  ended(): void {
    for (const unwatch of this.unwatch.splice(0)) unwatch();
  }

  /** Looks at the pool. */
  refresh(): void {
    const stats = this.pool!.stats();
    const coming = stats.creatingConnections + stats.checkingConnections;
    this.occupied = this.held + Math.max(this.blocked.size, stats.creatingConnections - this.opening);
    this.living = stats.totalConnections - stats.destroyingConnections - this.blocked.size;
    this.spare = Math.min(this.living, stats.idleConnections + Math.max(0, coming - stats.waiting));
    this.active = stats.activeConnections;
    this.unserved = stats.suspended ? 0 : Math.max(0, stats.waiting - coming);
    this.wanted = Math.min(this.limit, this.occupied + this.unserved);
  }

  /** How many more connections it could use than it is to have; none if nobody waits for one. */
  get lack(): number {
    if (this.hasLeft || this.unserved + this.blocked.size === 0) return 0;
    return Math.max(0, this.wanted - this.target);
  }

  /** Lets the pool have what it was given. */
  apply(): void {
    this.unblock();
    const pool = this.pool!;
    // By somebody else it may have been closed just now; the event is on its way.
    if (this.hasLeft || pool.state === 'closed' || this.applied === this.target) return;
    this.applied = this.target;
    pool.resize({ maxConnections: this.target });
  }

  take(): boolean {
    if (this.held >= this.quota && !this.owner.extend(this)) return false;
    this.use(1);
    this.opening += 1;
    return true;
  }

  takeLater(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.blocked.delete(begin);
        reject(signal.reason as Error);
        this.owner.heed(this);
      };
      const begin = (): void => {
        signal.removeEventListener('abort', stop);
        this.use(1);
        this.opening += 1;
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
      this.blocked.add(begin);
      this.owner.heed(this);
    });
  }

  createEnded(): void {
    this.opening -= 1;
  }

  giveBack(): void {
    this.use(-1);
    this.owner.heed(this);
    this.unblock();
  }

  private use(more: number): void {
    this.held += more;
    this.owner.use(more);
  }

  private unblock(): void {
    for (const begin of this.blocked) {
      if (this.held >= this.quota) return;
      this.blocked.delete(begin);
      begin();
    }
  }

  /** No event says that an acquire waits, and who is given the pool itself acquires where nobody else sees it. */
  private watchWaits<T>(pool: ConnectionPool<T>): void {
    // oxlint-disable-next-line typescript/unbound-method -- it is called on its pool
    const { acquire } = pool;
    pool.acquire = (options) => {
      if (this.hasLeft) return acquire.call(pool, options);
      this.owner.expect(this);
      const lease = acquire.call(pool, options);
      // At its own maximum no budget can help it.
      if (this.target < this.limit) this.owner.heed(this);
      return lease;
    };
  }
}
