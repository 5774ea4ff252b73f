import { Agent } from 'node:http';
import axios from 'axios';
import { float32Of } from './float32.mjs';
import { collectInChunks, streamInChunks } from './in-flight.mjs';
import { API_KEY, MODEL } from './texts.mjs';

/** A loop as it is written by hand: axios by its defaults, and one agent. @returns {import('./contenders.mjs').Contender} */
export function plainAxios({ baseURL, connections, batchSize = 128 }, encoding) {
  const httpAgent = new Agent({ keepAlive: true, maxSockets: connections });
  const client = axios.create({ baseURL, httpAgent, headers: { authorization: `Bearer ${API_KEY}` } });
  const isBase64 = encoding === 'base64';
  const embedBatch = async (input) => {
    const body = isBase64 ? { model: MODEL, input, encoding_format: encoding } : { model: MODEL, input };
    const { data } = await client.post('/embeddings', body);
    return data.data.map(({ embedding }) => (isBase64 ? float32Of(embedding) : embedding));
  };
  return {
    embed: async (text) => (await embedBatch([text]))[0],
    embedBatch,
    embedAll: (texts) => collectInChunks(texts, batchSize, connections, embedBatch),
    stream: (texts) => streamInChunks(texts, batchSize, connections, embedBatch),
    close: async () => httpAgent.destroy(),
  };
}
