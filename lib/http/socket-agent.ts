import {
  Agent as HttpAgent,
  type AgentOptions,
  type ClientRequest,
  type IncomingMessage,
  request as requestHttp,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';

const OPTIONS: AgentOptions = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1 };

/**
 * An agent that knows one socket, opened already. Requests made at the same time go one after the other over it; once it
 * is closed they fail, and never open another one behind the pool's back.
 *
 * @internal
 */
export function agentFor(socket: Socket, isSecure: boolean): HttpAgent {
  let isHandedOut = false;
  const createConnection = (_options: unknown, callback: (error: Error | null, socket?: Socket) => void): undefined => {
    if (isHandedOut || socket.destroyed) {
      callback(Object.assign(new Error('the pooled connection is closed'), { code: 'ECONNRESET' }));
      return;
    }
    isHandedOut = true;
    // The pool's idle sockets do not keep the process alive; one with a request on it does.
    socket.ref();
    callback(null, socket);
  };
  const agent = isSecure ? new HttpsAgent(OPTIONS) : new HttpAgent(OPTIONS);
  return Object.assign(agent, { createConnection });
}

/** What axios sends requests by, in place of Node's modules. @internal */
export interface Transport {
  request(options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest;
}

/**
 * Node's own `request`, with one mistake of it put right: it takes an answer to HEAD without a length for one that ends
 * with its connection, and closes a connection that the server keeps. Every background check would cost one.
 *
 * @internal
 */
export function transportFor(isSecure: boolean): Transport {
  const send = isSecure ? requestHttps : requestHttp;
  return {
    request: (options, onResponse) => {
      const request = send(options, (response) => {
        if (options.method === 'HEAD' && isKept(response)) request.shouldKeepAlive = true;
        onResponse(response);
      });
      return request;
    },
  };
}

function isKept({ httpVersion, headers }: IncomingMessage): boolean {
  const says = headers.connection?.toLowerCase() ?? '';
  return httpVersion === '1.1' ? !says.includes('close') : says.includes('keep-alive');
}
