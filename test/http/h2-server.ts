import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

interface H2ServerOptions {
  readonly tls?: { key: string; cert: string };
  readonly maxConcurrentStreams?: number;
}

/** A real HTTP/2 server that counts its sessions and the streams that are open at the same time. */
export class CountingH2Server {
  readonly sessions: ServerHttp2Session[] = [];
  readonly requests: IncomingHttpHeaders[] = [];
  readonly resets: number[] = [];
  pings = 0;
  mostSessions = 0;
  mostStreams = 0;
  accepted = 0;
  openStreams = 0;

  private constructor(
    private readonly server: Http2Server,
    private readonly scheme: string,
    handler: Handler,
  ) {
    server.on('session', (session: ServerHttp2Session) => {
      this.accepted += 1;
      this.sessions.push(session);
      this.mostSessions = Math.max(this.mostSessions, this.sessions.length);
      session.on('ping', () => (this.pings += 1));
      session.on('error', () => {});
      session.once('close', () => this.sessions.splice(this.sessions.indexOf(session), 1));
    });
    server.on('sessionError', () => {});
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      this.requests.push(headers);
      this.openStreams += 1;
      this.mostStreams = Math.max(this.mostStreams, this.openStreams);
      stream.on('error', () => {});
      stream.once('close', () => {
        this.openStreams -= 1;
        this.resets.push(stream.rstCode ?? 0);
      });
      handler(stream, headers);
    });
  }

  static async start(
    handler: Handler,
    { tls, maxConcurrentStreams = 100 }: H2ServerOptions = {},
  ): Promise<CountingH2Server> {
    const settings = { maxConcurrentStreams };
    const server = tls === undefined ? createServer({ settings }) : createSecureServer({ ...tls, settings });
    const counting = new CountingH2Server(server as Http2Server, tls === undefined ? 'http' : 'https', handler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return counting;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  get paths(): (string | undefined)[] {
    return this.requests.map((headers) => headers[':path']);
  }

  /** Ends at once, whatever its clients are doing. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.sessions.slice().forEach((session) => session.destroy());
    await closed;
  }
}

/** Answers with a text, as most handlers here do. */
export function reply(stream: ServerHttp2Stream, text = 'ok', headers: Record<string, string | number> = {}): void {
  stream.respond({ ':status': 200, ...headers });
  stream.end(text);
}

/** A path to a server that can go silent: what is sent is taken, and nothing comes back. */
export class SilentPath {
  isSilent = false;
  private readonly sockets = new Set<Socket>();
  private constructor(private readonly server: Server) {}

  static async to(port: number): Promise<SilentPath> {
    const server = createTcpServer();
    const path = new SilentPath(server);
    server.on('connection', (near) => {
      const far = connect(port, '127.0.0.1');
      near.on('data', (chunk) => path.isSilent || far.write(chunk));
      far.on('data', (chunk) => path.isSilent || near.write(chunk));
      for (const socket of [near, far]) {
        path.sockets.add(socket);
        socket.on('error', () => {}).once('close', () => path.sockets.delete(socket));
      }
      near.once('close', () => far.destroy());
      far.once('close', () => near.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return path;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
