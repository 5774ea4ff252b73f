import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf, connectionReset, HttpDialError, nameOf, type Peer } from './dial-error.js';
import { step } from './socket-step.js';

/**
 * Asks a proxy for a tunnel to a target, over a socket that is connected to the proxy. From then on the socket speaks with
 * the target; the proxy has been told where it is and nothing else. Whatever fails destroys the socket.
 *
 * @internal
 */
export function tunnel(
  socket: Socket,
  proxy: Peer,
  target: Peer,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Socket> {
  return step<Socket>(
    signal,
    ({ resolve, reject }) => {
      const fail = (error: unknown): void => {
        socket.destroy();
        reject(failure(proxy, target, codeOf(error)));
      };
      // It may have died between two steps, and a request over a dead socket never says so.
      if (socket.destroyed) return fail(socket.errored ?? connectionReset());
      const request = httpRequest({
        method: 'CONNECT',
        path: target.name,
        headers: { ...headers, host: target.name, connection: 'keep-alive' },
        createConnection: () => socket,
      });
      request.once('connect', ({ statusCode = 0 }, _socket, head: Buffer) => {
        if (statusCode < 200 || statusCode > 299) {
          socket.destroy();
          return reject(refusal(proxy, target, statusCode));
        }
        // The other end may have spoken already.
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      request.on('error', fail);
      request.end();
    },
    () => socket.destroy(),
  );
}

function failure(proxy: Peer, target: Peer, code: string): HttpDialError {
  const message = `${nameOf(proxy)} opened no tunnel to ${target.name}: ${code}`;
  return new HttpDialError({ phase: 'proxy', code, target: proxy.name, message });
}

function refusal(proxy: Peer, target: Peer, status: number): HttpDialError {
  const cure = status === 407 ? '; it wants a user and a password, or others: give them in the URL of the proxy' : '';
  return new HttpDialError({
    phase: 'proxy',
    code: 'HTTP_PROXY_REFUSED',
    target: proxy.name,
    message: `${nameOf(proxy)} refused a tunnel to ${target.name}: status ${status}${cure}`,
    status,
    // A proxy that fails, or is busy, may do better later; one that says no says so again.
    retryable: status >= 500 || status === 408 || status === 429,
  });
}
