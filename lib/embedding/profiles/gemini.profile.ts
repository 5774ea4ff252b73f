import type { EmbeddingProfile } from './profile.js';

/**
 * Gemini at its OpenAI endpoint, `…/v1beta/openai/`. It has no field for queries and documents there.
 *
 * @internal
 */
export const geminiProfile: EmbeddingProfile = {
  name: 'gemini',
  matches: ({ hostname }) => hostname === 'generativelanguage.googleapis.com',
  // "at most 100 requests can be in one batch"; a payload may have 4 194 304 bytes.
  limits: { maxInputs: 100, maxInputTokens: 2_048, maxBytes: 4_000_000 },
  // From version 2 on the texts of one request become one vector.
  limitsOf: (model) => (/gemini-embedding-(?!001)/.test(model) ? { maxInputs: 1, maxInputTokens: 8_192 } : {}),
  probe: { method: 'GET', path: 'models' },
  classify: ({ status, message = '' }) => {
    // Its words for a minute's limit are OpenAI's for an empty account; both pass here, one by waiting.
    if (status === 429) return 'rate-limit';
    if (/can be in one batch|payload size exceeds/.test(message)) return 'splittable';
    return status === 400 && /API key not valid|API_KEY_INVALID/.test(message) ? 'auth' : undefined;
  },
};
