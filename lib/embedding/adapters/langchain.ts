import type { Embedder } from './embedder.js';
import { allPlainNumbers, plainNumbers } from './plain-numbers.js';

/**
 * LangChain's `EmbeddingsInterface`, and by its type also the class `Embeddings`: what its vector stores, retrievers and
 * caches take.
 *
 * @publicApi
 */
export interface LangChainEmbeddings {
  embedQuery(document: string): Promise<number[]>;
  embedDocuments(documents: string[]): Promise<number[][]>;
  /**
   * The class has one, which tries again. This one calls once: the embedder has tried again already. The class keeps private
   * fields in it, so that no other type than `never` passes for it.
   */
  readonly caller: never;
}

const CALLS_ONCE = {
  call: <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>, ...given: Given) =>
    work(...given),
  callWithOptions: <Given extends unknown[], Result>(
    _options: object,
    work: (...given: Given) => Promise<Result>,
    ...given: Given
  ) => work(...given),
};

/**
 * For everything of LangChain that takes embeddings. Queries are embedded as queries, documents as documents. Errors come
 * through as they are.
 *
 * @publicApi
 */
export function asLangChainEmbeddings(embedder: Embedder): LangChainEmbeddings {
  return {
    embedQuery: async (document) => plainNumbers(await embedder.embed(document, { inputType: 'query' })),
    embedDocuments: async (documents) =>
      allPlainNumbers(await embedder.embedMany(documents, { inputType: 'document' })),
    caller: CALLS_ONCE as never,
  };
}
