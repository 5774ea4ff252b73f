import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { answerOf, failureOf, send, sendCut } from './upstream-answer.js';
import { UpstreamConnection } from './upstream-connection.js';
import {
  changeSettings,
  type ResolvedUpstreamSettings,
  type UpstreamRequest,
  type UpstreamSettings,
} from './upstream-settings.js';

const HOST = '127.0.0.1';

/**
 * A real HTTP server that misbehaves as it is told. {@link startUpstreamSimulator} starts one.
 *
 * @publicApi
 */
export class UpstreamSimulator implements AsyncDisposable {
  /** Every request that has arrived whole, in order; also those that are never answered. */
  readonly requests: UpstreamRequest[] = [];
  private settings: ResolvedUpstreamSettings;
  private readonly counts = { accepted: 0, mostConnections: 0, resets: 0 };
  private readonly open = new Set<UpstreamConnection>();
  private readonly ofSocket = new WeakMap<object, UpstreamConnection>();
  /** It never listens, but is handed what `listening` accepts, so that stops and starts do not concern it. */
  private readonly http = createHttpServer({ keepAliveTimeout: 0 });
  private listening: Promise<Server> | undefined = undefined;
  private stopped: Promise<void> = Promise.resolve();
  private isClosed = false;
  private boundPort = 0;
  private resetsDue = 0;
  private cutsDue = 0;
  private isHalfOpen = false;

  /** @internal */
  constructor(settings: UpstreamSettings) {
    this.settings = changeSettings(settings);
    this.http.on('request', (request, response) => void this.receive(request, response));
    this.http.on('clientError', (_error, socket) => {
      const connection = this.ofSocket.get(socket);
      if (connection?.isSilent === false) connection.destroy();
    });
  }

  /** The port; the same after `stop()` and `start()`. */
  get port(): number {
    return this.boundPort;
  }

  /** As in `http://127.0.0.1:49152`. */
  get url(): string {
    return `http://${HOST}:${this.boundPort}`;
  }

  /** Connections open now, as the upstream sees it: while it is half open it does not notice that one is closed. */
  get connections(): number {
    return this.open.size;
  }

  /** The most connections that were open at once. */
  get mostConnections(): number {
    return this.counts.mostConnections;
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.counts.accepted;
  }

  /** Connections that it has reset. */
  get resets(): number {
    return this.counts.resets;
  }

  /**
   * Changes settings, from the next request on. `undefined` puts a default back.
   *
   * @throws TypeError naming every setting that is wrong; nothing is changed then
   */
  set(settings: UpstreamSettings): void {
    this.settings = changeSettings(settings, this.settings);
  }

  /** Resets every connection that is open: clients see ECONNRESET. Returns how many. */
  resetConnections(): number {
    const connections = [...this.open];
    for (const connection of connections) this.reset(connection);
    return connections.length;
  }

  /** Answers the next `count` requests by a reset, before any byte of an answer. 0 takes it back. */
  resetNext(count = 1): void {
    this.resetsDue = wholeCount('resetNext', count);
  }

  /** Answers the next `count` requests by the head and half of the body, and ends the connection there. 0 takes it back. */
  cutNext(count = 1): void {
    this.cutsDue = wholeCount('cutNext', count);
  }

  /**
   * Vanishes as a host behind a firewall does: connections are accepted and requests read, but nothing is answered, and
   * nobody's end is noticed or told.
   */
  goHalfOpen(): void {
    this.isHalfOpen = true;
    for (const connection of this.open) connection.silence();
  }

  /** Serves new connections again. Those that it vanished from stay silent, as after a firewall has forgotten them. */
  recover(): void {
    this.isHalfOpen = false;
  }

  /** Stops as a process does that ends: no port, no connection. Clients see ECONNREFUSED. */
  stop(): Promise<void> {
    const { listening } = this;
    if (listening === undefined) return this.stopped;
    this.listening = undefined;
    return (this.stopped = this.shut(listening));
  }

