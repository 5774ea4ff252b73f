import type { PoolError } from '../core/index.js';
import type { EmbeddingError } from './embedding-errors.js';

/**
 * What became of one text: its vector, or the reason why it has none.
 *
 * @publicApi
 */
export type EmbeddingOutcome =
  | {
      readonly ok: true;
      readonly vector: Float32Array;
      /** What this text cost, as far as that is known of one text alone. */
      readonly tokens?: number;
    }
  | { readonly ok: false; readonly error: EmbeddingError | PoolError };
