import { Pool } from 'undici';
import { float32Of } from './float32.mjs';
import { collectInChunks, streamInChunks } from './in-flight.mjs';
import { API_KEY, MODEL } from './texts.mjs';

/** The least that gets vectors: no deadline, no check of what came, no retry. @returns {import('./contenders.mjs').Contender} */
export function handWritten({ baseURL, connections, batchSize = 128 }) {
  const { origin, pathname } = new URL(baseURL);
  const pool = new Pool(origin, { connections });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` };
  const path = `${pathname}/embeddings`;
  const embedBatch = async (input) => {
    const sent = JSON.stringify({ model: MODEL, input, encoding_format: 'base64' });
    const { body } = await pool.request({ method: 'POST', path, headers, body: sent });
    const { data } = JSON.parse(await body.text());
    return data.map(({ embedding }) => float32Of(embedding));
  };
  return {
    embed: async (text) => (await embedBatch([text]))[0],
    embedBatch,
    embedAll: (texts) => collectInChunks(texts, batchSize, connections, embedBatch),
    stream: (texts) => streamInChunks(texts, batchSize, connections, embedBatch),
    close: () => pool.close(),
  };
}
