export {
  asEmbeddingModel,
  type EmbeddingModelCall,
  type EmbeddingModelOptions,
  type EmbeddingModelResult,
  type EmbeddingModelWarning,
  type PooledEmbeddingModel,
} from './adapters/ai-sdk.js';
export type { Embedder, EmbedderCall, EmbedderManyCall } from './adapters/embedder.js';
export { asLangChainEmbeddings, type LangChainEmbeddings } from './adapters/langchain.js';
export {
  asLlamaIndexEmbedding,
  type LlamaIndexEmbedding,
  type LlamaIndexEmbedOptions,
  type LlamaIndexNode,
} from './adapters/llamaindex.js';
export type { CountTokens } from './batching/tokenizer.js';
export type { EmbeddingCacheOptions } from './cache/cache-options.js';
export type { EmbeddingCacheStats } from './cache/cache-tiers.js';
export type { VectorCache } from './cache/vector-cache.js';
export { cacheManagerVectorCache, type CacheManagerVectorClient } from './cache/cache-manager-vector-cache.js';
export { keyvVectorCache, type KeyvVectorClient } from './cache/keyv-vector-cache.js';
export { redisVectorCache, type RedisVectorCacheOptions, type RedisVectorClient } from './cache/redis-vector-cache.js';
export { CostLedger, type CostLedgerOptions, type EmbeddingCost, type EmbeddingUsage } from './cost-ledger.js';
export {
  EmbeddingAbortedError,
  EmbeddingApiError,
  EmbeddingConnectionError,
  EmbeddingError,
  type EmbeddingErrorCode,
  type EmbeddingFailureKind,
  EmbeddingInputError,
  type EmbeddingInputProblem,
  EmbeddingResponseError,
  type EmbeddingResponseProblem,
  EmbeddingTimeoutError,
  type EmbeddingTimeoutPhase,
  EmbeddingUnavailableError,
  EmbeddingVectorError,
  type EmbeddingVectorProblem,
} from './embedding-errors.js';
export type { EmbeddingHealth, EmbeddingHealthStatus } from './embedding-health.js';
export type {
  EmbeddingEndpointOptions,
  EmbeddingHedgeOptions,
  EmbeddingOptions,
  EmbeddingVectorOptions,
  EmbedOptions,
} from './embedding-options.js';
export type { EmbeddingOutcome } from './embedding-outcome.js';
export type { EmbeddingEndpointStats, EmbeddingStats } from './embedding-stats.js';
export {
  EmbeddingModule,
  type EmbeddingFailoverPool,
  type EmbeddingModuleAsyncOptions,
  type EmbeddingModuleIdentity,
  type EmbeddingModuleOptions,
} from './embedding.module.js';
export {
  type EmbeddingFailover,
  type EmbeddingOutputOptions,
  EmbeddingService,
  type EmbeddingServiceParts,
  type EmbeddingStreamOptions,
  type EmbedManyOptions,
} from './embedding.service.js';
export { getEmbeddingsToken } from './embedding.tokens.js';
export { InjectEmbeddings } from './inject-embeddings.decorator.js';
export type { EmbeddingBreakerState } from './patience/breaker.js';
export type { EmbeddingBreakerOptions } from './patience/breaker-options.js';
export type { LimiterCost, LimiterLimits, LimiterStore } from './patience/limiter-store.js';
export type { EmbeddingRateLimitOptions } from './patience/rate-limit-options.js';
export type { EmbeddingRetryOptions } from './patience/retry-policy.js';
export type {
  EmbeddingAnswerItem,
  EmbeddingAnswerShape,
  EmbeddingCall,
  EmbeddingFailure,
  EmbeddingInputType,
  EmbeddingLimits,
  EmbeddingOutgoing,
  EmbeddingProfile,
  EmbeddingRequest,
} from './profiles/profile.js';
export { bedrockProfile, type BedrockProfileOptions } from './profiles/bedrock.profile.js';
export {
  defineEmbeddingProfile,
  type EmbeddingProfileExtension,
  type EmbeddingProfileName,
} from './profiles/profile-registry.js';
export { type EmbeddingCheckpoint, fileCheckpoint } from './stream/checkpoint.js';
export type { EmbeddedItem, EmbedStreamOptions, SettledItem } from './stream/embed-stream.js';
export { EmbedBufferError, type EmbedSource, type ObservableLike } from './stream/item-feed.js';
export type { EmbeddingProgress } from './stream/progress.js';
export type { EmbedStreamSettings } from './stream/stream-options.js';
export type { EmbedIntoOptions, EmbedIntoSummary, FailedItem, VectorSink } from './stream/vector-sink.js';
