import { CallShare } from './call-share.js';
import type { ResolvedEmbeddingRetry } from './retry-policy.js';

/**
 * Keeps the retries of all calls within a share of the calls: attempts ≤ (1 + budget) × calls + burst, however long an outage
 * lasts.
 *
 * @internal
 */
export class RetryBudget extends CallShare {
  constructor({ budget, burst }: Pick<ResolvedEmbeddingRetry, 'budget' | 'burst'> = { budget: 0.2, burst: 10 }) {
    super(budget, burst);
  }
}
