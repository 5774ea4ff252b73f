import { connect, type Socket } from 'node:net';
import { connectTo } from './address-race.js';
import { codeOf, HttpDialError, type Peer, peerOf } from './dial-error.js';
import { type DialSettings, printable } from './dial-settings.js';
import { neverThrow, reached } from './socket-step.js';
import { TlsLeg } from './tls-leg.js';
import { tunnel } from './tunnel.js';

/** How a request that goes through a forwarding proxy differs from one that does not. @internal */
export interface Forwarding {
  /** What the request target begins with: `http://api.example.com:8080`. */
  readonly origin: string;
  /** Sent with every request, for the proxy. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Opens sockets to one origin: TCP or a Unix socket, through a proxy where there is one, and TLS. Names are looked up anew for
 * every socket. Fails with {@link HttpDialError}.
 *
 * @internal
 */
export class Dialer {
  readonly #settings: DialSettings;
  readonly #server: Peer;
  readonly #tls: TlsLeg | undefined;
  readonly #proxy: Peer | undefined;
  readonly #proxyTls: TlsLeg | undefined;

  constructor(settings: DialSettings) {
    const { base, tls, proxy } = settings;
    this.#settings = settings;
    this.#server = peerOf(base);
    this.#tls = base.protocol === 'https:' ? new TlsLeg(this.#server, tls) : undefined;
    if (proxy === undefined) return;
    this.#proxy = peerOf(proxy.url, true);
    this.#proxyTls = proxy.url.protocol === 'https:' ? new TlsLeg(this.#proxy, () => proxy.tls) : undefined;
  }

  /**
   * Set where `http:` goes through a proxy: requests then name the whole URL and carry the proxy's headers. Not for HTTP/2,
   * which is given a tunnel. A getter, since headers may hold a password: nothing that prints the dialer shows it.
   */
  get forward(): Forwarding | undefined {
    const { base, proxy } = this.#settings;
    if (proxy === undefined || this.#tls !== undefined) return undefined;
    return { origin: base.origin, headers: proxy.headers };
  }

  /**
   * A socket that is connected, has its TLS done, sends without delay, keeps the process alive (until its owner unrefs it) and
   * has a listener for `error`. It may have died since: its owner looks at `destroyed`. Aborting destroys at once whatever was
   * opened, and rejects with the signal's reason.
   */
  async dial(signal: AbortSignal, alpn: readonly string[] = ['http/1.1']): Promise<Socket> {
    const reach = (): Promise<Socket> => this.#reach(signal, alpn);
    const socket = await (this.#tls === undefined ? reach() : this.#tls.over(reach, alpn, signal));
    // An abort that came first wins, also over a last step that had succeeded by then.
    if (signal.aborted) socket.destroy();
    signal.throwIfAborted();
    return socket;
  }

  /** As far as TLS with the server, or the first request where there is none. */
  async #reach(signal: AbortSignal, alpn: readonly string[]): Promise<Socket> {
    const { socketPath, proxy, network } = this.#settings;
    if (socketPath !== undefined) return connectToPath(socketPath, signal);
    if (proxy === undefined) return connectTo(this.#server, network, signal);
    const peer = this.#proxy!;
    const connected = (): Promise<Socket> => connectTo(peer, network, signal);
    const socket = await (this.#proxyTls?.over(connected, ['http/1.1'], signal) ?? connected());
    const isForwarded = this.#tls === undefined && !alpn.includes('h2');
    return isForwarded ? socket : tunnel(socket, peer, this.#server, proxy.headers, signal);
  }
}

async function connectToPath(path: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect({ path });
  neverThrow(socket);
  await reached(socket, 'connect', signal, (error) => {
    const [code, target] = [codeOf(error), printable(path)];
    return new HttpDialError({ phase: 'tcp', code, target, message: `connecting to ${target} failed: ${code}` });
  });
  return socket;
}
