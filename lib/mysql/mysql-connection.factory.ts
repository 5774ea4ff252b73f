import type { Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import type { ConnectionFactory, CreateContext } from '../core/index.js';
import type { MysqlSettings } from './mysql-settings.js';
import { PooledConnection, pooledConnectionOf, withoutSql } from './pooled-connection.js';
import { QueryKiller } from './query-killer.js';
import { beginSession, resetSession } from './session-reset.js';

/** How long the end of a connection waits for the server to hear that its work is not wanted any more. */
const KILL_LIMIT_MS = 2_000;

/**
 * What stays until somebody changes something: a wrong user or password, an account that is locked, an unknown database, a
 * login that needs TLS. Tried again and again, a wrong password locks the account.
 */
const PERMANENT = new Set([1044, 1045, 1049, 1251, 1275, 1524, 1698, 1820, 1862, 3118, 3159, 3878, 3955, 4151]);

/**
 * Opens, checks, resets and closes sessions of one server.
 *
 * @publicApi
 */
export class MysqlConnectionFactory implements ConnectionFactory<Connection> {
  readonly #settings: MysqlSettings;
  readonly #killer: QueryKiller;

  /** @internal */
  constructor(settings: MysqlSettings) {
    this.#settings = settings;
    this.#killer = new QueryKiller(settings, (signal, stream) => this.#dial(signal, () => {}, stream));
  }

  async create({ signal, broken }: CreateContext): Promise<Connection> {
    const connection = await this.#dial(signal, broken);
    const giveUp = (): void => void connection.stream.destroy();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await beginSession(connection);
      if (!connection.isUsable) throw new Error('the connection was closed while its session began');
    } catch (error) {
      giveUp();
      throw signal.aborted ? signal.reason : withoutSql(error);
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    connection.keepListeners();
    connection.rest();
    return connection.promised;
  }

  retryable(error: unknown): boolean {
    return !PERMANENT.has((error as { errno?: number } | null | undefined)?.errno ?? 0);
  }

  looksAlive(connection: Connection): boolean {
    return pooledConnectionOf(connection).isUsable;
  }

  async isHealthy(connection: Connection): Promise<boolean> {
    const pooled = pooledConnectionOf(connection);
    await pooled.answers();
    pooled.rest();
    return true;
  }

  reset(connection: Connection): Promise<void> | undefined {
    return resetSession(pooledConnectionOf(connection));
  }

  /** Ends an unused session politely. One that is at work is torn down, and its server told to stop. */
  async destroy(connection: Connection): Promise<void> {
    const pooled = pooledConnectionOf(connection);
    const isAtWork = pooled.isUsable && pooled.isBusy;
    const killed = isAtWork ? this.#killer.endConnection(pooled, KILL_LIMIT_MS) : undefined;
    await Promise.all([pooled.bury(), killed]);
  }

  async #dial(signal: AbortSignal, broken: (error: unknown) => void, stream?: () => Socket): Promise<PooledConnection> {
    const settings = this.#settings;
    const password = await unlessAborted(signal, settings.passwordFor(signal));
    const owner = { settings, killer: this.#killer, broken };
    const connection = new PooledConnection(owner, settings.configFor(password, stream));
    await connection.opened(signal);
    return connection;
  }
}

/** Somebody else's function may not care for the signal. */
function unlessAborted<R>(signal: AbortSignal, work: Promise<R>): Promise<R> {
  return new Promise<R>((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
