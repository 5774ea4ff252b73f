import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

/** How long clients have to learn by an answer that their connection ends. One that asks nothing meanwhile is cut. */
const FAREWELL_MS = 300;
const LOOK_EVERY_MS = 20;
const SHORT_TURN_MS = 0.3;
/** Under a load that leaves no such moment, how long one is waited for. */
const ACCEPT_MS = 1_000;

/** How long a request may go on after the server has closed. Less than the 30 s after which Kubernetes kills. */
const LAST_REQUEST_MS = 10_000;

/**
 * Lets a shutdown lose no request and wait for no idle client.
 *
 * From its first step on, every answer says `connection: close`, so that clients leave by themselves. Without that, a
 * client with a connection kept alive holds up the shutdown for five seconds, or has it cut just as it asks again.
 */
@Injectable()
export class GracefulClose
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown
{
  private isClosing = false;
  private readonly sockets = new Set<Socket>();
  private readonly unanswered = new Set<ServerResponse>();
  private accepted = 0;
  private closer: NodeJS.Timeout | undefined;
  private cutter: NodeJS.Timeout | undefined;
  private readonly logger = new Logger('Server');
  private readonly sinceClosing = { answered: 0, cut: 0 };

  constructor(private readonly host: HttpAdapterHost) {}

  onApplicationBootstrap(): void {
    const server = this.server;
    server.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    // Before Nest's own listener: an answer may be on its way when that returns.
    server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
      this.unanswered.add(response);
      response.once('close', () => this.over(response));
      if (this.isClosing) sayGoodbye(response);
    });
  }

  /** Step one of the shutdown. The server still accepts and serves. */
  onModuleDestroy(): void {
    this.isClosing = true;
    for (const response of this.unanswered) sayGoodbye(response);
  }

  /** The last step before Nest closes the server. */
  async beforeApplicationShutdown(): Promise<void> {
    const old = [...this.sockets];
    const until = performance.now() + FAREWELL_MS;
    while (old.some((socket) => !socket.destroyed) && performance.now() < until) await sleep(LOOK_EVERY_MS);
    await this.untilAccepted();
    // Here and not by Nest, some turns later: clients that connect in between would be reset. Nest still waits for the
    // requests that are being answered, since its own call of `close` is answered when the server is empty.
    this.server.close();
    // What becomes idle without a goodbye, because its answer had begun before.
    this.closer = setInterval(() => this.server.closeIdleConnections(), LOOK_EVERY_MS);
    // A client that stalls amid its request would hold up the shutdown for minutes.
    this.cutter = setTimeout(() => this.server.closeAllConnections(), LAST_REQUEST_MS);
  }

  /** By now the server is closed. */
  onApplicationShutdown(): void {
    clearInterval(this.closer);
    clearTimeout(this.cutter);
    const { answered, cut } = this.sinceClosing;
    const lost = cut + this.unanswered.size;
    this.logger.log(`closed; since the signal ${answered} requests were answered and ${lost} cut off`);
  }

  private over(response: ServerResponse): void {
    this.unanswered.delete(response);
    if (this.isClosing) this.sinceClosing[response.writableFinished ? 'answered' : 'cut'] += 1;
  }

  /**
   * Node accepts one connection per turn of its loop; those that still stand in line are reset when the server closes. So it
   * is closed after a turn that brought none and was too short for one to come meanwhile.
   */
  private async untilAccepted(): Promise<void> {
    const until = performance.now() + ACCEPT_MS;
    for (let now = performance.now(); now < until; now = performance.now()) {
      const before = this.accepted;
      await nextTurn();
      await nextTurn();
      if (this.accepted === before && performance.now() - now < SHORT_TURN_MS) return;
    }
  }

  private get server(): Server {
    return this.host.httpAdapter.getHttpServer() as Server;
  }
}

function sayGoodbye(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}
