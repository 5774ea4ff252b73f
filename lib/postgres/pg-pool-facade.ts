import type { EventEmitter } from 'node:events';
import { types } from 'node:util';
import { type Client, Pool, type PoolClient } from 'pg';
import { ConnectionCreateError, type ConnectionPool, isPoolError, type Lease } from '../core/index.js';
import { hasEnded, isLent, isUsable, PgLease, type Reason, type Release } from './pg-pool-lease.js';
import type { PgPoolSettings } from './pg-pool-options.js';
import { type QueryDone, runQuery } from './pg-pool-query.js';
import { keepListeners, PooledClient } from './pooled-client.js';

/**
 * What is used of the class that libraries ask an instance for. All that it does itself is overridden, so it is typed by the
 * little that stays; `asPgPool` gives the whole its public type.
 */
const PgPool = Pool as unknown as new (config: object) => EventEmitter & {
  options: object;
  ending: boolean;
  ended: boolean;
};

type ConnectCallback = (error: Error | undefined, client: PoolClient | undefined, release: Release) => void;

/** The longest time that a timer of Node can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * pg-pool's interface on a pool of ours. It keeps no connection itself: what it borrows, and for whom, is the pool's business.
 *
 * @internal
 */
export class PgPoolFacade<C extends Client> extends PgPool {
  readonly #pool: ConnectionPool<C>;
  readonly #settings: PgPoolSettings;
  /** Clients that have been lent here and still live, by the number that the pool knows them by. */
  readonly #clients = new Map<number, C>();
  readonly #subscriptions: (() => void)[];
  /** Acquires and leases that have not ended. */
  #outstanding = 0;
  #isEndCalled = false;
  /** Called when nothing is outstanding any more, or never will be. */
  #settled: (() => void) | undefined;

  constructor(pool: ConnectionPool<C>, settings: PgPoolSettings) {
    super({ idleTimeoutMillis: null, allowExitOnIdle: true });
    this.#pool = pool;
    this.#settings = settings;
    defineLimits(this.options, pool);
    // From the pool and not from the clients: no borrower can take these listeners off, and a client has them but once.
    this.#subscriptions = [
      pool.on('broken', ({ id, error }) => this.#broken(this.#clients.get(id), error)),
      pool.on('destroy', ({ id }) => this.#destroyed(id)),
      pool.on('detach', ({ id }) => this.#clients.delete(id)),
      pool.on('state', ({ to }) => {
        if (to === 'closed') this.#poolClosed();
      }),
    ];
    if (pool.state === 'closed') this.ending = true;
  }

  /** Those being opened included, those being closed not. */
  get totalCount(): number {
    const { totalConnections, destroyingConnections } = this.#pool.stats();
    return totalConnections - destroyingConnections;
  }

  get idleCount(): number {
    return this.#pool.stats().idleConnections;
  }

  /** Those for whom a connection is being opened, reset or checked do not wait, to pg-pool's mind. */
  get waitingCount(): number {
    const { waiting, creatingConnections, checkingConnections } = this.#pool.stats();
    return Math.max(0, waiting - creatingConnections - checkingConnections);
  }

  get expiredCount(): number {
    return 0;
  }

  connect(callback?: ConnectCallback): Promise<PoolClient> | undefined {
    const lent = this.#borrow();
    if (callback === undefined) return lent.then(({ client }) => client, throwFromHere);
    // In a tick of its own: what the callback throws is then an exception, and no rejection of a promise of ours.
    lent.then(
      ({ client, release }) => process.nextTick(callback, undefined, client, release),
      (error) => process.nextTick(callback, error, undefined, ignore),
    );
    return undefined;
  }

  query(query: unknown, values?: unknown, callback?: QueryDone): Promise<unknown> | undefined {
    if (typeof query === 'function') {
      setImmediate(
        query as QueryDone,
        new Error('Passing a function as the first parameter to pool.query is not supported'),
      );
      return undefined;
    }
    const [parameters, done] =
      typeof values === 'function' ? [undefined, values as QueryDone] : [values, callback ?? undefined];
    if (done !== undefined) {
      runQuery(this.#borrow(), query, parameters, done);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      runQuery(this.#borrow(), query, parameters, (error, result) => (error ? reject(error) : resolve(result)));
    }).catch(throwFromHere);
  }

  end(callback?: (error?: Error) => void): Promise<void> | undefined {
    if (this.#isEndCalled) {
      const error = new Error('Called end on pool more than once');
      if (callback === undefined) return Promise.reject(error);
      callback(error);
      return undefined;
    }
    this.#isEndCalled = true;
    this.ending = true;
    const ended = this.#end();
    if (callback === undefined) return ended;
    void ended.then(() => process.nextTick(callback));
    return undefined;
  }

  #borrow(): Promise<PgLease<C>> {
    if (this.#isEndCalled) return Promise.reject(new Error('Cannot use a pool after calling end on the pool'));
    this.#outstanding += 1;
    return this.#pool.acquire().then(this.#lend, this.#refused);
  }

  readonly #refused = (error: unknown): never => {
    this.#returned();
    // As pg-pool does: whoever looks at the code of a failed connect looks for the driver's.
    throw error instanceof ConnectionCreateError ? error.cause : error;
  };

  readonly #lend = (lease: Lease<C>): PgLease<C> => {
    try {
      const client = lease.connection;
      const { id } = lease.info;
      if (!this.#clients.has(id)) {
        this.#clients.set(id, client);
        this.emit('connect', client);
        // What was put on it until now is for its life, as in pg-pool; what a borrower adds goes when he gives it back.
        if (client instanceof PooledClient) keepListeners(client);
      }
      this.emit('acquire', client);
      return new PgLease(client, (reason, isFit) => this.#takeBack(lease, client, reason, isFit));
    } catch (error) {
      // A listener has thrown, or a close by force came between.
      if (lease.isHeld) lease.release();
      this.#returned();
      throw error;
    }
  };

  #takeBack(lease: Lease<C>, client: C, reason: Reason, isFit: boolean): void {
    try {
      this.emit('release', reason, client);
    } finally {
      if (isFit && isUsable(client)) lease.release();
      else lease.destroy(reason);
      this.#returned();
    }
  }

