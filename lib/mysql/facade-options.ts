import { PoolOptionsError } from '../core/index.js';
import { checkGroup, positiveDuration, type Rule, yesOrNo } from '../core/option-rules.js';
import { MysqlPool } from './mysql-pool.js';

/**
 * Options of {@link asMysqlPool} and {@link asMysqlDriver}.
 *
 * @publicApi
 */
export interface MysqlFacadeOptions {
  /**
   * Whether `end()` closes the pool itself, for everybody, as `pool.close()` does. Default: `false`, since who opened a pool
   * closes it: an ORM's `destroy()` in one service is no reason to take the database away from all others, and Nest
   * closes its pools itself at shutdown, with their deadline.
   */
  readonly endClosesPool?: boolean;
  /**
   * How long `end()` waits for connections that its borrowers still hold; they stay theirs after it. Default: 10 000, as
   * `closeTimeoutMs`. With `endClosesPool` the pool's `closeTimeoutMs` rules.
   */
  readonly endTimeoutMs?: number;
}

/** @internal */
export type MysqlFacadeSettings = Required<MysqlFacadeOptions>;

const RULES: Record<keyof MysqlFacadeOptions, Rule> = { endClosesPool: yesOrNo, endTimeoutMs: positiveDuration };

/** @internal */
export function resolveFacadeOptions(caller: string, pool: unknown, options: MysqlFacadeOptions): MysqlFacadeSettings {
  const problems = checkGroup(RULES, options);
  if (!(pool instanceof MysqlPool)) problems.unshift('pool: expected a MysqlPool, as mysqlPool() makes it');
  if (problems.length > 0) throw new PoolOptionsError(caller, problems);
  return { endClosesPool: options.endClosesPool ?? false, endTimeoutMs: options.endTimeoutMs ?? 10_000 };
}
