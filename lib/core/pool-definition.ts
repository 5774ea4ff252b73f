import type { ConnectionFactory } from './connection-factory.js';
import { ConnectionPool } from './connection-pool.js';
import { checkFactory, splitLimits } from './option-rules.js';
import { PoolOptionsError } from './pool-errors.js';
import type { PoolLimits, PoolOptions } from './pool-options.js';

/**
 * A kind of upstream with its settings, before it has a name: what `PoolModule` makes a pool of.
 *
 * @typeParam T the pooled connection
 * @typeParam P the pool that is made of it; a kind may bring its own subclass
 * @publicApi
 */
export interface PoolDefinition<T = unknown, P extends ConnectionPool<T> = ConnectionPool<T>> {
  /** The protocol family, for logs and metrics: `http`, `custom`, … */
  readonly kind: string;
  readonly factory: ConnectionFactory<T>;
  /** The limits that the kind or its user set; everything else has the pool's default. */
  readonly limits: PoolLimits;
  /** One line for logs that says where the connections go, never with a secret. */
  describe(): string;
  /** Makes the pool. Nothing is opened by it. */
  createPool(options: PoolOptions<T>): P;
}

/**
 * Options of {@link customPool}: a factory, a word for logs, and the pool's limits.
 *
 * @publicApi
 */
export interface CustomPoolOptions<T> extends PoolLimits {
  readonly factory: ConnectionFactory<T>;
  /** Shown in logs; must hold no secret. Default: `custom`. */
  readonly description?: string;
}

/**
 * A pool of anything: an SMTP transport, a headless browser, an embedded database.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function customPool<T>(options: CustomPoolOptions<T>): PoolDefinition<T> {
  const { limits, rest, problems } = splitLimits(options);
  const { factory, description = 'custom', ...unknown } = rest;
  problems.push(...checkFactory(factory), ...Object.keys(unknown).map((key) => `${key}: no such option`));
  if (typeof description !== 'string') problems.push('description: expected a text');
  if (problems.length > 0) throw new PoolOptionsError('customPool', problems);
  return {
    kind: 'custom',
    factory,
    limits,
    describe: () => description,
    createPool: (poolOptions) => new ConnectionPool(poolOptions),
  };
}
