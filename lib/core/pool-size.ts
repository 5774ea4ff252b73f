import { checkResize } from './option-rules.js';
import { PoolOptionsError } from './pool-errors.js';
import type { ResizeOptions } from './pool-options.js';

/**
 * How many connections there should be at least and may be at most: the only limits that change in a pool's life.
 *
 * @internal
 */
export class PoolSize {
  constructor(
    public max: number,
    /** As somebody asked for it; where nobody did, the minimum follows the maximum. */
    private ownMin: number | undefined,
  ) {}

  get min(): number {
    return this.ownMin ?? Math.min(2, this.max);
  }

  /** @throws {@link PoolOptionsError} naming every value that is wrong; nothing is changed then */
  change(pool: string, change: ResizeOptions): void {
    const problems = checkResize(change);
    const { minConnections = this.ownMin, maxConnections = this.max } = change ?? {};
    if (problems.length === 0 && minConnections !== undefined && minConnections > maxConnections) {
      problems.push('minConnections: must not be above maxConnections; lower it in the same call');
    }
    if (problems.length > 0) throw new PoolOptionsError(pool, problems);
    this.ownMin = minConnections;
    this.max = maxConnections;
  }
}
