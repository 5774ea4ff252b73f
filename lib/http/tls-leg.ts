import { isIP, type Socket } from 'node:net';
import { connect, type ConnectionOptions as TlsOptions, type TLSSocket } from 'node:tls';
import { codeOf, connectionReset, HttpDialError, type Peer, tlsFailure } from './dial-error.js';
import { neverThrow, reached, step } from './socket-step.js';
import { TlsIdentities, type TlsIdentity } from './tls-sessions.js';

/** @internal */
export type TlsSource = () => TlsOptions | Promise<TlsOptions>;

/**
 * The TLS part of the way to one peer. What it learns (sessions) is there for every socket that follows.
 *
 * @internal
 */
export class TlsLeg {
  readonly #identities = new TlsIdentities();
  readonly #peer: Peer;
  readonly #source: TlsSource;

  constructor(peer: Peer, source: TlsSource) {
    this.#peer = peer;
    this.#source = source;
  }

  /** TLS over a socket that `open` connects to the peer. Whatever fails, or is aborted, leaves no socket behind. */
  async over(open: () => Promise<Socket>, alpn: readonly string[], signal: AbortSignal): Promise<Socket> {
    const identity = this.#identityOf(await this.#options(signal));
    const session = identity.sessions.take();
    const socket = await open();
    try {
      return await handshake(socket, this.#peer, identity, session, alpn, signal);
    } catch (error) {
      if (session === undefined || signal.aborted) throw error;
      // A server that can make nothing of a session shakes hands in full; some hang up instead.
      identity.sessions.clear();
      return handshake(await open(), this.#peer, identity, undefined, alpn, signal);
    }
  }

  #options(signal: AbortSignal): Promise<TlsOptions> {
    const asked = async (): Promise<TlsOptions> => this.#source();
    return step<TlsOptions>(
      signal,
      ({ resolve, reject }) => {
        asked().then(
          (options: unknown) =>
            typeof options === 'object' && options !== null
              ? resolve(options)
              : reject(this.#unusable('the function given as tls returned no options', 'ERR_INVALID_RETURN_VALUE')),
          // Its own error goes along as the cause: whoever wrote the function knows what may be in it.
          (cause: unknown) => reject(this.#unusable('the function given as tls failed', codeOf(cause), cause)),
        );
      },
      () => {},
    );
  }

  #identityOf(options: TlsOptions): TlsIdentity {
    try {
      return this.#identities.of(options);
    } catch (error) {
      throw this.#unusable(
        `the certificate, key or authority given as tls cannot be used: ${codeOf(error)}`,
        codeOf(error),
      );
    }
  }

  #unusable(what: string, code: string, cause?: unknown): HttpDialError {
    const { name, isProxy } = this.#peer;
    return new HttpDialError({
      phase: isProxy ? 'proxy' : 'tls',
      code,
      target: name,
      message: `TLS with ${name} was not begun: ${what}`,
      // Only what somebody else is asked for may be there the next time.
      retryable: cause !== undefined,
      cause,
    });
  }
}

async function handshake(
  socket: Socket,
  peer: Peer,
  { options, context, sessions }: TlsIdentity,
  session: Buffer | undefined,
  alpn: readonly string[],
  signal: AbortSignal,
): Promise<TLSSocket> {
  // It may have died between two steps.
  if (socket.destroyed) throw tlsFailure(peer, socket.errored ?? connectionReset());
  const secure = begin();
  neverThrow(secure);
  // Node tells of no session before it has accepted the certificate.
  secure.on('session', (ticket: Buffer) => sessions.add(ticket));
  await reached(secure, 'secureConnect', signal, (error) => tlsFailure(peer, error));
  return secure;

  function begin(): TLSSocket {
    try {
      return connect({
        servername: serverNameOf(peer.host),
        ...options,
        // From here on ours: the options say how to speak to the peer, not to which one, nor over what.
        socket,
        host: peer.host,
        port: peer.port,
        path: undefined,
        secureContext: context,
        session,
        ALPNProtocols: [...alpn],
      });
    } catch (error) {
      socket.destroy();
      throw tlsFailure(peer, error);
    }
  }
}

/** None for an IP address, which certificates name as an address; and without the dot that ends a full name. */
function serverNameOf(host: string): string | undefined {
  return isIP(host) === 0 ? host.replace(/\.$/, '') : undefined;
}
