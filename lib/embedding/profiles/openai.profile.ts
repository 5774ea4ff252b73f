import type { EmbeddingProfile } from './profile.js';

/**
 * OpenAI itself.
 *
 * It takes 2 048 texts and 300 000 tokens in a request. Ours are smaller: the answer to 2 048 texts holds the event loop
 * for 30 ms and more, and tokens are estimated.
 *
 * @internal
 */
export const openaiProfile: EmbeddingProfile = {
  name: 'openai',
  matches: ({ hostname }) => hostname === 'api.openai.com' || hostname.endsWith('.api.openai.com'),
  limits: { maxInputs: 256, maxTokens: 240_000, maxInputTokens: 8_192, maxBytes: 8_000_000 },
  probe: { method: 'GET', path: 'models' },
};
