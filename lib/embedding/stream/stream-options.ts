import type { Clock } from '../../core/clock.js';
import { PoolOptionsError } from '../../core/index.js';
import {
  ACQUIRE,
  checkGroup,
  type Rule,
  shapeOf,
  someFunction,
  wholeFrom,
  wholeOrInfinity,
  yesOrNo,
} from '../../core/option-rules.js';
import type { EmbeddingOutcome } from '../embedding-outcome.js';
import type { EmbeddingCheckpoint } from './checkpoint.js';
import { isEmbedSource } from './item-feed.js';
import type { EmbeddingProgress } from './progress.js';

/**
 * What embeds one chunk: an outcome for each text, in their order. It rejects only for what is no single text's fault.
 *
 * @internal
 */
export type EmbedChunk = (texts: readonly string[], signal: AbortSignal) => Promise<readonly EmbeddingOutcome[]>;

/** What all streams of embeddings may ask for. @publicApi */
export interface EmbedStreamSettings<T> {
  /** An item's text. Default: the item itself, which then is a text. */
  readonly text?: (item: T) => string;
  /** Requests under way, at most. Default: as many as the pool has connections for. */
  readonly concurrency?: number;
  /** Items of one request, at most. Default: the service's batch size. */
  readonly chunkSize?: number;
  /** How many chunks are read beyond those under way, so that a request need not wait for the source. Default: 2. */
  readonly lookAhead?: number;
  /** How many items there will be, for the progress. */
  readonly total?: number;
  /** Called at most four times a second, and once more at the end. What it throws ends the stream. */
  readonly onProgress?: (progress: EmbeddingProgress) => void;
  /** Where another run goes on from. */
  readonly checkpoint?: EmbeddingCheckpoint;
  /** Ends the stream, which then rejects with an {@link EmbeddingAbortedError}. */
  readonly signal?: AbortSignal;
  /** How many items of an Observable are kept while they wait to be embedded; one more ends the stream. Default: Infinity. */
  readonly maxBuffered?: number;
}

/** What a stream needs from the service around it. @internal */
export interface EmbedStreamParts {
  /** Requests under way, at most; asked again and again. */
  concurrency(): number;
  /** Items of one request; asked again and again. */
  chunkSize(): number;
  readonly clock: Clock;
  /** What so many tokens cost. */
  priceOf?(tokens: number): number | undefined;
  /** An estimate, for texts whose outcome does not tell. */
  tokensOf?(text: string): number;
  /** For errors about options. Default: `embedding`. */
  readonly name?: string;
}

const checkpoint: Rule = (value) => {
  const { load, save } = (value ?? {}) as Partial<EmbeddingCheckpoint>;
  return typeof load === 'function' && typeof save === 'function' ? undefined : 'an object with load() and save()';
};

/** @internal */
export const STREAM: Record<keyof EmbedStreamSettings<unknown>, Rule> = {
  text: someFunction,
  concurrency: wholeFrom(1),
  chunkSize: wholeFrom(1),
  lookAhead: wholeFrom(0),
  total: wholeFrom(0),
  onProgress: someFunction,
  checkpoint,
  signal: ACQUIRE.signal,
  maxBuffered: wholeOrInfinity(1),
};

/** @internal */
export const ORDER: Record<'ordered' | 'settle', Rule> = { ordered: yesOrNo, settle: yesOrNo };

/**
 * @throws {@link PoolOptionsError} naming everything that is wrong
 * @internal
 */
export function checkStream(
  rules: Readonly<Record<string, Rule>>,
  source: unknown,
  options: object,
  parts: EmbedStreamParts,
): void {
  const problems = checkGroup(rules, options);
  if (!isEmbedSource(source)) {
    problems.unshift(
      `source: expected an iterable, an async iterable or an Observable of items, got ${shapeOf(source)}`,
    );
  }
  if (problems.length > 0) throw new PoolOptionsError(parts.name ?? 'embedding', problems);
}
