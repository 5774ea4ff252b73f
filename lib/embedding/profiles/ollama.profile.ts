import type { EmbeddingProfile } from './profile.js';

/**
 * Ollama at its OpenAI route. It cuts long texts without a word and has no field against that.
 *
 * @internal
 */
export const ollamaProfile: EmbeddingProfile = {
  name: 'ollama',
  matches: ({ port }) => port === '11434',
  // It computes one request at a time (`OLLAMA_NUM_PARALLEL`): a second one keeps it busy, more would only wait there.
  // Some versions crash at about 600 texts.
  limits: { maxInputs: 32, maxConcurrency: 2 },
  probe: { method: 'GET', path: '/api/version' },
  // The first request loads the model.
  firstRequestPatience: 4,
  classify: ({ status, message = '' }) => {
    // One text whose vector is not finite costs the whole request, every time.
    if (status === 500 && /\bNaN\b/.test(message)) return 'poisoned';
    if (status === 503) return 'transient';
    return /exceeds? (the )?(maximum )?context length/i.test(message) ? 'too-long' : undefined;
  },
};
