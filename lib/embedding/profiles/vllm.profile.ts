import { openAiBody } from '../protocol/request-body.js';
import type { EmbeddingProfile } from './profile.js';

/**
 * vLLM. Its own fields (`priority`, `add_special_tokens`, …) go through `extraBody`. Texts that are too long are refused
 * unless it is told to cut them.
 *
 * @internal
 */
export const vllmProfile: EmbeddingProfile = {
  name: 'vllm',
  limits: { maxInputs: 128, maxConcurrency: 16 },
  // -1: at the longest that the model takes.
  body: (request) => ({ ...openAiBody(request), truncate_prompt_tokens: request.truncate ? -1 : undefined }),
  probe: { method: 'GET', path: '/health' },
};
