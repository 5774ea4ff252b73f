import type { EmbeddingProfile } from './profile.js';

/**
 * Mistral. A request may hold 16 384 tokens, which is little: the limit that is met first.
 *
 * @internal
 */
export const mistralProfile: EmbeddingProfile = {
  name: 'mistral',
  matches: ({ hostname }) => hostname === 'api.mistral.ai',
  limits: { maxInputs: 32, maxTokens: 14_000, maxInputTokens: 8_192 },
  body: ({ model, texts, dimensions, encoding }) => ({
    model,
    input: texts,
    // Answered with numbers by some models; both are read.
    encoding_format: encoding,
    output_dimension: dimensions,
  }),
  probe: { method: 'GET', path: 'models' },
  classify: ({ code, message = '', inputs }) => {
    // It says the same of one text that is too long.
    if (code !== '3210' && !/^too many (tokens|inputs)/i.test(message)) return undefined;
    return inputs > 1 ? 'splittable' : 'too-long';
  },
};
