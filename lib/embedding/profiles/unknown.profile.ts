import type { EmbeddingLimits, EmbeddingProfile } from './profile.js';

/**
 * What holds where a profile says nothing: OpenAI's limits with 64 texts, which every server takes that is not tuned lower.
 * How long a text may be is left to the server: its models are not known.
 *
 * @internal
 */
export const DEFAULT_LIMITS: EmbeddingLimits = {
  maxInputs: 64,
  maxTokens: 240_000,
  maxInputTokens: Infinity,
  maxBytes: 8_000_000,
  maxInFlightInputs: Infinity,
  maxConcurrency: Infinity,
};

/** A server that speaks as OpenAI does, of which nothing more is known. @internal */
export const unknownProfile: EmbeddingProfile = { name: 'unknown', limits: DEFAULT_LIMITS };
