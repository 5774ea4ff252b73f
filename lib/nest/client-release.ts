import { type IncomingMessage, Server as HttpServer, type ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

type Server = HttpServer | HttpsServer;

/** How long clients have to learn by an answer that their connection ends. One that asks nothing meanwhile is cut. */
const FAREWELL_MS = 300;
const LOOK_EVERY_MS = 20;
const SHORT_TURN_MS = 0.3;
/** Under a load that leaves no such moment, how long one is waited for. */
const ACCEPT_MS = 1_000;
/** How long a request may go on after the server has closed. Less than the 30 s after which Kubernetes kills. @internal */
export const LAST_REQUEST_MS = 10_000;

/** How many requests a server answered since it began to close, and how many it had to leave. @internal */
export interface ReleaseReport {
  readonly answered: number;
  readonly cut: number;
}

/** Has a server let go of its clients. @internal */
export interface Release {
  /** The first step: the server still accepts and serves. */
  begin(): void;
  /** The last step before Nest closes the server. */
  beforeServerCloses(): Promise<void>;
  /** By now the server is closed, if it ever listened. */
  end(): ReleaseReport;
}

/**
 * Has an HTTP server let go of its clients, so that a shutdown loses no request and waits for no idle connection.
 *
 * From the first step on every answer says `connection: close`, and clients leave by themselves. Without that, a client with
 * a connection kept alive holds up Nest's shutdown for five seconds, or has it cut just as it asks again.
 *
 * @internal
 */
export class ClientRelease implements Release {
  private isClosing = false;
  /** As they were accepted: below TLS, where there is. */
  private readonly connections = new Set<Socket>();
  /** As requests come over them. */
  private readonly sockets = new Set<Socket>();
  private readonly unanswered = new Set<ServerResponse>();
  private accepted = 0;
  private releasing: Promise<void> | undefined;
  /** Connections on which nothing was asked yet. To Node they are busy: it would wait for them for a minute. */
  private readonly silent = new Set<Socket>();
  /** Whether connections that are accepted have to wait until the server is closed. */
  private isHolding = false;
  private readonly held: Socket[] = [];
  private closer: NodeJS.Timeout | undefined;
  private cutter: NodeJS.Timeout | undefined;
  private answered = 0;
  private cut = 0;

  constructor(private readonly server: Server) {
    server.on('connection', this.onAccept);
    server.on(this.connectEvent, this.onConnection);
    // Before Nest's own listener: an answer may be on its way when that returns.
    server.prependListener('request', this.onRequest);
  }

  static canServe(server: unknown): server is Server {
    return server instanceof HttpServer || server instanceof HttpsServer;
  }

  /** From now on answers say goodbye. */
  begin(): void {
    this.isClosing = true;
    for (const response of this.unanswered) sayGoodbye(response);
  }

  /** Nest 11 takes this step twice when the application is closed twice. */
  beforeServerCloses(): Promise<void> {
    return (this.releasing ??= this.release());
  }

  end(): ReleaseReport {
    clearInterval(this.closer);
    clearTimeout(this.cutter);
    this.server.off('connection', this.onAccept);
    this.server.off(this.connectEvent, this.onConnection);
    this.server.off('request', this.onRequest);
    return { answered: this.answered, cut: this.cut + this.unanswered.size };
  }

  private async release(): Promise<void> {
    if (!this.server.listening) return;
    const old = { connections: [...this.connections], sockets: [...this.sockets] };
    await this.until(FAREWELL_MS, () => old.sockets.every((socket) => socket.destroyed));
    cutSilent(old.connections);
    await this.untilAccepted();
    this.server.close();
    for (const socket of this.held) socket.resume();
    // What becomes idle without a goodbye, because its answer had begun before.
    this.closer = setInterval(() => this.server.closeIdleConnections(), LOOK_EVERY_MS);
    // A client that stalls amid its request would hold up the shutdown for minutes.
    this.cutter = setTimeout(() => this.server.closeAllConnections(), LAST_REQUEST_MS);
    // Fastify, once it closes, answers 503 to whoever was accepted and has yet to ask.
    await this.until(FAREWELL_MS, () => this.silent.size === 0);
    cutSilent(this.connections);
    await this.until(Infinity, () => this.unanswered.size === 0);
  }

  private get connectEvent(): 'connection' | 'secureConnection' {
    return this.server instanceof HttpsServer ? 'secureConnection' : 'connection';
  }

  private readonly onAccept = (socket: Socket): void => {
    this.accepted += 1;
    this.connections.add(socket);
    socket.once('close', () => this.connections.delete(socket));
  };

  private readonly onConnection = (socket: Socket): void => {
    this.sockets.add(socket);
    this.silent.add(socket);
    socket.once('close', () => {
      this.sockets.delete(socket);
      this.silent.delete(socket);
    });
    if (!this.isHolding) return;
    this.held.push(socket);
    // Not at once: Node has yet to begin to read from it.
    process.nextTick(() => socket.pause());
  };

  private readonly onRequest = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    this.silent.delete(socket);
    this.unanswered.add(response);
    response.once('close', () => this.over(response));
    if (this.isClosing) sayGoodbye(response);
  };

  private async until(withinMs: number, isTrue: () => boolean): Promise<void> {
    const end = performance.now() + withinMs;
    while (!isTrue() && performance.now() < end) await sleep(LOOK_EVERY_MS);
  }

  private over(response: ServerResponse): void {
    this.unanswered.delete(response);
    if (!this.isClosing) return;
    if (response.writableFinished) this.answered += 1;
    else this.cut += 1;
  }

  /**
   * Node accepts one connection per turn of its loop; those that still stand in line are reset when the server closes. So it
   * is closed after a turn that brought none and was too short for one to come meanwhile. Under load there would be no such
   * turn while whoever is accepted is answered and comes back at once: so whoever is accepted now is read from only later.
   */
  private async untilAccepted(): Promise<void> {
    this.isHolding = true;
    const until = performance.now() + ACCEPT_MS;
    for (let now = performance.now(); now < until; now = performance.now()) {
      const before = this.accepted;
      await nextTurn();
      await nextTurn();
      if (this.accepted === before && performance.now() - now < SHORT_TURN_MS) break;
    }
    this.isHolding = false;
  }
}

/** Not those that were upgraded, to a WebSocket say: they have said something, and are others' to close. */
function cutSilent(connections: Iterable<Socket>): void {
  for (const connection of connections) if (connection.bytesRead === 0) connection.destroy();
}

function sayGoodbye(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}
