import { EmbeddingService } from 'nestjs-pools/embedding';
import { httpPool } from 'nestjs-pools/http';
import { API_KEY, MODEL } from './texts.mjs';

/**
 * All as it is by default. The profile is named because the upstream is on another host than OpenAI's.
 *
 * @returns {import('./contenders.mjs').Contender}
 */
export function ours({ baseURL, connections, batchSize }, poolOptions = {}, serviceOptions = {}) {
  const definition = httpPool({
    baseURL,
    headers: { authorization: `Bearer ${API_KEY}` },
    maxConnections: connections,
    ...poolOptions,
  });
  const pool = definition.createPool({ name: 'embeddings', factory: definition.factory, ...definition.limits });
  const options = { model: MODEL, profile: 'openai', ...(batchSize && { batchSize }), ...serviceOptions };
  const service = new EmbeddingService(pool, options);
  return {
    embed: (text) => service.embed(text),
    embedBatch: (texts) => service.embedMany(texts),
    embedAll: (texts) => service.embedMany(texts),
    async stream(texts, streamOptions = {}) {
      let count = 0;
      for await (const { vector } of service.embedStream(texts, streamOptions)) if (vector.length > 0) count += 1;
      return count;
    },
    service,
    async close() {
      await service.close();
      await pool.close();
    },
  };
}
