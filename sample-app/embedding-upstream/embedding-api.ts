import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  countRequestTokens,
  parseEmbeddingsRequest,
  unknownModel,
  type EmbeddingsRequest,
} from './embeddings-request.js';
import { Refusal, toRefusal } from './refusal.js';
import { checkContentType, checkDeclaredSize, readBody, refuseAndHangUp } from './request-body.js';
import { vectorize } from './text-vectorizer.js';
import { WorkSlice } from './work-slice.js';

interface EmbeddingApiOptions {
  readonly model: string;
  readonly apiKey: string | undefined;
  readonly maxInFlight: number;
  readonly latencyMs: number;
  readonly defaultDimensions: number;
}

/** One request, its answer, and the signal that the client is gone. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly gone: AbortSignal;
}

type Handler = (exchange: Exchange) => Promise<void> | void;

interface Route {
  readonly method: 'GET' | 'POST';
  readonly needsKey: boolean;
  readonly handle: Handler;
}

/** Written in pieces of this size, so that the largest answer (160 MB of JSON) is never in memory as a whole. */
const WRITE_AT_LENGTH = 64 * 1024;

/** OpenAI's embedding API: routes, refusals, answers. Knows requests; of sockets and ports it knows nothing. */
export class EmbeddingApi {
  private readonly routes: ReadonlyMap<string, Route>;
  private readonly keyDigest: Buffer | undefined;
  private working = 0;

  /** @param readStats what `/stats` shows; anybody may read it, it holds nothing but counts. */
  constructor(
    private readonly options: EmbeddingApiOptions,
    readStats: () => object,
  ) {
    this.keyDigest = options.apiKey === undefined ? undefined : digest(options.apiKey);
    const model = { id: options.model, object: 'model', created: 0, owned_by: 'nestjs-pools-sample' };
    const show = (value: () => object, needsKey = false): Route => {
      return { method: 'GET', needsKey, handle: ({ response }) => sendJson(response, value()) };
    };
    this.routes = new Map<string, Route>([
      ['/v1', show(() => ({ status: 'ok' }))],
      ['/health', show(() => ({ status: 'ok' }))],
      ['/stats', show(readStats)],
      ['/v1/models', show(() => ({ object: 'list', data: [model] }), true)],
      [`/v1/models/${options.model}`, show(() => model, true)],
      ['/v1/embeddings', { method: 'POST', needsKey: true, handle: (exchange) => this.embed(exchange) }],
    ]);
  }

  /** Embedding requests being worked on. */
  get inFlight(): number {
    return this.working;
  }

  /** Answers, whatever comes; never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = new AbortController();
    response.once('close', () => client.abort());
    response.setHeader('x-request-id', `req_${randomUUID().replaceAll('-', '')}`);
    try {
      checkDeclaredSize(request);
      const route = this.findRoute(request);
      if (route.needsKey) this.checkKey(request);
      await route.handle({ request, response, gone: client.signal });
    } catch (error) {
      // A client that left is no error and gets no answer. Its socket may be gone before the response has heard of it.
      if (client.signal.aborted || request.socket.destroyed) return;
      refuse(response, error);
    }
  }

  private findRoute(request: IncomingMessage): Route {
    const path = pathOf(request);
    const route = this.routes.get(path);
    if (route === undefined) {
      const [, model] = /^\/v1\/models\/([^/]+)$/u.exec(path) ?? [];
      if (model !== undefined) throw unknownModel(model);
      throw new Refusal(
        404,
        `Unknown request URL: ${request.method ?? ''} ${path.slice(0, 80)}. Please check the URL for typos.`,
      );
    }
    const allowed = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
    if (!allowed.includes(request.method ?? '')) {
      const message = `Not allowed to ${request.method ?? ''} on ${path} (HINT: use ${allowed.join(' or ')})`;
      throw new Refusal(405, message, { headers: { allow: allowed.join(', ') } });
    }
    return route;
  }

  /** Compares digests: equal in length, as a comparison in constant time needs it, and telling nothing about the key's own length. */
  private checkKey(request: IncomingMessage): void {
    if (this.keyDigest === undefined) return;
    const [, key] = /^Bearer +(\S+)$/iu.exec(request.headers.authorization ?? '') ?? [];
    if (key !== undefined && timingSafeEqual(digest(key), this.keyDigest)) return;
    // Unlike OpenAI's, the message does not quote the key, not even a part: it ends up in logs.
    const message =
      key === undefined
        ? "You didn't provide an API key. Send it in an Authorization header: Authorization: Bearer YOUR_KEY."
        : 'Incorrect API key provided.';
    throw new Refusal(401, message, { code: 'invalid_api_key', headers: { 'www-authenticate': 'Bearer' } });
  }

