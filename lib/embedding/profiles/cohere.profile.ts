import type { EmbeddingAnswerShape, EmbeddingFailure, EmbeddingInputType, EmbeddingProfile } from './profile.js';

/** Required since version 3 of the models; without a word of the caller's it is a document. @internal */
export function cohereInputType(inputType: EmbeddingInputType | undefined): string {
  return inputType === 'query' ? 'search_query' : 'search_document';
}

/**
 * The vectors of Cohere's answer: by type of number, or a bare list where no type was asked for (Bedrock).
 *
 * @internal
 */
export function readCohere(answer: unknown): EmbeddingAnswerShape {
  const { embeddings, meta } = (answer ?? {}) as { embeddings?: unknown; meta?: unknown };
  const list = Array.isArray(embeddings)
    ? (embeddings as unknown[])
    : ((embeddings ?? {}) as { float?: unknown }).float;
  const tokens = ((meta ?? {}) as { billed_units?: { input_tokens?: unknown } | null }).billed_units?.input_tokens;
  return {
    items: Array.isArray(list) ? (list as unknown[]).map((embedding) => ({ embedding })) : [],
    tokens: typeof tokens === 'number' ? tokens : undefined,
  };
}

/**
 * Cohere's own API, with a base URL that ends in `/v2`. Its `/compatibility/v1` speaks as OpenAI does, and is served as an
 * unknown server is.
 *
 * @internal
 */
export const cohereProfile: EmbeddingProfile = {
  name: 'cohere',
  matches: ({ hostname, pathname }) =>
    (hostname === 'api.cohere.com' || hostname === 'api.cohere.ai') && !pathname.startsWith('/compatibility'),
  limits: { maxInputs: 96 },
  limitsOf: (model) => ({ maxInputTokens: model.includes('v3') ? 512 : 128_000 }),
  path: () => 'embed',
  body: ({ model, texts, dimensions, inputType, truncate }) => ({
    model,
    texts,
    input_type: cohereInputType(inputType),
    embedding_types: ['float'],
    output_dimension: dimensions,
    truncate: truncate ? 'END' : 'NONE',
  }),
  encoding: 'never',
  read: readCohere,
  // A path of its own version.
  probe: { method: 'GET', path: '/v1/models' },
  classify: classifyCohere,
};

function classifyCohere({
  status,
  message = '',
}: EmbeddingFailure): ReturnType<NonNullable<EmbeddingProfile['classify']>> {
  // A trial key's month is over; its minutes come back by themselves.
  if (status === 429) return /calls ?\/ ?month/i.test(message) ? 'quota' : 'rate-limit';
  // Cohere's own status for texts that hold blocked words.
  if (status === 498) return 'input';
  return /number of texts must be at most/i.test(message) ? 'splittable' : undefined;
}
