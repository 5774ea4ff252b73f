import type { ConnectionFactory, ConnectionPool, CreateContext, HookContext } from '../core/index.js';
import type { HttpConnection } from './http-connection.js';

/** No timer is set for less, however short the limit: a socket that is over its limit is not lent anyway. */
const SHORTEST_PAUSE_MS = 10;
/** And none for more while there are connections: the next answer may bring a hint that is shorter than what was assumed. */
const LONGEST_PAUSE_MS = 1_000;

/**
 * Looks after the idle sockets of one pool: closes those that have been idle for as long as their server allows, and keeps
 * the pool's minimum, and no more than that, from getting there.
 *
 * It is the pool's factory and passes everything on to the real one, but for the background check. That is a request to the
 * server only where the minimum would otherwise go cold; for all others the free check does, since a socket that closes says
 * so itself.
 *
 * @internal
 */
export class HttpUpkeep implements ConnectionFactory<HttpConnection> {
  readonly isHealthy: ConnectionFactory<HttpConnection>['isHealthy'];
  readonly reset: ConnectionFactory<HttpConnection>['reset'];
  readonly destroy: ConnectionFactory<HttpConnection>['destroy'];
  readonly retryable: ConnectionFactory<HttpConnection>['retryable'];
  readonly looksAlive: ConnectionFactory<HttpConnection>['looksAlive'];
  private pool: ConnectionPool<HttpConnection> | undefined;
  /** The one opened last: they all have the same limit. */
  private newest: HttpConnection | undefined;
  /** Hidden from `inspect`, to which a timer shows all others of the process. */
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly factory: ConnectionFactory<HttpConnection>) {
    // Only the hooks that are there: an absent one says that there is nothing to do.
    if (factory.isHealthy !== undefined) this.isHealthy = (connection, context) => this.check(connection, context);
    this.reset = factory.reset?.bind(factory);
    this.destroy = factory.destroy?.bind(factory);
    this.retryable = factory.retryable?.bind(factory);
    this.looksAlive = factory.looksAlive?.bind(factory);
  }

  async create(context: CreateContext): Promise<HttpConnection> {
    return (this.newest = await this.factory.create(context));
  }

  /** Begins its work. One timer for all sockets, and none while there are none. */
  watch(pool: ConnectionPool<HttpConnection>): void {
    this.pool = pool;
    pool.on('create', () => {
      if (this.#timer === undefined) this.lookAgainIn(0);
    });
    pool.on('state', ({ to }) => {
      if (to === 'closed') clearTimeout(this.#timer);
    });
  }

  private check(connection: HttpConnection, context: HookContext): Promise<boolean> | boolean {
    const isAsked = connection.isCheckedFreely || this.isWarmthNeeded(connection);
    return isAsked ? this.factory.isHealthy!(connection, context) : connection.isOpen;
  }

  /** Whether the pool's minimum would go cold without this one. */
  private isWarmthNeeded(connection: HttpConnection): boolean {
    const { minConnections, activeConnections, checkingConnections } = this.pool!.stats();
    if (minConnections === 0 || !connection.isGettingCold) return false;
    let warm = activeConnections + checkingConnections - 1;
    this.forEachIdle(({ isGettingCold }) => {
      if (!isGettingCold) warm += 1;
    });
    return warm < minConnections;
  }

  /** Closes what has been idle for too long, and finds out when to look again. */
  private readonly look = (): void => {
    this.#timer = undefined;
    const { idleLimitMs } = this.newest!;
    if (idleLimitMs === Infinity) return;
    // Those in use may be idle from now on.
    let pauseMs = Math.min(LONGEST_PAUSE_MS, idleLimitMs);
    this.pool!.evict((connection) => {
      const { idleLeftMs } = connection;
      if (idleLeftMs > 0) pauseMs = Math.min(pauseMs, idleLeftMs);
      return idleLeftMs <= 0;
    });
    if (this.pool!.stats().totalConnections > 0) this.lookAgainIn(pauseMs);
  };

  private lookAgainIn(pauseMs: number): void {
    if (this.pool!.state === 'closed') return;
    this.#timer = setTimeout(this.look, Math.max(SHORTEST_PAUSE_MS, pauseMs)).unref();
  }

  /** The idle ones, by the one door that the pool has to them: none of them is evicted. */
  private forEachIdle(tell: (connection: HttpConnection) => void): void {
    this.pool!.evict((connection) => {
      tell(connection);
      return false;
    });
  }
}
