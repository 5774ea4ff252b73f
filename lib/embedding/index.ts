export {
  EmbeddingAbortedError,
  EmbeddingApiError,
  EmbeddingConnectionError,
  EmbeddingError,
  type EmbeddingErrorCode,
  EmbeddingInputError,
  EmbeddingResponseError,
} from './embedding-errors.js';
export type { EmbeddingOptions } from './embedding-options.js';
export { EmbeddingModule, type EmbeddingModuleAsyncOptions, type EmbeddingModuleOptions } from './embedding.module.js';
export { type EmbedManyOptions, type EmbedOptions, EmbeddingService } from './embedding.service.js';
