import { PoolOptionsError } from '../core/index.js';

/**
 * Options of an {@link EmbeddingService}.
 *
 * @publicApi
 */
export interface EmbeddingOptions {
  /** As the server names it. */
  readonly model: string;
  /** Asked of the server, and of every vector that comes back. Default: the model's own, pinned by the first answer. */
  readonly dimensions?: number;
  /** Texts in one request, at most. Default: 64, which every server takes that is not tuned lower. */
  readonly batchSize?: number;
}

/** @internal */
export interface ResolvedEmbeddingOptions {
  readonly model: string;
  readonly dimensions: number | undefined;
  readonly batchSize: number;
}

/**
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @internal
 */
export function resolveEmbeddingOptions(pool: string, options: EmbeddingOptions): ResolvedEmbeddingOptions {
  const { model, dimensions, batchSize = 64, ...unknown } = options ?? {};
  const problems = Object.keys(unknown).map((key) => `${key}: no such option of EmbeddingModule`);
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
  if (typeof model !== 'string' || model === '') problems.push("model: expected the model's name");
  if (dimensions !== undefined && !isCount(dimensions)) problems.push('dimensions: expected a whole number from 1');
  // 2 048 is the most that the protocol allows.
  if (!isCount(batchSize) || batchSize > 2_048) problems.push('batchSize: expected a whole number from 1 to 2048');
  if (problems.length > 0) throw new PoolOptionsError(pool, problems);
  return { model, dimensions, batchSize };
}
