import assert from 'node:assert/strict';
import { EmbeddingApiError } from 'nestjs-pools/embedding';
import { vectorOf } from './openai-server.mjs';

export const TEXTS = ['a pool leases, a lease ends', 'the cat has the sofa', 'drain before shutdown', 'ünïcode 🛋️'];
export const MANY = Array.from({ length: 300 }, (_none, index) => `lease ${index}`);

export const vectorsOf = (texts, dimensions) => texts.map((text) => vectorOf(text, dimensions));

/** Whatever a framework makes of an error, ours must come out as it is, after one request. */
export async function failsOnceAsItIs(server, work) {
  const { result, requests } = await server.counting(async () => {
    try {
      return await work();
    } catch (error) {
      return error;
    }
  });
  assert.ok(result instanceof EmbeddingApiError, `expected our error, got ${result?.stack ?? typeof result}`);
  assert.deepEqual([result.status, result.retryable], [503, true]);
  assert.equal(requests.length, 1, 'requests');
}
