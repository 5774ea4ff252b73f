import { checkText, wellFormed } from '../batching/input-policy.js';
import { jsonBytes } from '../batching/json-bytes.js';
import type { CountTokens } from '../batching/tokenizer.js';
import type { EmbeddingCache } from '../cache/cache-tiers.js';
import { EmbeddingInputError } from '../embedding-errors.js';
import type { ResolvedEmbeddingOptions } from '../embedding-options.js';
import type { EmbedCall } from './embed-call.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import type { EngineCounters } from './engine-stats.js';
import type { Lane, QueueName } from './lane.js';
import type { TextCutter } from './text-cutter.js';
import { Ticket } from './ticket.js';

/** @internal */
export interface IntakeParts {
  readonly endpoints: readonly EmbeddingEndpoint[];
  readonly options: ResolvedEmbeddingOptions;
  readonly cache: EmbeddingCache | undefined;
  readonly cutter: TextCutter;
  readonly counters: EngineCounters;
  /** Exact counts, once they are there. */
  readonly countTokens: () => CountTokens | undefined;
  /** Tickets may be waiting. */
  onFilled(): void;
}

/** A call, and where its texts are to wait. @internal */
export interface Intended {
  readonly call: EmbedCall;
  readonly lane: Lane;
  readonly queue: QueueName;
  readonly mayCache: boolean;
}

interface Missing {
  readonly index: number;
  readonly text: string;
  readonly key: string;
}

/**
 * Takes the texts of a call in: what is no text has its error, what a cache has its vector, what is under way already a place
 * there, and all else a ticket.
 *
 * @internal
 */
export class Intake {
  constructor(private readonly parts: IntakeParts) {}

  /** What the user's own counter of tokens throws ends the call. */
  fill(intended: Intended, texts: readonly unknown[]): void {
    const { call, lane, mayCache } = intended;
    const cache = mayCache && lane.cacheKeys !== undefined ? this.parts.cache : undefined;
    try {
      const missing = this.fillAtOnce(intended, texts, cache);
      if (missing === undefined || call.isSettled) this.parts.onFilled();
      else void this.fillFromStore(intended, cache!, missing);
    } catch (error) {
      call.end(error);
    }
  }

  /** @returns what only the cache's store may know */
  private fillAtOnce(
    intended: Intended,
    texts: readonly unknown[],
    cache: EmbeddingCache | undefined,
  ): readonly Missing[] | undefined {
    const { call, lane } = intended;
    let missing: Missing[] | undefined;
    for (let index = 0; index < texts.length && !call.isSettled; index += 1) {
      const given = texts[index];
      if (this.isSettledHere(call, given, index)) continue;
      const text = given as string;
      if (cache === undefined) {
        this.enter(intended, text, undefined, index);
        continue;
      }
      const key = lane.cacheKeys!.keyOf(text);
      const vector = cache.getLocal(key, this.parts.options.model);
      if (vector !== undefined) this.fromCache(intended, index, vector);
      else if (cache.hasStore) (missing ??= []).push({ index, text, key });
      else this.enter(intended, text, key, index);
    }
    return missing;
  }

  private async fillFromStore(intended: Intended, cache: EmbeddingCache, missing: readonly Missing[]): Promise<void> {
    const { call } = intended;
    const keys = missing.map(({ key }) => key);
    const vectors = await cache.getMany(keys, this.parts.options.model);
    try {
      for (let place = 0; place < missing.length && !call.isSettled; place += 1) {
        const { index, text, key } = missing[place]!;
        const vector = vectors[place];
        if (vector === undefined) this.enter(intended, text, key, index);
        else this.fromCache(intended, index, vector);
      }
    } catch (error) {
      call.end(error);
    }
    this.parts.onFilled();
  }

  private fromCache({ call, lane }: Intended, index: number, vector: Float32Array): void {
    this.parts.counters.onCached(this.parts.options.model);
    lane.dimensions ??= vector.length;
    call.embedded(index, vector, 0);
  }

  /** What is no text, or no words, needs no request. */
  private isSettledHere(call: EmbedCall, text: unknown, index: number): boolean {
    const { onBlank = 'error' } = this.parts.options;
    const error = checkText(text, index);
    if (error === undefined) return false;
    if (error.problem !== 'blank' || onBlank === 'error') call.failed(index, error);
    else call.blank(index, onBlank);
    return true;
  }

  private enter({ call, lane, queue }: Intended, given: string, key: string | undefined, index: number): void {
    const text = wellFormed(given);
    const same = lane.find(text);
    if (same !== undefined) {
      this.parts.counters.deduped += 1;
      same.join(call, index);
      return call.waitsFor(same);
    }
    const endpoint = this.parts.endpoints[0]!;
    const bytes = jsonBytes(text);
    const counted = this.parts.countTokens()?.(text);
    // A counter that counts nothing is none.
    const tokens = counted !== undefined && counted > 0 ? counted : endpoint.estimate.estimate(bytes);
    const ticket = new Ticket(lane, text, bytes, tokens, key, call, index);
    if (tokens === counted && tokens > endpoint.limits.maxInputTokens) {
      const shorter = this.parts.cutter.shorter(ticket, endpoint);
      if (shorter === undefined) return call.failed(index, tooLong(index, tokens, endpoint));
      ticket.cut = shorter;
    }
    lane.add(ticket, queue);
    call.waitsFor(ticket);
  }
}

function tooLong(index: number, tokens: number, { limits }: EmbeddingEndpoint): EmbeddingInputError {
  const most = limits.maxInputTokens;
  const cure = 'shorten it, or set onTooLong: truncate';
  return new EmbeddingInputError(index, 'too-long', `it has ${tokens} tokens, and the model takes ${most}; ${cure}`);
}
