import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionFactory, CreateContext, HookContext } from '../core/index.js';
import { HttpConnection } from './http-connection.js';
import { type HttpSettings } from './http-settings.js';

/**
 * Opens sockets to one origin and says at once when one of them dies.
 *
 * @publicApi
 */
export class HttpConnectionFactory implements ConnectionFactory<HttpConnection> {
  readonly isHealthy: ConnectionFactory<HttpConnection>['isHealthy'];
  readonly #settings: HttpSettings;
  /** The newest TLS session, shared so that the next connection need not shake hands in full. */
  #session: Buffer | undefined;

  /** @internal */
  constructor(settings: HttpSettings) {
    this.#settings = settings;
    const { healthCheck } = settings;
    if (healthCheck !== false) {
      this.isHealthy = (connection: HttpConnection, context: HookContext) =>
        connection.check(healthCheck.method, healthCheck.path, context.signal);
    }
  }

  create(context: CreateContext): Promise<HttpConnection> {
    const socket = this.#dial();
    const { signal, broken } = context;
    return new Promise((resolve, reject) => {
      const settle = (): void => signal.removeEventListener('abort', giveUp);
      const giveUp = (): void => {
        socket.destroy();
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      let lastError: Error | undefined;
      // For the life of the socket: an `error` that nobody listens for ends the process.
      socket.on('error', (error) => (lastError = error));
      socket.once('close', () => {
        settle();
        const error = lastError ?? Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' });
        reject(error);
        broken(error);
      });
      socket.once(this.#isSecure ? 'secureConnect' : 'connect', () => {
        settle();
        socket.setNoDelay(true);
        socket.unref();
        resolve(new HttpConnection(socket, this.#settings, broken));
      });
    });
  }

  looksAlive(connection: HttpConnection): boolean {
    return connection.isReady;
  }

  /** A borrower that ended its request, or left it behind, has spoiled the connection for the next one. No fault of ours. */
  reset(connection: HttpConnection): void {
    if (!connection.isReady) connection.spoil('the connection came back with a request on it, or closed');
  }

  destroy(connection: HttpConnection): Promise<void> {
    return connection.close();
  }

  get #isSecure(): boolean {
    return this.#settings.base.protocol === 'https:';
  }

  #dial(): Socket {
    const { base, tls } = this.#settings;
    const host = base.hostname.replace(/^\[|\]$/g, '');
    if (!this.#isSecure) return connect({ host, port: Number(base.port || 80) });
    // An IP address is no server name: certificates name it as an address.
    const servername = /^[\d.]+$|:/.test(host) ? undefined : host;
    // The address last: `tls` says how to speak to the server of `baseURL`, not to which one.
    const socket = connectTls({ servername, session: this.#session, ...tls, host, port: Number(base.port || 443) });
    return socket.on('session', (session: Buffer) => (this.#session = session));
  }
}