  private async embed({ request, response, gone }: Exchange): Promise<void> {
    const { maxInFlight, latencyMs } = this.options;
    const startedAt = performance.now();
    checkContentType(request);
    if (this.working >= maxInFlight) {
      const message = `Rate limit reached: ${maxInFlight} requests are in flight, at most ${maxInFlight} are served at once. Please try again in 1s.`;
      throw new Refusal(429, message, {
        type: 'requests',
        code: 'rate_limit_exceeded',
        headers: { 'retry-after': '1' },
      });
    }
    this.working++;
    try {
      const wanted = parseEmbeddingsRequest(await readBody(request, response), this.options);
      const slice = new WorkSlice(gone);
      const tokens = await countRequestTokens(wanted.texts, slice);
      if (latencyMs > 0) await sleep(latencyMs, undefined, { signal: gone });
      const vectors: Float32Array[] = [];
      for (const text of wanted.texts) {
        vectors.push(vectorize(text, wanted.dimensions));
        await slice.breathe();
      }
      response.setHeader('openai-processing-ms', Math.round(performance.now() - startedAt));
      await sendEmbeddings({ response, gone, slice }, wanted, vectors, tokens);
    } finally {
      // Given back before the client can have read the last byte: its next request must not find this one still counted.
      this.working--;
    }
  }
}

/** The request's path as the routes are written: without query, without a slash at the end. */
export function pathOf(request: IncomingMessage): string {
  const [path = ''] = (request.url ?? '').split('?', 1);
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

async function sendEmbeddings(
  { response, gone, slice }: { response: ServerResponse; gone: AbortSignal; slice: WorkSlice },
  { model, encoding }: EmbeddingsRequest,
  vectors: readonly Float32Array[],
  tokens: number,
): Promise<void> {
  response.setHeader('content-type', 'application/json');
  let json = '{"object":"list","data":[';
  for (const [index, vector] of vectors.entries()) {
    const embedding = encoding === 'base64' ? `"${toBase64(vector)}"` : `[${vector.join(',')}]`;
    json += `${index === 0 ? '' : ','}{"object":"embedding","index":${index},"embedding":${embedding}}`;
    if (json.length >= WRITE_AT_LENGTH) {
      if (!response.write(json)) await once(response, 'drain', { signal: gone });
      json = '';
    }
    await slice.breathe();
  }
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  response.end(`${json}],"model":${JSON.stringify(model)},"usage":${JSON.stringify(usage)}}`);
}

/** Little-endian on any machine, as the protocol wants it. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}

function sendJson(response: ServerResponse, value: object): void {
  const json = JSON.stringify(value);
  // Node leaves the length out of an answer to HEAD, and a client of Node's then takes the connection for used up.
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) });
  response.end(json);
}

function refuse(response: ServerResponse, error: unknown): void {
  const refusal = toRefusal(error);
  // Half an answer cannot be taken back; a cut connection at least cannot be mistaken for a whole one.
  if (response.headersSent) return void response.destroy();
  if (refusal.status === 413) return refuseAndHangUp(response, refusal.status, refusal.toBody());
  const json = refusal.toBody();
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
  response.writeHead(refusal.status, { ...headers, ...refusal.details.headers });
  response.end(json);
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
