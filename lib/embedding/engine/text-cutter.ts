import { truncateTo } from '../batching/input-policy.js';
import type { CountTokens } from '../batching/tokenizer.js';
import type { EmbeddingOptions } from '../embedding-options.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import type { Ticket } from './ticket.js';

/**
 * How a text is cut that the server finds too long, from attempt to attempt: hopefully first, and safely in the end, for no
 * token has less than a byte.
 */
const CUTS = [
  { counted: 1, bytesPerToken: 3 },
  { counted: 0.9, bytesPerToken: 1.7 },
  { counted: 0.5, bytesPerToken: 1 },
] as const;

/**
 * Cuts texts that are too long, where that is wanted.
 *
 * @internal
 */
export class TextCutter {
  constructor(
    private readonly onTooLong: EmbeddingOptions['onTooLong'],
    /** Exact counts, once they are there. */
    private readonly countTokens: () => CountTokens | undefined,
  ) {}

  /** The next shorter beginning of a text; `undefined` where none is wanted, or is of use any more. */
  shorter(ticket: Ticket, endpoint: EmbeddingEndpoint): string | undefined {
    const { cuts, text, bytes } = ticket;
    if (this.onTooLong !== 'truncate' || cuts >= CUTS.length) return undefined;
    const { maxInputTokens } = endpoint.limits;
    const count = this.countTokens();
    // Nothing is known of what this server takes: half of it, then half of that.
    if (maxInputTokens === Infinity) return truncateTo(text, Math.max(1, Math.floor(bytes / 2 ** (cuts + 1))));
    if (count !== undefined)
      return truncateTo(text, Math.max(1, Math.floor(maxInputTokens * CUTS[cuts]!.counted)), count);
    return truncateTo(text, Math.floor(maxInputTokens * CUTS[cuts]!.bytesPerToken));
  }
}
