import { createOpenAI } from '@ai-sdk/openai';
import { embed, embedMany } from 'ai';
import { limitFetch } from './fetch-connections.mjs';
import { streamInChunks } from './in-flight.mjs';
import { API_KEY, MODEL } from './texts.mjs';

/** What it puts into one request of OpenAI's. */
const BATCH_SIZE = 2_048;

/** Asks for floats; the size of a request is its own. @returns {import('./contenders.mjs').Contender} */
export function aiSdk({ baseURL, connections }) {
  const dispatcher = limitFetch(connections);
  const model = createOpenAI({ apiKey: API_KEY, baseURL }).textEmbeddingModel(MODEL);
  const embedAll = async (values) =>
    (await embedMany({ model, values, maxRetries: 0, maxParallelCalls: connections })).embeddings;
  return {
    embed: async (value) => (await embed({ model, value, maxRetries: 0 })).embedding,
    embedBatch: embedAll,
    embedAll,
    stream: (texts) => streamInChunks(texts, BATCH_SIZE * connections, 1, embedAll),
    close: () => dispatcher.close(),
  };
}
