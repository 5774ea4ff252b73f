import type { Client } from 'pg';
import type { ConnectionFactory, CreateContext } from '../core/index.js';
import { cancelRunning } from './cancel-request.js';
import { isEnding, isQuiet, isUsable, keepListeners, PooledClient, socketOf } from './pooled-client.js';
import type { PostgresSettings } from './postgres-settings.js';
import { beginSession, resetSession } from './session-reset.js';

/** How long a polite end waits for the server's side of it before the socket is torn down. */
const LINGER_MS = 1_000;
/** How long the end of a connection waits for the server to hear that its query is not wanted any more. */
const CANCEL_LIMIT_MS = 2_000;

/**
 * SQLSTATEs that stay until somebody changes something: a wrong password or role (28), an unknown database, and SQL of
 * `onConnect` that is wrong or not allowed (42). Tried again and again, a wrong password locks the account.
 */
const PERMANENT = /^(28|42|3D000$|3F000$)/;

/**
 * Opens, checks, resets and closes sessions of one database.
 *
 * @publicApi
 */
export class PostgresConnectionFactory implements ConnectionFactory<Client> {
  readonly isHealthy: ConnectionFactory<Client>['isHealthy'];
  readonly #settings: PostgresSettings;

  /** @internal */
  constructor(settings: PostgresSettings) {
    this.#settings = settings;
    const { healthCheck } = settings;
    if (healthCheck === false) return;
    this.isHealthy = async (client: Client): Promise<boolean> => {
      await client.query(healthCheck);
      (client as PooledClient).rest();
      return true;
    };
  }

  async create({ signal, broken }: CreateContext): Promise<Client> {
    const client = new PooledClient(this.#settings, broken);
    // Wherever it is: resolving the name, connecting, shaking hands, or in `onConnect`.
    const giveUp = (): void => void socketOf(client).destroy();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await client.connect();
      await beginSession(client);
    } catch (error) {
      await this.destroy(client);
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    keepListeners(client);
    client.rest();
    return client;
  }

  retryable(error: unknown): boolean {
    const { code } = (error ?? {}) as { code?: unknown };
    return typeof code !== 'string' || !PERMANENT.test(code);
  }

  looksAlive(client: Client): boolean {
    return isUsable(client);
  }

  reset(client: Client): Promise<void> | undefined {
    return resetSession(client as PooledClient);
  }

  /** Ends an unused session politely. One that is at work, or was when it failed, is torn down, and its server told to stop. */
  async destroy(client: Client): Promise<void> {
    const socket = socketOf(client);
    const closed = socket.closed ? undefined : new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (!isQuiet(client)) {
      // The server looks at a lost client only when it has something to tell it, and would work on for nobody.
      const cancelled = cancelRunning(client, CANCEL_LIMIT_MS);
      socket.destroy();
      await Promise.all([closed, cancelled]);
      return;
    }
    if (isUsable(client)) void client.end();
    // One that its borrower has ended is on its way out.
    else if (!isEnding(client)) socket.destroy();
    const linger = setTimeout(() => socket.destroy(), LINGER_MS);
    await closed;
    clearTimeout(linger);
  }
}
