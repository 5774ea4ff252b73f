import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** A request as it came, and the socket that it came over. */
export interface ScriptedRequest {
  readonly socket: Socket;
  /** The first line, without the protocol's version: `POST /path`. */
  readonly line: string;
  readonly head: string;
  readonly body: string;
  /** Counted from 1: of all requests, and of those that came over the same socket. */
  readonly nth: number;
  readonly nthOfSocket: number;
}

/** A server that says what a test tells it to, byte by byte: what no HTTP server would. */
export class ScriptedServer {
  readonly requests: ScriptedRequest[] = [];
  readonly sockets = new Set<Socket>();
  private readonly everAccepted: Socket[] = [];
  mostSockets = 0;

  private constructor(
    readonly listener: Server,
    private readonly answer: (request: ScriptedRequest) => void,
    onConnection: (socket: Socket) => void,
  ) {
    listener.on('connection', (socket) => {
      this.everAccepted.push(socket);
      this.sockets.add(socket);
      this.mostSockets = Math.max(this.mostSockets, this.sockets.size);
      socket.on('error', () => {});
      // The runtime tells of the close itself only at the end of a turn of the loop.
      socket.once('end', () => this.sockets.delete(socket));
      socket.once('close', () => this.sockets.delete(socket));
      this.read(socket);
      onConnection(socket);
    });
  }

  static async start(
    answer: (request: ScriptedRequest) => void,
    onConnection: (socket: Socket) => void = () => {},
  ): Promise<ScriptedServer> {
    const server = createServer();
    const scripted = new ScriptedServer(server, answer, onConnection);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  get accepted(): number {
    return this.everAccepted.length;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.listener.address() as AddressInfo).port}`;
  }

  get lines(): string[] {
    return this.requests.map(({ line }) => line);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.listener.close(resolve));
    for (const socket of this.everAccepted) socket.destroy();
    await closed;
  }

  private read(socket: Socket): void {
    let text = '';
    let nthOfSocket = 0;
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      for (;;) {
        const headEnd = text.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const head = text.slice(0, headEnd);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        const body = text.slice(headEnd + 4, headEnd + 4 + length);
        if (body.length < length) return;
        text = text.slice(headEnd + 4 + length);
        const line = head.split(' HTTP/')[0]!;
        nthOfSocket += 1;
        const request = { socket, line, head, body, nth: this.requests.length + 1, nthOfSocket };
        this.requests.push(request);
        this.answer(request);
      }
    });
  }
}

/** A whole answer, as text. */
export function answerOf(body: string, headers = '', status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;
}
