import type { EmbeddingLimits, EmbeddingProfile } from './profile.js';

/**
 * Voyage AI, at its own address or MongoDB's.
 *
 * It takes 1 000 texts. Tokens of one request, by its documentation: 1 000 000 for the `lite` models from 3.5, 320 000 for
 * `voyage-4`, `voyage-3.5` and `voyage-2`, 120 000 for all others.
 *
 * @internal
 */
export const voyageProfile: EmbeddingProfile = {
  name: 'voyage',
  matches: ({ hostname }) => hostname === 'api.voyageai.com' || hostname === 'ai.mongodb.com',
  limits: { maxInputs: 128, maxTokens: 100_000, maxInputTokens: 32_000, maxBytes: 8_000_000 },
  limitsOf: voyageLimits,
  body: ({ model, texts, dimensions, encoding, inputType, truncate }) => ({
    model,
    input: texts,
    // Absent or base64: it refuses `float`.
    encoding_format: encoding,
    output_dimension: dimensions,
    input_type: inputType,
    // It cuts unless told otherwise.
    truncation: truncate,
  }),
  classify: ({ message = '', type, code }) =>
    type === 'TOO_MANY_TOKENS_IN_BATCH' ||
    code === 'TOO_MANY_TOKENS_IN_BATCH' ||
    /tokens per submitted batch/.test(message)
      ? 'splittable'
      : undefined,
};

function voyageLimits(model: string): Partial<EmbeddingLimits> {
  if (/^voyage-(3\.5|4)-lite/.test(model)) return { maxTokens: 800_000 };
  return /^voyage-(4|3\.5|2)$/.test(model) ? { maxTokens: 260_000 } : {};
}
