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
import axios, { AxiosError } from 'axios';
import type { AnswerWatch } from './answer-watch.js';
import type { Forwarding } from './dialer.js';
import { gather, mostGathered } from './gathered-answer.js';
import type { TransportMaker } from './transport.js';

/** axios' own adapter for Node, bound to one socket. @internal */
export const nodeTransport: TransportMaker = (socket, settings, forward) => {
  const isSecure = settings.base.protocol === 'https:';
  const agent = agentFor(socket, isSecure);
  const send = axios.getAdapter('http');
  // Of the one request that is about to be sent: axios does not hand it through.
  let asked: Asked | undefined;
  const takeAsked = (): Asked | undefined => {
    const taken = asked;
    // While the connection idles, nothing of a request stays.
    asked = undefined;
    return taken;
  };
  // Whatever a request says of these: it goes over this socket, as it is, to nobody else.
  const own = {
    transport: senderFor(socket, isSecure, forward, takeAsked),
    httpAgent: agent,
    httpsAgent: agent,
    httpVersion: 1 as const,
    maxRedirects: 0,
    proxy: false as const,
    socketPath: undefined,
  };
  // axios sets it anew for every request: two calls to the system each time, and over what the pool's `network` says.
  socket.setKeepAlive = () => socket;
  socket.on('free', forgetRequest);
  return {
    adapter: (config, watch) => {
      asked = { watch, most: mostGathered(config) };
      return send({ ...config, ...own }).catch(renamed);
    },
    close: () => {},
  };
};

/**
 * What Node's agents do with a socket that has become free. Without it the last request stays on the socket, and by way of
 * axios' listeners on it the whole of its answer: for as long as the connection idles, and once for every connection.
 */
function forgetRequest(this: Socket & { _httpMessage?: ClientRequest | null }): void {
  // The next one may be on it already, if somebody sent it from a listener on the end of the last.
  if (this._httpMessage?.destroyed === true) this._httpMessage = null;
}

/** What Node's `http` asks an agent for. Of all that an agent does, no more is needed for one socket and one request at a time. */
interface RequestAcceptor {
  addRequest(request: ClientRequest): void;
}

/** What a request is given its socket by. Node's agents have done so since ever, and every agent on npm does; it is not in the types. */
interface SocketAcceptor {
  onSocket(socket: Socket | null, error?: Error): void;
}

/** An agent that knows one socket, opened already, and never opens another one behind the pool's back. */
function agentFor(socket: Socket, isSecure: boolean): HttpAgent {
  const agent = isSecure ? new HttpsAgent(OPTIONS) : new HttpAgent(OPTIONS);
  let isUsed = false;
  const acceptor: RequestAcceptor = {
    addRequest: (request) => {
      request.reusedSocket = isUsed;
      isUsed = true;
      const acceptor = request as unknown as SocketAcceptor;
      if (socket.destroyed)
        acceptor.onSocket(null, Object.assign(new Error('the socket is closed'), { code: 'ECONNRESET' }));
      else acceptor.onSocket(socket);
    },
  };
  return Object.assign(agent, acceptor);
}

/** Without `keepAlive` a request would ask its server to close. */
const OPTIONS: AgentOptions = { keepAlive: true };

/** What is to be known of a request when its answer comes. */
interface Asked {
  readonly watch: AnswerWatch | undefined;
  /** How large an answer may be that is wanted in one piece. */
  readonly most: number | undefined;
}

/** What axios sends requests by, in place of Node's modules. */
interface Sender {
  request(options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest;
}

/** Node's own `request`, by way of a forwarding proxy where there is one, with two of its habits put right. */
function senderFor(
  socket: Socket,
  isSecure: boolean,
  forward: Forwarding | undefined,
  takeAsked: () => Asked | undefined,
): Sender {
  const send = isSecure ? requestHttps : requestHttp;
  return {
    request: (options, onResponse) => {
      if (forward !== undefined) {
        options.path = forward.origin + options.path!;
        options.headers = { ...(options.headers as Record<string, string>), ...forward.headers };
      }
      const { watch, most } = takeAsked() ?? {};
      const request = send(options, (response) => {
        if (watch !== undefined) response.once('end', () => watch.end());
        // It takes an answer to HEAD without a length for one that ends with its connection, and closes a connection that the
        // server keeps. Every background check would cost one.
        if (options.method === 'HEAD' && isKept(response)) request.shouldKeepAlive = true;
        // And it keeps a connection on which the rest of a request is still to be written, which the server may never read.
        if (!request.writableFinished) response.once('end', () => request.writableFinished || socket.destroy());
        if (most !== undefined) gather(response, most);
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

/** axios calls an answer that breaks off by the same name as one that is too large. It is a connection that failed. */
function renamed(error: unknown): never {
  if (error instanceof AxiosError && error.message === 'stream has been aborted') error.code = 'ECONNRESET';
  throw error;
}
