import type { EmbeddingInputType, EmbeddingProfile } from './profile.js';

/**
 * Jina AI.
 *
 * With `late_chunking` it joins all texts of a request into one and embeds each in the light of the others.
 *
 * @internal
 */
export const jinaProfile: EmbeddingProfile = {
  name: 'jina',
  matches: ({ hostname }) => hostname === 'api.jina.ai',
  // It takes 2 048 texts.
  limits: { maxInputs: 128, maxInputTokens: 8_192 },
  limitsOf: (model) => (model.startsWith('jina-embeddings-v4') ? { maxInputTokens: 32_768 } : {}),
  body: ({ model, texts, dimensions, encoding, inputType, truncate }) => ({
    model,
    input: texts,
    embedding_type: encoding ?? 'float',
    dimensions,
    task: taskOf(model, inputType),
    truncate,
  }),
  mayCoalesce: (extraBody) => !extraBody?.['late_chunking'],
  classify: ({ status, message = '' }) => {
    if (/largest allowed size/.test(message)) return 'splittable';
    return (status === 402 || status === 403) && /balance|quota/i.test(message) ? 'quota' : undefined;
  },
};

/** Version 2 knows no tasks; the models for code and images have others. */
function taskOf(model: string, inputType: EmbeddingInputType | undefined): string | undefined {
  if (inputType === undefined || !/^jina-embeddings-v(?!2)/.test(model)) return undefined;
  return inputType === 'query' ? 'retrieval.query' : 'retrieval.passage';
}
