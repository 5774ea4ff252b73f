import type { EmbeddingOutcome } from '../../../lib/embedding/embedding-outcome.js';
import type { EmbedChunk, EmbedStreamParts } from '../../../lib/embedding/stream/stream-options.js';
import { type Clock, systemClock } from 'nestjs-pools/core';

/** The outcome of a text that is a number: a vector of that number. */
export function outcomeOf(text: string): EmbeddingOutcome {
  return { ok: true, vector: Float32Array.of(Number(text)), tokens: 2 };
}

/** Embeds at once. */
export function fakeEmbed(): EmbedChunk {
  return async (texts) => texts.map(outcomeOf);
}

export function partsOf(
  { concurrency = 2, chunkSize = 4 }: { readonly concurrency?: number; readonly chunkSize?: number } = {},
  clock: Clock = systemClock,
): EmbedStreamParts {
  return { concurrency: () => concurrency, chunkSize: () => chunkSize, clock };
}

interface Request {
  readonly texts: readonly string[];
  readonly signal: AbortSignal;
  answer(outcomes?: readonly EmbeddingOutcome[]): void;
  refuse(error: unknown): void;
}

/** Embeds when it is told to. */
export class GatedEmbed {
  readonly requests: Request[] = [];

  readonly embed: EmbedChunk = (texts, signal) =>
    new Promise((resolve, reject) => {
      // The stream lets its own list go.
      const sent = [...texts];
      this.requests.push({
        texts: sent,
        signal,
        answer: (outcomes = sent.map(outcomeOf)) => resolve(outcomes),
        refuse: reject,
      });
    });

  /** What was asked for, request by request. */
  get sent(): string[] {
    return this.requests.map(({ texts }) => texts.join(' '));
  }
}

/** Lets everything happen that needs no more than some turns of the event loop. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function* numbers(to: number, from = 0): Generator<string> {
  for (let number = from; number < to; number += 1) yield String(number);
}
