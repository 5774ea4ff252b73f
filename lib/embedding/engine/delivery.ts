import { EmbeddingVectorError } from '../embedding-errors.js';
import type { EmbeddingAnswer } from '../protocol/answer-reader.js';
import type { Batch } from './batch.js';
import type { EmbedCall } from './embed-call.js';
import type { Lane } from './lane.js';
import type { Ticket } from './ticket.js';

/** A vector that may be kept, and where. @internal */
export type KeyedVector = readonly [key: string, vector: Float32Array];

/**
 * Gives the vectors of an answer to whoever waits for them.
 *
 * @param keep gets those that may be cached
 * @internal
 */
export function deliver(
  batch: Batch,
  tickets: readonly Ticket[],
  answer: EmbeddingAnswer,
  keep: (vectors: readonly KeyedVector[]) => void,
): void {
  const { lane } = tickets[0]!;
  const { vectors, tokens } = answer;
  const results = vectors.map((vector) => (vector instanceof EmbeddingVectorError ? vector : ofLength(vector, lane)));
  const kept: KeyedVector[] = [];
  const told = new Set<EmbedCall>();
  let estimated = 0;
  for (let place = 0; place < tickets.length; place += 1) {
    const ticket = tickets[place]!;
    const result = results[place]!;
    estimated += ticket.tokens;
    // The vector of a part of a text is not the text's.
    const isWhole = ticket.cut === undefined;
    if (isWhole && ticket.cacheKey !== undefined && result instanceof Float32Array)
      kept.push([ticket.cacheKey, result]);
    ticket.tellProgress(told);
  }
  // Before the callers have them, who may write into them.
  if (kept.length > 0) keep(kept);
  for (let place = 0; place < tickets.length; place += 1) {
    const ticket = tickets[place]!;
    const result = results[place]!;
    if (!ticket.isSettled) batch.served();
    if (result instanceof Error) ticket.reject(result);
    else ticket.resolve(result, tokens === undefined ? undefined : tokens * (ticket.tokens / (estimated || 1)));
  }
  for (const call of told) call.tellProgress();
}

/** A vector of another length than the first had: two requests were made before either answer was there, which differ. */
function ofLength(vector: Float32Array, lane: Lane): Float32Array | EmbeddingVectorError {
  lane.dimensions ??= vector.length;
  if (vector.length === lane.dimensions) return vector;
  return new EmbeddingVectorError('dimensions', `it has ${vector.length} dimensions, not ${lane.dimensions}`);
}
