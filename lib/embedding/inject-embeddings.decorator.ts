import { Inject } from '@nestjs/common';
import { getEmbeddingsToken } from './embedding.tokens.js';

/**
 * Injects the {@link EmbeddingService} of that name, where an application has several.
 *
 * ```ts
 * constructor(@InjectEmbeddings('queries') private readonly queries: EmbeddingService) {}
 * ```
 *
 * @param name as given to `EmbeddingModule`; without one it is the service that was given none
 * @publicApi
 */
export function InjectEmbeddings(name?: string): ReturnType<typeof Inject> {
  return Inject(getEmbeddingsToken(name));
}
