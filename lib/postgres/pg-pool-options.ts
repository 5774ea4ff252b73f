import { PoolOptionsError } from '../core/index.js';
import { checkGroup, positiveDuration, type Rule, yesOrNo } from '../core/option-rules.js';

/**
 * Options of {@link asPgPool} and {@link asPgDriver}.
 *
 * @publicApi
 */
export interface PgPoolOptions {
  /**
   * Whether `end()` closes the pool itself, for everybody, as `pool.close()` does. Default: `false`, since who opened a pool
   * closes it: an ORM's `destroy()` in one service is no reason to take the database away from all others, and Nest
   * closes its pools itself at shutdown, with their deadline.
   */
  readonly endClosesPool?: boolean;
  /**
   * How long `end()` waits for clients that its borrowers still hold; they stay theirs after it. Default: 10 000, as
   * `closeTimeoutMs`. With `endClosesPool` the pool's `closeTimeoutMs` rules.
   */
  readonly endTimeoutMs?: number;
}

/** @internal */
export type PgPoolSettings = Required<PgPoolOptions>;

const RULES: Record<keyof PgPoolOptions, Rule> = { endClosesPool: yesOrNo, endTimeoutMs: positiveDuration };

/** @internal */
export function resolvePgPoolOptions(caller: string, pool: unknown, options: PgPoolOptions): PgPoolSettings {
  const problems = checkGroup(RULES, options);
  // By what it does, not by its class: two copies of this package may be installed.
  const isPool = typeof (pool as { acquire?: unknown } | null | undefined)?.acquire === 'function';
  if (!isPool) problems.unshift('pool: expected a ConnectionPool');
  if (problems.length > 0) throw new PoolOptionsError(caller, problems);
  return { endClosesPool: options.endClosesPool ?? false, endTimeoutMs: options.endTimeoutMs ?? 10_000 };
}
