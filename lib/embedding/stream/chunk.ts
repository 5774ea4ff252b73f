import { EmbeddingInputError, EmbeddingResponseError } from '../embedding-errors.js';
import type { EmbeddingOutcome } from '../embedding-outcome.js';
import type { EmbedStreamParts } from './stream-options.js';

/** What a chunk came to. @internal */
export interface ChunkCounts {
  readonly done: number;
  readonly failed: number;
  readonly tokens: number;
}

type Failure = Extract<EmbeddingOutcome, { readonly ok: false }>['error'];

/** Neighbours of the source, embedded together. @internal */
export class Chunk<T> {
  readonly items: T[] = [];
  /** Let go once they are embedded. */
  texts: string[];
  /** One for each item, once it is embedded. */
  outcomes: readonly EmbeddingOutcome[] = [];
  isEmbedded = false;
  /** How many of the items the consumer has dealt with. */
  handled = 0;
  /** Whether it no longer counts for how far the source is ahead. */
  isReleased = false;

  constructor(
    /** The place of its first item in the source. */
    readonly first: number,
    readonly size: number,
    hasOwnTexts: boolean,
  ) {
    this.texts = hasOwnTexts ? [] : (this.items as unknown as string[]);
  }

  /**
   * Takes what became of the texts.
   *
   * @throws the first failure, unless failures are for the consumer to settle
   */
  settle(outcomes: readonly EmbeddingOutcome[], settles: boolean, parts: EmbedStreamParts): ChunkCounts {
    const { length } = this.items;
    if (outcomes.length !== length) throw new EmbeddingResponseError(`${outcomes.length} outcomes for ${length} texts`);
    let told = outcomes;
    let failed = 0;
    let tokens = 0;
    for (let index = 0; index < length; index += 1) {
      const outcome = outcomes[index]!;
      if (outcome.ok) {
        tokens += outcome.tokens ?? parts.tokensOf?.(this.texts[index]!) ?? 0;
        continue;
      }
      failed += 1;
      const error = inSource(outcome.error, this.first + index);
      if (!settles) throw error;
      if (error !== outcome.error) told = told.with(index, { ok: false, error });
    }
    this.outcomes = told;
    this.texts = [];
    this.isEmbedded = true;
    return { done: length - failed, failed, tokens };
  }
}

/** An error counts the texts of its request; nobody but us knows which those were. */
function inSource(error: Failure, index: number): Failure {
  if (!(error instanceof EmbeddingInputError)) return error;
  const { problem, message, status, requestId, cause } = error;
  const description = message.slice(message.indexOf(': ') + 2);
  return new EmbeddingInputError(index, problem, description, {
    cause,
    requestId,
    ...(status !== undefined && { status }),
  });
}
