import type { EmbeddingUsage } from '../cost-ledger.js';
import type { EmbeddingAnswer } from '../protocol/answer-reader.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import type { Ticket } from './ticket.js';

/** A text that costs nothing any more. */
const CACHED: EmbeddingUsage = { requests: 0, inputs: 1, tokens: 0, cachedInputs: 1 };

/** What has been done so far. @internal */
export class EngineCounters {
  calls = 0;
  texts = 0;
  cached = 0;
  deduped = 0;
  retries = 0;
  requests = 0;
  embedded = 0;
  /** As the servers counted them, or as estimated where they did not. */
  tokens = 0;

  onCall(texts: number): void {
    this.calls += 1;
    this.texts += texts;
  }

  /** For the ledger. */
  onUsage: ((model: string, usage: EmbeddingUsage) => void) | undefined = undefined;

  onCached(model: string): void {
    this.cached += 1;
    this.onUsage?.(model, CACHED);
  }

  onAnswer({ tokens }: EmbeddingAnswer, tickets: readonly Ticket[], endpoint: EmbeddingEndpoint): void {
    const counted = tokens ?? tickets.reduce((sum, ticket) => sum + ticket.tokens, 0);
    this.requests += 1;
    this.embedded += tickets.length;
    this.tokens += counted;
    const isEstimated = tokens === undefined;
    this.onUsage?.(endpoint.parts.model, { requests: 1, inputs: tickets.length, tokens: counted, isEstimated });
  }
}
