import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text as textOf } from 'node:stream/consumers';

export const DIMENSIONS = 8;

/** The one right vector of a text, of length 1, the same in every process; a query's is not a document's. */
export function vectorOf(text: string, dimensions = DIMENSIONS, inputType = ''): Float32Array {
  const vector = new Float32Array(dimensions);
  let norm = 0;
  let digest!: Buffer;
  for (let at = 0; at < dimensions; at += 1) {
    if (at % 8 === 0)
      digest = createHash('sha256')
        .update(`${inputType}|${at / 8}|${text}`)
        .digest();
    vector[at] = digest.readInt32LE((at % 8) * 4) / 2 ** 31;
    norm += vector[at]! ** 2;
  }
  return vector.map((value) => value / Math.sqrt(norm));
}

export const base64Of = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');

/** A request as an embedding server sees it, whatever its dialect. */
export interface SeenRequest {
  readonly number: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Record<string, unknown>;
  readonly texts: string[];
  readonly wantsBase64: boolean;
  readonly inputType: string;
  readonly dimensions: number;
  /** When it had come in whole. */
  readonly at: number;
}

/** What a server of some kind answers: its right answer, and the shape of its errors. */
export interface Dialect {
  /** Below the server's origin, for the pool's base URL. */
  readonly base: string;
  readonly answer: (request: SeenRequest) => object;
  readonly error: (status: number, message: string, code?: string) => unknown;
  readonly info?: object;
  /** Before any script: what such a server never takes. */
  readonly refuse?: (request: SeenRequest) => Reply | undefined;
}

const item = (request: SeenRequest, index: number, base64: boolean, withIndex = true): object => {
  const vector = vectorOf(request.texts[index]!, request.dimensions, request.inputType);
  const embedding = base64 ? base64Of(vector) : Array.from(vector);
  return withIndex ? { object: 'embedding', index, embedding } : { object: 'embedding', embedding };
};
const tokensOf = (request: SeenRequest): number =>
  request.texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
const usage = (request: SeenRequest): object => ({ prompt_tokens: tokensOf(request), total_tokens: tokensOf(request) });
const list = (request: SeenRequest, data: object[]): object => ({
  object: 'list',
  data,
  model: request.body['model'] ?? 'm',
  usage: usage(request),
});
const wrapped = (_status: number, message: string, code?: string): unknown => ({
  error: { message, type: code ?? 'some_error', param: null, code: code ?? null },
});
const flat = (status: number, message: string, code?: string): unknown => ({
  message,
  code: status,
  type: code ?? 'Validation',
});
const openai = (base64: (request: SeenRequest) => boolean, withIndex = true): Dialect['answer'] => {
  return (request) =>
    list(
      request,
      request.texts.map((_text, index) => item(request, index, base64(request), withIndex)),
    );
};
const asAsked = (request: SeenRequest): boolean => request.wantsBase64;
const floats = (request: SeenRequest): object[] =>
  request.texts.map((text) => Array.from(vectorOf(text, request.dimensions, request.inputType)));

const withoutEncoding = (message: string): Dialect['refuse'] => {
  return ({ body }) => ('encoding_format' in body ? { error: [400, message] } : undefined);
};

/** Every kind of server that a profile is for, and those of A13. */
export const DIALECTS = {
  openai: { base: '/v1', answer: openai(asAsked), error: wrapped },
  azure: { base: '/openai/v1', answer: openai(asAsked), error: wrapped },
  tei: {
    base: '/v1',
    answer: openai(asAsked),
    error: flat,
    info: { max_client_batch_size: 32, max_input_length: 512, max_concurrent_requests: 512 },
  },
  ollama: { base: '/v1', answer: openai(asAsked), error: wrapped },
  vllm: { base: '/v1', answer: openai(asAsked), error: flat },
  litellm: { base: '/v1', answer: openai(() => false), error: wrapped },
  voyage: { base: '/v1', answer: openai(asAsked), error: (_status: number, message: string) => ({ detail: message }) },
  mistral: {
    base: '/v1',
    answer: openai(() => false),
    error: (_status: number, message: string, code?: string) => ({ object: 'error', message, type: 'invalid', code }),
  },
  cohere: {
    base: '/v2',
    answer: (request: SeenRequest) => ({
      id: 'x',
      embeddings: { float: floats(request) },
      meta: { billed_units: { input_tokens: tokensOf(request) } },
    }),
    error: (_status: number, message: string) => ({ message }),
  },
  jina: { base: '/v1', answer: openai(asAsked), error: (_status: number, message: string) => ({ detail: message }) },
  gemini: {
    base: '/v1beta/openai',
    answer: openai(asAsked),
    error: (status: number, message: string) => [{ error: { code: status, message, status: 'SOME' } }],
  },
  bedrock: {
    base: '',
    answer: (request: SeenRequest) => ({ embedding: floats(request)[0], inputTextTokenCount: tokensOf(request) }),
    error: (_status: number, message: string) => ({ message }),
  },
  unknown: { base: '/v1', answer: openai(asAsked), error: wrapped },
  'float-only': { base: '/v1', answer: openai(() => false), error: wrapped },
  'base64-only': { base: '/v1', answer: openai(() => true), error: wrapped },
  'index-less': { base: '/v1', answer: openai(asAsked, false), error: wrapped },
  'flat-error': { base: '/v1', answer: openai(asAsked), error: flat },
  'no-encoding': {
    base: '/v1',
    answer: openai(() => false),
    error: wrapped,
    refuse: withoutEncoding('Unknown parameter: encoding_format'),
  },
  'no-encoding-litellm': {
    base: '/v1',
    answer: openai(() => false),
    error: wrapped,
    refuse: withoutEncoding(
      "litellm.UnsupportedParamsError: Setting {'encoding_format': 'base64'} is not supported by this model",
    ),
  },
} as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof DIALECTS;

