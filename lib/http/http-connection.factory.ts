import type { ConnectionFactory, CreateContext, HookContext } from '../core/index.js';
import { Dialer } from './dialer.js';
import { H2Link } from './h2-link.js';
import { H2Sessions } from './h2-sessions.js';
import { HttpConnection } from './http-connection.js';
import type { HttpLink } from './http-link.js';
import { type HttpSettings, textOf } from './http-settings.js';
import { KeepAlive } from './keep-alive.js';
import { nodeTransport } from './node-transport.js';
import { PooledSocket } from './pooled-socket.js';
import { SocketLink, type SocketSource } from './socket-link.js';
import type { TransportMaker } from './transport.js';

/**
 * Opens connections to one origin and says at once when one of them dies.
 *
 * @publicApi
 */
export class HttpConnectionFactory implements ConnectionFactory<HttpConnection> {
  readonly isHealthy: ConnectionFactory<HttpConnection>['isHealthy'];
  readonly #settings: HttpSettings;
  readonly #dialer: Dialer;
  readonly #sockets: SocketSource;
  /** Set for `protocol: 'h2'`. */
  readonly #sessions: H2Sessions | undefined;

  /** @internal */
  constructor(settings: HttpSettings) {
    this.#settings = settings;
    this.#dialer = new Dialer(settings.dial);
    this.#sockets = {
      dial: (signal) => this.#dial(signal),
      keepAlive: new KeepAlive(settings.keepAliveMs),
      replay: settings.replay,
      connectTimeoutMs: settings.createTimeoutMs,
    };
    const { base, protocol, h2, maxLifetimeMs, healthCheck } = settings;
    if (protocol === 'h2') {
      const dial = this.#dialer.dial.bind(this.#dialer);
      this.#sessions = new H2Sessions({ base, dial, maxSessions: h2.maxSessions, maxAgeMs: maxLifetimeMs });
    }
    if (healthCheck !== false) {
      // One that was of use a moment ago need not be asked: had it closed since, it would have said so.
      this.isHealthy = (connection: HttpConnection, context: HookContext) =>
        connection.isCheckedFreely || connection.isGettingCold
          ? connection.check(healthCheck.method, healthCheck.path, context.signal)
          : connection.isOpen;
    }
  }

  /** Where its connections go. @internal */
  get baseURL(): string {
    return textOf(this.#settings.base);
  }

  async create(context: CreateContext): Promise<HttpConnection> {
    return new HttpConnection(await this.#link(context), this.#settings, context.broken);
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

  async #link({ signal, broken }: CreateContext): Promise<HttpLink> {
    if (this.#sessions !== undefined) return H2Link.open(this.#sessions, this.#settings.replay, { signal, broken });
    return new SocketLink(await this.#dial(signal), this.#sockets, broken);
  }

  async #dial(signal: AbortSignal): Promise<PooledSocket> {
    const makeTransport = await this.#transport();
    const socket = await this.#dialer.dial(signal);
    return new PooledSocket(socket, makeTransport(socket, this.#settings, this.#dialer.forward));
  }

  async #transport(): Promise<TransportMaker> {
    if (this.#settings.transport === 'node') return nodeTransport;
    // An optional peer: whoever stays with Node's own client need not have it.
    const { loadUndici, undiciTransport } = await import('./undici-transport.js');
    const undici = await loadUndici();
    return (socket, { base }, forward) => undiciTransport(undici, socket, base, forward);
  }
}
