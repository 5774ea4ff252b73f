import { OpenAIEmbeddings } from '@langchain/openai';
import { limitFetch } from './fetch-connections.mjs';
import { streamInChunks } from './in-flight.mjs';
import { API_KEY, MODEL } from './texts.mjs';

/** Its own default, and how many texts it therefore has under way. */
const BATCH_SIZE = 512;

/**
 * By its defaults but one: it would have 2 requests under way, and here has as many as there are connections.
 *
 * @returns {import('./contenders.mjs').Contender}
 */
export function langchain({ baseURL, connections, batchSize = BATCH_SIZE }) {
  const dispatcher = limitFetch(connections);
  const embeddings = new OpenAIEmbeddings({
    model: MODEL,
    apiKey: API_KEY,
    batchSize,
    maxConcurrency: connections,
    maxRetries: 0,
    configuration: { baseURL },
  });
  const embedAll = (texts) => embeddings.embedDocuments(texts);
  return {
    embed: (text) => embeddings.embedQuery(text),
    embedBatch: embedAll,
    embedAll,
    stream: (texts) => streamInChunks(texts, batchSize * connections, 1, embedAll),
    close: () => dispatcher.close(),
  };
}
