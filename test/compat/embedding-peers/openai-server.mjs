import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const DIMENSIONS = 16;

/**
 * The one right vector of a text: the sum of its words' own, so that texts with words in common are alike. Each number is a
 * 32-bit float, so that base64 and JSON say the same.
 */
export function vectorOf(text, dimensions = DIMENSIONS) {
  const words = (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).map((word) =>
    createHash('sha512').update(word).digest(),
  );
  return Array.from({ length: dimensions }, (_none, at) =>
    Math.fround(words.reduce((sum, digest) => sum + digest.readInt32LE(at * 4) / 2 ** 31, 1 / 64)),
  );
}

/** One token for each word. */
export const tokensOf = (texts) => texts.join(' ').split(' ').length;

/**
 * Speaks OpenAI's protocol. A text with `broken` in it is answered 503, one with `silent` in it never.
 */
export class OpenAiServer {
  /** The texts of each request. */
  requests = [];
  #server = createServer((request, response) => this.#answer(request, response));
  #whenAsked;
  #whenLeft;

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${this.#server.address().port}/v1`;
  }

  /** How many requests came while `work` was done, and what it came to. */
  async counting(work) {
    const before = this.requests.length;
    const result = await work();
    return { result, requests: this.requests.slice(before) };
  }

  /** Resolves when the next request that gets no answer has come, and when its client has left. */
  silence() {
    const asked = new Promise((resolve) => (this.#whenAsked = resolve));
    const left = new Promise((resolve) => (this.#whenLeft = resolve));
    return { asked, left };
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(request, response) {
    // Anything else is a sign of life.
    if (request.method !== 'POST' || !request.url.startsWith('/v1/embeddings')) return response.writeHead(404).end();
    const { input, model, dimensions, encoding_format: encoding } = await json(request);
    const texts = [input].flat();
    this.requests.push(texts);
    if (texts.some((text) => text.includes('silent'))) {
      response.on('close', this.#whenLeft);
      return this.#whenAsked();
    }
    response.setHeader('content-type', 'application/json');
    if (texts.some((text) => text.includes('broken'))) {
      response.statusCode = 503;
      return response.end(JSON.stringify({ error: { message: 'overloaded', type: 'server_error', code: null } }));
    }
    const data = texts.map((text, index) => {
      const vector = vectorOf(text, dimensions);
      const embedding =
        encoding === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
      return { object: 'embedding', index, embedding };
    });
    const tokens = tokensOf(texts);
    const usage = { prompt_tokens: tokens, total_tokens: tokens };
    return response.end(JSON.stringify({ object: 'list', model, data, usage }));
  }
}
