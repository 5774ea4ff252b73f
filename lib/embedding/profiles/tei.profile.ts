import type { EmbeddingLimits, EmbeddingProfile } from './profile.js';

/**
 * Hugging Face's text-embeddings-inference, at its OpenAI route.
 *
 * It spends one of 512 permits on every text and refuses a request for which not enough are free, without saying when they
 * will be: so half of them is all that we use. Whether it cuts long texts is a switch of the server (`--auto-truncate`, on
 * by default), not of the request.
 *
 * @internal
 */
export const teiProfile: EmbeddingProfile = {
  name: 'tei',
  // The server's own defaults, until `/info` has been read. It refuses bodies from 2 000 000 bytes.
  limits: { maxInputs: 32, maxBytes: 1_900_000, maxInFlightInputs: 256, maxConcurrency: 8 },
  probe: { method: 'GET', path: '/health' },
  discover: { path: '/info', read: readInfo },
  classify: ({ status, type, message = '', inputs }) => {
    if (status === 429 || type === 'overloaded') return 'rate-limit';
    if (status === 424) return 'poisoned';
    if (status !== 422 && status !== 400) return undefined;
    // A body that it cannot read is no text's fault.
    if (/deserialize|unknown (field|variant)/i.test(message)) return undefined;
    if (/\bdimensions\b/.test(message)) return 'unsupported';
    if (/batch size/i.test(message)) return inputs > 1 ? 'splittable' : 'config';
    return /must have less than|too long|maximum/i.test(message) ? 'too-long' : 'input';
  },
};

function readInfo(answer: unknown): Partial<EmbeddingLimits> {
  const { max_client_batch_size, max_input_length, max_concurrent_requests } = (answer ?? {}) as Record<
    string,
    unknown
  >;
  const permits = countOf(max_concurrent_requests);
  const inFlight = permits && Math.max(1, Math.floor(permits / 2));
  const inputs = countOf(max_client_batch_size);
  const longest = countOf(max_input_length);
  return {
    // A request must never need more permits than may be in use.
    ...(inputs === undefined ? {} : { maxInputs: Math.min(inputs, inFlight ?? Infinity) }),
    ...(longest === undefined ? {} : { maxInputTokens: longest }),
    ...(inFlight === undefined ? {} : { maxInFlightInputs: inFlight }),
  };
}

function countOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : undefined;
}
