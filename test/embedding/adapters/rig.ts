import { EmbeddingService } from 'nestjs-pools/embedding';
import { httpPool } from 'nestjs-pools/http';
import type { Embedder, EmbedderManyCall } from '../../../lib/embedding/adapters/embedder.js';
import { CountingServer } from '../../support/http-server.js';

const MODEL = 'bag-of-words';

/** What the adapter asked of the embedder. */
interface Asked extends Pick<EmbedderManyCall, 'inputType' | 'signal'> {
  readonly texts: readonly string[];
}

export interface Rig {
  /** Over an EmbeddingService, over HTTP. */
  readonly embedder: Embedder;
  readonly asked: Asked[];
  /** The texts of each request that the server got. */
  readonly requests: string[][];
  close(): Promise<void>;
}

const WORDS = ['pool', 'lease', 'cat', 'sofa', 'drain', 'shutdown', 'query', 'index'];

/** How often each known word is in the text, and a little more, so that no vector is zero. */
export function vectorOf(text: string): Float32Array {
  return Float32Array.from(WORDS, (word) => text.split(word).length - 1 + 1 / 64);
}

/** A server that speaks OpenAI's protocol and counts a token for each word. */
async function startServer(requests: string[][]): Promise<CountingServer> {
  return CountingServer.start((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { input: string[]; encoding_format?: string };
      requests.push(body.input);
      const data = body.input.map((text, index) => {
        const vector = vectorOf(text);
        const embedding =
          body.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector);
        return { object: 'embedding', index, embedding };
      });
      const tokens = tokensOf(body.input);
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ object: 'list', model: MODEL, data, usage: { prompt_tokens: tokens, total_tokens: tokens } }),
      );
    });
  });
}

export function tokensOf(texts: readonly string[]): number {
  return texts.join(' ').split(' ').length;
}

export async function startRig(): Promise<Rig> {
  const requests: string[][] = [];
  const asked: Asked[] = [];
  const server = await startServer(requests);
  const definition = httpPool({ baseURL: server.url });
  const pool = definition.createPool({ name: 'embeddings', factory: definition.factory, ...definition.limits });
  const service = new EmbeddingService(pool, { model: MODEL });
  const embedder: Embedder = {
    model: MODEL,
    embed: (text, { inputType, signal } = {}) => {
      asked.push({ texts: [text], inputType, signal });
      return service.embed(text, { signal });
    },
    embedMany: async (texts, { inputType, signal, onUsage, onProgress } = {}) => {
      asked.push({ texts, inputType, signal });
      const vectors = await service.embedMany(texts, { signal, onProgress });
      onUsage?.({ tokens: tokensOf(texts) });
      return vectors;
    },
  };
  const close = async (): Promise<void> => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  };
  return { embedder, asked, requests, close };
}

/** An embedder without a server: it answers as the test says and notes how often it was asked. */
export class StubEmbedder implements Embedder {
  readonly model = MODEL;
  calls = 0;

  constructor(private readonly answer: (texts: readonly string[], call: EmbedderManyCall) => Promise<Float32Array[]>) {}

  async embed(text: string, options: EmbedderManyCall = {}): Promise<Float32Array> {
    const [vector] = await this.embedMany([text], options);
    return vector!;
  }

  embedMany(texts: readonly string[], options: EmbedderManyCall = {}): Promise<Float32Array[]> {
    this.calls += 1;
    return this.answer(texts, options);
  }
}
