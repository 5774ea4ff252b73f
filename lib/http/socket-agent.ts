import { Agent as HttpAgent, type AgentOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
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
