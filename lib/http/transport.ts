import type { Socket } from 'node:net';
import type { WatchedAdapter } from './answer-watch.js';
import type { Forwarding } from './dialer.js';
import type { HttpSettings } from './http-settings.js';

/**
 * What carries the requests of one connection over one socket that is open already. It never opens another one: once the
 * socket is gone, every request over it fails, and the connection decides what follows.
 *
 * @internal
 */
export interface HttpTransport {
  /**
   * Sends one request. It is never asked for two at the same time: the next one comes when the answer before it has been read
   * to its end, or its stream has closed. `config.signal` is not set: a request is ended by the end of its socket.
   *
   * What it rejects with may be anything that has a `code`; the connection makes an {@link HttpError} of it. A watch that comes
   * with it is told of the answer's end: the rest is for the socket's owner to see.
   */
  readonly adapter: WatchedAdapter;
  /** Lets go of what it holds besides the socket, which its owner closes. */
  close(): void;
}

/**
 * Makes a transport for a socket. `forward` is there where `http:` goes through a proxy.
 *
 * @internal
 */
export type TransportMaker = (socket: Socket, settings: HttpSettings, forward: Forwarding | undefined) => HttpTransport;
