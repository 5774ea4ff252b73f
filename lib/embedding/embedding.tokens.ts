import { EmbeddingService } from './embedding.service.js';

/**
 * The injection token of an {@link EmbeddingService}, for `overrideProvider` in tests and for `inject` lists.
 *
 * @param name as given to `EmbeddingModule`; without one it is the class itself
 * @publicApi
 */
export function getEmbeddingsToken(name?: string): string | typeof EmbeddingService {
  return name === undefined ? EmbeddingService : `Embeddings(${name})`;
}
