import OpenAI from 'openai';
import { limitFetch } from './fetch-connections.mjs';
import { collectInChunks, streamInChunks } from './in-flight.mjs';
import { API_KEY, MODEL } from './texts.mjs';

/** Asks for base64 by itself. @returns {import('./contenders.mjs').Contender} */
export function openaiSdk({ baseURL, connections, batchSize = 128 }) {
  const dispatcher = limitFetch(connections);
  const client = new OpenAI({ apiKey: API_KEY, baseURL, maxRetries: 0 });
  const ask = async (input) => (await client.embeddings.create({ model: MODEL, input })).data;
  const embedBatch = async (texts) => (await ask(texts)).map(({ embedding }) => embedding);
  return {
    embed: async (text) => (await ask(text))[0].embedding,
    embedBatch,
    embedAll: (texts) => collectInChunks(texts, batchSize, connections, embedBatch),
    stream: (texts) => streamInChunks(texts, batchSize, connections, embedBatch),
    close: () => dispatcher.close(),
  };
}
