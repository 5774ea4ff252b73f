import { inspect } from 'node:util';
import type { PoolConnection } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { ConnectionCreateError, type Lease } from '../core/index.js';
import type { MysqlFacadeSettings } from './facade-options.js';
import type { MysqlPool } from './mysql-pool.js';
import { DriverPool } from './mysql2-internals.js';
import { type PooledConnection, pooledConnectionOf } from './pooled-connection.js';

type ConnectionCallback = (error: unknown, connection?: PoolConnection) => void;
type EndCallback = (error?: Error) => void;

/** The longest time that a timer of Node can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * mysql2's pool on a pool of ours: `query`, `execute`, `format`, `escape` and `promise()` are mysql2's own, and all go through
 * what is overridden here. It keeps no connection itself: what it borrows, and for whom, is the pool's business.
 *
 * @internal
 */
export class MysqlPoolFacade extends DriverPool {
  readonly #pool: MysqlPool;
  readonly #settings: MysqlFacadeSettings;
  /** Connections that have been lent here before. */
  readonly #known = new WeakSet<PooledConnection>();
  /** Acquires and leases that have not ended. */
  #outstanding = 0;
  #ended: Promise<void> | undefined;
  /** Called when nothing is outstanding any more, or never will be. */
  #settled: (() => void) | undefined;

  constructor(pool: MysqlPool, settings: MysqlFacadeSettings) {
    const { maxConnections } = pool.stats();
    super({
      config: {
        connectionConfig: pool.settings.publicConfig(),
        waitForConnections: true,
        connectionLimit: maxConnections,
        maxIdle: maxConnections,
      },
    });
    this.#pool = pool;
    this.#settings = settings;
    Object.defineProperty(this, 'config', { enumerable: false });
  }

  getConnection(callback: ConnectionCallback): void {
    if (this._closed) {
      process.nextTick(callback, new Error('Pool is closed.'));
      return;
    }
    this.#borrow(callback);
  }

  releaseConnection(connection: { release(): void }): void {
    connection.release();
  }

  end(callback: EndCallback = throwError): void {
    this._closed = true;
    this.#ended ??= this.#end();
    void this.#ended.then(() => process.nextTick(callback));
  }

  /** Without what its listeners and its options may hold. */
  [inspect.custom](): string {
    return `MySQL pool of ${this.#pool.settings.description}`;
  }

  toJSON(): object {
    return { upstream: this.#pool.settings.description };
  }

  #borrow(callback: ConnectionCallback): void {
    this.#outstanding += 1;
    const ready = this.#pool.tryAcquire();
    if (ready !== undefined) {
      const connection = this.#lend(ready);
      process.nextTick(callback, null, connection);
      return;
    }
    const lease = this.#pool.acquire();
    if (this.listenerCount('enqueue') > 0 && this.#isFull()) this.emit('enqueue');
    // In a tick of its own: what a listener or the callback throws is then an exception, and no rejection of a promise of ours.
    lease.then(
      (lent) => process.nextTick(() => this.#handOver(lent, callback)),
      (error: unknown) => {
        this.#returned();
        // As from mysql2's own pool: whoever looks at the code of a failed connect looks for the driver's.
        process.nextTick(callback, error instanceof ConnectionCreateError ? error.cause : error);
      },
    );
  }

  #handOver(lease: Lease<Connection>, callback: ConnectionCallback): void {
    if (lease.isHeld && pooledConnectionOf(lease.connection).isUsable) return callback(null, this.#lend(lease));
    // Taken away, or dead, between the lease and this tick. Its borrower would not know that he has anything to give back.
    if (lease.isHeld) lease.release();
    this.#returned();
    this.#borrow(callback);
  }

  #lend(lease: Lease<Connection>): PoolConnection {
    const connection = pooledConnectionOf(lease.connection);
    const lender = {
      release: (): void => this.#takeBack(connection, () => lease.release()),
      destroy: (reason: unknown): void => this.#takeBack(connection, () => lease.destroy(reason)),
    };
    connection.lender = lender;
    try {
      if (!this.#known.has(connection)) {
        this.#known.add(connection);
        this.emit('connection', connection);
        connection.keepListeners();
      }
      this.emit('acquire', connection);
    } catch (error) {
      lender.release();
      throw error;
    }
    return connection as unknown as PoolConnection;
  }

  #takeBack(connection: PooledConnection, giveBack: () => void): void {
    connection.lender = undefined;
    giveBack();
    this.emit('release', connection);
    this.#returned();
  }

  #returned(): void {
    this.#outstanding -= 1;
    if (this.#outstanding === 0) this.#settled?.();
  }

  #isFull(): boolean {
    const { totalConnections, maxConnections, creatingConnections, waiting } = this.#pool.stats();
    return totalConnections >= maxConnections && waiting > creatingConnections;
  }

  async #end(): Promise<void> {
    if (this.#settings.endClosesPool) await this.#pool.close();
    else if (this.#outstanding > 0) await this.#untilReturned();
  }

  /** Or until the pool is closed by its owner, who takes connections away from borrowers that are late. */
  #untilReturned(): Promise<void> {
    return new Promise((resolve) => {
      const settle = (this.#settled = (): void => {
        clearTimeout(timer);
        stopListening();
        resolve();
      });
      const stopListening = this.#pool.on('state', ({ to }) => {
        if (to === 'closed') settle();
      });
      const timer = setTimeout(settle, Math.min(this.#settings.endTimeoutMs, LONGEST_TIMER_MS));
    });
  }
}

function throwError(error?: Error): void {
  if (error) throw error;
}
