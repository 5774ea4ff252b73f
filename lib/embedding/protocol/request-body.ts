import type { EmbeddingProfile, EmbeddingRequest } from '../profiles/profile.js';

/**
 * The JSON text of a request.
 *
 * The caller's own fields come last and go before all others; `undefined` takes a field out.
 *
 * @internal
 */
export function requestBody(profile: EmbeddingProfile, request: EmbeddingRequest): string {
  const body = profile.body?.(request) ?? openAiBody(request);
  const { extraBody } = request;
  return JSON.stringify(extraBody === undefined ? body : { ...body, ...extraBody });
}

/**
 * The body of OpenAI's `POST /embeddings`, which most servers understand. Fields that were not asked for are left out:
 * some servers refuse even a `null`.
 *
 * @internal
 */
export function openAiBody({ model, texts, dimensions, encoding }: EmbeddingRequest): object {
  // `JSON.stringify` leaves out what is undefined.
  return { model, input: texts, encoding_format: encoding, dimensions };
}