/** What a script may have the server do with a request: `undefined` is the right answer. */
export type Reply =
  | { readonly status?: number; readonly json: unknown; readonly headers?: Record<string, string> }
  | { readonly error: [status: number, message: string, code?: string]; readonly headers?: Record<string, string> }
  | { readonly raw: Buffer | string; readonly status?: number; readonly headers?: Record<string, string> }
  | { readonly take: (response: ServerResponse, right: object) => void };

export type Script = (
  request: SeenRequest,
  right: () => ReturnType<Dialect['answer']>,
) => Reply | undefined | Promise<Reply | undefined>;

/** A real embedding server of some dialect that does as its script says. */
export class EmbeddingServer {
  readonly requests: SeenRequest[] = [];
  readonly probes: string[] = [];
  readonly sockets = new Set<Socket>();
  script: Script | undefined;
  inFlight = 0;
  mostInFlight = 0;
  inFlightInputs = 0;
  mostInFlightInputs = 0;
  private readonly server: Server;

  private constructor(
    readonly dialect: Dialect,
    script: Script | undefined,
  ) {
    this.script = script;
    this.server = createServer((request, response) => void this.receive(request, response));
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  static async start(name: DialectName = 'openai', script?: Script, port = 0): Promise<EmbeddingServer> {
    const server = new EmbeddingServer(DIALECTS[name], script);
    await new Promise<void>((resolve) => server.server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `${this.origin}${this.dialect.base}`;
  }

  /** All texts that were sent, in order, each as often as it was. */
  get texts(): string[] {
    return this.requests.flatMap(({ texts }) => texts);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private async receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (request.method !== 'POST') {
      this.probes.push(`${request.method} ${path}`);
      const found = path === '/info' && this.dialect.info !== undefined;
      return void response.writeHead(found ? 200 : 404).end(JSON.stringify(found ? this.dialect.info : {}));
    }
    let seen: SeenRequest;
    try {
      seen = this.seen(request, path, JSON.parse(await textOf(request)) as Record<string, unknown>);
    } catch {
      return void response.destroy();
    }
    this.requests.push(seen);
    this.inFlight += 1;
    this.inFlightInputs += seen.texts.length;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    this.mostInFlightInputs = Math.max(this.mostInFlightInputs, this.inFlightInputs);
    response.once('close', () => {
      this.inFlight -= 1;
      this.inFlightInputs -= seen.texts.length;
    });
    const right = (): object => this.dialect.answer(seen);
    const reply = this.dialect.refuse?.(seen) ?? (await this.script?.(seen, right)) ?? { json: right() };
    if ('take' in reply) return reply.take(response, right());
    const body =
      'raw' in reply ? reply.raw : JSON.stringify('error' in reply ? this.dialect.error(...reply.error) : reply.json);
    const status = 'error' in reply ? reply.error[0] : (reply.status ?? 200);
    const headers = { 'content-type': 'application/json', 'x-request-id': `req-${seen.number}`, ...reply.headers };
    response.writeHead(status, headers).end(body);
  }

  private seen(request: IncomingMessage, path: string, body: Record<string, unknown>): SeenRequest {
    const { input, texts, inputText } = body;
    const given = (input ?? texts ?? inputText) as string | string[];
    const kind = JSON.stringify(body['input_type'] ?? body['task'] ?? '');
    return {
      number: this.requests.length,
      path,
      headers: request.headers,
      body,
      texts: typeof given === 'string' ? [given] : given,
      wantsBase64: (body['encoding_format'] ?? body['embedding_type']) === 'base64',
      inputType: /query/.test(kind) ? 'query' : /document|passage/.test(kind) ? 'document' : '',
      dimensions: Number(body['dimensions'] ?? body['output_dimension'] ?? DIMENSIONS),
      at: performance.now(),
    };
  }
}
