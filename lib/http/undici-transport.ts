import type { Socket } from 'node:net';
import type { buildConnector, Client, Dispatcher } from 'undici';
import type { AnswerWatch } from './answer-watch.js';
import type { Forwarding } from './dialer.js';
import { exchangeAdapter } from './exchange-adapter.js';
import { type AnswerSink, codedError, type Exchange, type ExchangeControl, likeNode } from './exchange.js';
import type { HttpTransport } from './transport.js';

type Undici = typeof import('undici');

/** Loads once what has been asked for; a failure is told, and asked for anew. @internal */
export function undiciLoader(load: () => Promise<Undici>): () => Promise<Undici> {
  let loading: Promise<Undici> | undefined;
  return () =>
    (loading ??= load().catch((cause: unknown) => {
      loading = undefined;
      const problem = "transport: 'undici' needs the package undici, 7.30 or newer: npm install undici@7";
      throw Object.assign(codedError(problem, 'ERR_UNDICI_MISSING', cause), { retryable: false });
    }));
}

/**
 * Loads undici when the first connection is opened: whoever stays with Node's own client need not have it.
 *
 * @internal
 */
export const loadUndici = undiciLoader(() => import('undici'));

/** Out of the way: the deadline is the connection's, and so is how long it may idle. The longest that a timer can wait. */
const NEVER_MS = 2 ** 31 - 1;
const CLIENT: Client.Options = {
  pipelining: 1,
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: NEVER_MS,
  keepAliveMaxTimeout: NEVER_MS,
  // Added to a server's hint, so that undici neither waits for it nor gives up a connection whose hint is short.
  keepAliveTimeoutThreshold: -NEVER_MS,
};

/**
 * Carries requests by undici, whose client is given this one socket and never another.
 *
 * @internal
 */
export function undiciTransport({ Client }: Undici, socket: Socket, base: URL, forward?: Forwarding): HttpTransport {
  // As if it were plain: the socket has its TLS done, and for `https:` undici drops it when a request has a `host` of its own.
  const client = new Client(`http://${base.host}`, { ...CLIENT, connect: handOver(socket) });
  const exchange: Exchange = ({ method, path, headers, body, watch }, sink) => {
    const handler = new UndiciExchange(sink, watch);
    // `reset: false`: undici would close the connection after every HEAD, and after a GET or DELETE with a body.
    client.dispatch({ method, path, headers: headers as string[], body: body ?? null, reset: false }, handler);
    return handler;
  };
  return {
    adapter: exchangeAdapter(exchange, {
      targetPrefix: forward?.origin,
      headers: { host: base.host, ...forward?.headers },
    }),
    close: () => void client.destroy().catch(() => {}),
  };
}

/** Hands over the socket, once; afterwards, and when it has died, there is nothing to connect to. */
function handOver(socket: Socket): buildConnector.connector {
  let isHandedOut = false;
  return (_options, callback) => {
    // Not at once: undici would take the answer for a part of its question, and never send the request.
    queueMicrotask(() => {
      if (isHandedOut || socket.destroyed) {
        return callback(codedError('the pooled connection is closed', 'ECONNRESET'), null);
      }
      isHandedOut = true;
      // undici takes it for one that keeps the process alive, and unrefs and refs it from there on.
      socket.ref();
      callback(null, socket);
    });
  };
}

/** One request as undici sees it, and one exchange as we do. */
class UndiciExchange implements Dispatcher.DispatchHandler, ExchangeControl {
  private controller: Dispatcher.DispatchController | undefined;
  private abortedBy: Error | undefined;

  constructor(
    private readonly sink: AnswerSink,
    private readonly watch: AnswerWatch | undefined,
  ) {}

  abort(reason: Error): void {
    this.abortedBy ??= reason;
    this.controller?.abort(reason);
  }

  pause(): void {
    this.controller?.pause();
  }

  resume(): void {
    this.controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for the one before it. (Aborting would take the socket down, on which nothing of it is.)
    if (this.abortedBy !== undefined) throw this.abortedBy;
    this.controller = controller;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<typeof likeNode>[0],
    statusText = '',
  ): void {
    // 103 and its kin announce an answer, and are none.
    if (status >= 200) this.sink.onHead(status, statusText, likeNode(headers));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.sink.onData(chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: Parameters<typeof likeNode>[0]): void {
    this.watch?.end();
    this.sink.onEnd(likeNode(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.sink.onError(likeNodeError(error));
  }
}

/** undici's words for what Node's own client calls otherwise; whatever else it has a code for is Node's already. */
const CODES: Record<string, string> = {
  UND_ERR_SOCKET: 'ECONNRESET',
  UND_ERR_INFO: 'ECONNRESET',
  UND_ERR_CLOSED: 'ECONNRESET',
  UND_ERR_DESTROYED: 'ECONNRESET',
  UND_ERR_ABORTED: 'ECONNRESET',
  // The answer breaks off.
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'ECONNRESET',
  HPE_INVALID_EOF_STATE: 'ECONNRESET',
  UND_ERR_HEADERS_OVERFLOW: 'HPE_HEADER_OVERFLOW',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
  UND_ERR_INVALID_ARG: 'ERR_BAD_REQUEST',
  UND_ERR_NOT_SUPPORTED: 'ERR_NOT_SUPPORT',
};

/** A new one: undici's may hold a piece of the answer. */
function likeNodeError({ name, code, message }: Error & { code?: string }): Error {
  return codedError(message, code === undefined ? codeByText(name, message) : (CODES[code] ?? code));
}

/** undici's parser has codes that it forgets to tell. Which of them it was, only its text says, and a caller hardly cares. */
function codeByText(name: string, message: string): string {
  return name === 'HTTPParserError' && !message.includes('EOF') ? 'HPE_INVALID_CONSTANT' : 'ECONNRESET';
}
