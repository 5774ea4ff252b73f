import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { base64Of, vectorOf } from '../../support/embedding-server.js';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

/** What it answers: a status other than 200 with OpenAI's error, or how vectors are written. */
export interface RecorderAnswer {
  readonly status?: number;
  readonly type?: string;
  readonly code?: string;
  readonly message?: string;
  readonly headers?: Record<string, string>;
}

/** A server that speaks OpenAI's protocol, and keeps all that it is sent. */
export class Recorder {
  readonly requests: RecordedRequest[] = [];
  /** For each request the next one; 200 when there is none left. */
  readonly answers: RecorderAnswer[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  static async start(): Promise<Recorder> {
    const server = createServer();
    const recorder = new Recorder(server);
    server.on('request', (request, response) => {
      void buffer(request).then((bytes) => {
        const body = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
        recorder.requests.push({ method: request.method!, path: request.url!, headers: request.headers, body });
        const { status = 200, headers, ...error } = recorder.answers.shift() ?? {};
        response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req_7', ...headers });
        response.end(JSON.stringify(status === 200 ? right(body) : { error: { param: null, ...error } }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return recorder;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

function right({ input, dimensions, encoding_format, model }: Record<string, unknown>): object {
  const texts = typeof input === 'string' ? [input] : (input as string[]);
  const data = texts.map((text, index) => {
    const vector = vectorOf(text, dimensions === undefined ? 8 : Number(dimensions));
    const embedding = encoding_format === 'base64' ? base64Of(vector) : Array.from(vector);
    return { object: 'embedding', index, embedding };
  });
  const usage = { prompt_tokens: texts.length, total_tokens: texts.length };
  return { object: 'list', data, model, usage };
}