  /** Listens again, on the same port. */
  start(): Promise<void> {
    if (this.isClosed) return Promise.reject(new Error('upstream simulator: it is closed; start another one'));
    if (this.listening === undefined) {
      const listening = (this.listening = this.listen());
      listening.catch(() => {
        if (this.listening === listening) this.listening = undefined;
      });
    }
    return this.listening.then(() => undefined);
  }

  /** Ends at once, whatever its clients are doing. */
  close(): Promise<void> {
    this.isClosed = true;
    return this.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async listen(): Promise<Server> {
    await this.stopped;
    // With `allowHalfOpen` it is the HTTP server that answers a client's end, or nobody.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(this.boundPort, HOST, resolve);
    });
    this.boundPort = (server.address() as AddressInfo).port;
    return server;
  }

  private async shut(listening: Promise<Server>): Promise<void> {
    const server = await listening.catch(() => undefined);
    const closed = new Promise<unknown>((resolve) =>
      server === undefined ? resolve(undefined) : server.close(resolve),
    );
    for (const connection of this.open) connection.destroy();
    await closed;
  }

  private accept(socket: Socket): void {
    const connection = new UpstreamConnection(socket, (ended) => this.open.delete(ended));
    this.open.add(connection);
    this.ofSocket.set(socket, connection);
    this.counts.accepted += 1;
    this.counts.mostConnections = Math.max(this.mostConnections, this.open.size);
    this.http.emit('connection', socket);
    if (this.isHalfOpen) connection.silence();
  }

  private async receive(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.ofSocket.get(message.socket)!;
    connection.requested();
    response.once('finish', () => connection.answered(this.settings.keepAliveMs));
    const body = await text(message).catch(() => undefined);
    // The client left amid its request.
    if (body === undefined) return;
    const { method = '', url: path = '', headers } = message;
    const request = { method, path, headers, body, at: performance.now() };
    this.requests.push(request);
    if (connection.isSilent) return;
    const { settings } = this;
    const answer = this.fate(request, response, connection, settings);
    connection.later(settings.latencyMs, () => {
      // The upstream may have vanished in the time that an answer takes, or the client left amid it.
      if (!connection.isSilent && !connection.isGone) void answer();
    });
  }

  /** What becomes of a request. It is decided when the request arrives, so that the next n are those that come next. */
  private fate(
    request: UpstreamRequest,
    response: ServerResponse,
    connection: UpstreamConnection,
    settings: ResolvedUpstreamSettings,
  ): () => void | Promise<void> {
    if (this.resetsDue > 0) {
      this.resetsDue -= 1;
      return () => this.reset(connection);
    }
    if (this.cutsDue > 0) {
      this.cutsDue -= 1;
      return async () => sendCut(await answerOf(request, settings), response, connection);
    }
    if (settings.failureRate > 0 && settings.random() < settings.failureRate) {
      return () => send(failureOf(settings), response, connection, settings);
    }
    return async () => send(await answerOf(request, settings), response, connection, settings);
  }

  private reset(connection: UpstreamConnection): void {
    connection.reset();
    this.counts.resets += 1;
  }
}

/**
 * Starts an HTTP server on 127.0.0.1 for tests of what happens when an upstream is slow, fails, hangs up or vanishes.
 *
 * ```ts
 * await using upstream = await startUpstreamSimulator({ latencyMs: 20 });
 * upstream.resetNext(); // the next request meets ECONNRESET
 * upstream.set({ status: 503, latencyMs: 0 });
 * ```
 *
 * @throws TypeError naming every setting that is wrong
 * @publicApi
 */
export async function startUpstreamSimulator(settings: UpstreamSettings = {}): Promise<UpstreamSimulator> {
  const simulator = new UpstreamSimulator(settings);
  await simulator.start();
  return simulator;
}

function wholeCount(method: string, count: unknown): number {
  if (count === Infinity || (Number.isSafeInteger(count) && (count as number) >= 0)) return count as number;
  throw new TypeError(`upstream simulator: ${method}: expected a whole number from 0, or Infinity`);
}