  #broken(client: C | undefined, error: unknown): void {
    // Who holds it hears by the failure of what he does with it.
    if (client === undefined || isLent(client) || this.listenerCount('error') === 0) return;
    // Code looks for the client there; a log of the error had better not.
    if (types.isNativeError(error)) Reflect.defineProperty(error, 'client', { value: client, configurable: true });
    this.emit('error', error, client);
  }

  #destroyed(id: number): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    this.#clients.delete(id);
    if (this.listenerCount('remove') === 0) return;
    const tell = (): boolean => this.emit('remove', client);
    if (hasEnded(client)) tell();
    else client.once('end', tell);
  }

  #returned(): void {
    this.#outstanding -= 1;
    if (this.#outstanding === 0) this.#settled?.();
  }

  async #end(): Promise<void> {
    if (this.#settings.endClosesPool) await this.#pool.close();
    else if (this.#outstanding > 0) await this.#untilReturned();
    this.ended = true;
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#clients.clear();
  }

  #untilReturned(): Promise<void> {
    const { endTimeoutMs } = this.#settings;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(endTimeoutMs, LONGEST_TIMER_MS));
      this.#settled = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#pool.state === 'closed') this.#poolClosed();
    });
  }

  /** By its owner. Clients that do not come back in time are taken from their borrowers: no longer is worth waiting. */
  #poolClosed(): void {
    this.ending = true;
    // Infinity: the owner's deadline stays what it is.
    void this.#pool.close({ timeoutMs: Infinity }).then(() => this.#settled?.());
  }
}

/** As in pg-pool, where a new `max` counts from the next acquire on. */
function defineLimits(options: object, pool: Pick<ConnectionPool<never>, 'stats' | 'resize'>): void {
  Object.defineProperties(options, {
    max: {
      enumerable: true,
      get: () => pool.stats().maxConnections,
      set(maxConnections: number) {
        pool.resize({ maxConnections });
      },
    },
    min: {
      enumerable: true,
      get: () => pool.stats().minConnections,
      set(minConnections: number) {
        pool.resize({ minConnections });
      },
    },
  });
}

/**
 * Lets the stack of the driver's error lead to who asked, in place of the socket that the answer came from. Errors of the
 * pool keep what they have: they are made without one, since a storm of timeouts is dear enough.
 */
function throwFromHere(error: unknown): never {
  if (types.isNativeError(error) && !isPoolError(error)) Error.captureStackTrace(error);
  throw error;
}

function ignore(): void {}
