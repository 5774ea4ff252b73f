import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

interface ProxyOptions {
  /** Makes it an `https:` proxy. */
  readonly tls?: {
    readonly key: string;
    readonly cert: string;
    readonly requestCert?: boolean;
    readonly rejectUnauthorized?: boolean;
    readonly ca?: string;
  };
  /** `user:password` that it asks for. */
  readonly credentials?: string;
  /** What it does when it is asked for a tunnel. Default: to open it. */
  readonly onConnect?: (socket: Duplex) => void;
}

/** A real HTTP proxy: it opens tunnels and forwards requests, and remembers what it was asked. */
export class HttpProxy {
  /** Every `CONNECT`, by its target. */
  readonly tunnels: string[] = [];
  /** Every request in the absolute form, as `GET http://…`. */
  readonly requests: string[] = [];
  /** What each of both came with. */
  readonly headers: IncomingHttpHeaders[] = [];
  /** Connections of clients so far. */
  accepted = 0;
  /** Told of every client that speaks TLS with it. */
  onClient: (socket: TLSSocket) => void = () => {};
  readonly #sockets = new Set<Duplex>();
  readonly #server: Server;
  readonly #onward = new Agent({ keepAlive: true, maxSockets: 1 });

  private constructor(private readonly options: ProxyOptions) {
    this.#server = options.tls === undefined ? createServer() : (createTlsServer(options.tls) as unknown as Server);
    this.#server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.accepted += 1;
      this.#hold(socket);
      if (options.tls !== undefined) this.onClient(socket as TLSSocket);
    });
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#tunnel(request, socket, head),
    );
    this.#server.on('request', (request, response) => this.#forward(request, response));
  }

  static async start(options: ProxyOptions = {}): Promise<HttpProxy> {
    const proxy = new HttpProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    this.#onward.destroy();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #hold(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket));
  }

  #isAllowed(request: IncomingMessage): boolean {
    const { credentials } = this.options;
    const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    return expected === undefined || request.headers['proxy-authorization'] === expected;
  }

  #tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.tunnels.push(request.url!);
    this.headers.push(request.headers);
    if (this.options.onConnect !== undefined) {
      // Read on, and hang up when the client does.
      socket.resume().once('end', () => socket.end());
      return this.options.onConnect(socket);
    }
    if (!this.#isAllowed(request)) {
      socket.end(
        'HTTP/1.1 407 Who are you\r\nproxy-authenticate: Basic realm="test"\r\ncontent-length: 4\r\n\r\nno!\n',
      );
      return;
    }
    const { hostname, port } = new URL(`http://${request.url}`);
    const upstream = connect(Number(port), hostname.replace(/^\[|\]$/g, ''));
    this.#hold(upstream);
    upstream.once('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    upstream.once('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'));
    upstream.once('close', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(`${request.method} ${request.url}`);
    this.headers.push(request.headers);
    if (!this.#isAllowed(request)) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="test"' }).end();
      return;
    }
    // A proxy that was asked for a path takes the request for one to itself.
    if (!URL.canParse(request.url!)) return void response.writeHead(400).end();
    const { 'proxy-authorization': _, ...headers } = request.headers;
    const onward = httpRequest(request.url!, { method: request.method, headers, agent: this.#onward }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.once('error', () => response.writeHead(502).end());
    request.pipe(onward);
  }
}
