import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A real server that counts its sockets. */
export class CountingServer {
  readonly sockets = new Set<Socket>();
  readonly requests: string[] = [];
  accepted = 0;
  mostSockets = 0;

  private constructor(
    private readonly server: Server,
    private readonly scheme: string,
  ) {
    server.on(scheme === 'https' ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      this.mostSockets = Math.max(this.mostSockets, this.sockets.size);
      socket.once('close', () => this.sockets.delete(socket));
    });
    server.on('request', (request: IncomingMessage) => this.requests.push(`${request.method} ${request.url}`));
  }

  static async start(handler: Handler, tls?: { key: string; cert: string }, port = 0): Promise<CountingServer> {
    const server = tls === undefined ? createServer(handler) : createTlsServer(tls, handler);
    const counting = new CountingServer(server as Server, tls === undefined ? 'http' : 'https');
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return counting;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  set keepAliveTimeout(ms: number) {
    this.server.keepAliveTimeout = ms;
  }

  /** Ends at once, whatever its clients are doing. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

/** Resolves when `condition` holds; it is asked again at every turn of the event loop, for two seconds at most. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 2_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
