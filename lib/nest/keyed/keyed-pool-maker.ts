import {
  type Clock,
  type ConnectionPool,
  type PoolDefinition,
  type PoolLimits,
  PoolOptionsError,
} from '../../core/index.js';
import { checkFactory, shapeOf } from '../../core/option-rules.js';
import type { Outside } from '../../core/outside.js';
import type { ConnectionBudget } from './connection-budget.js';
import { KeyedPool, type KeyedPoolOwner } from './keyed-pool.js';
import type { PoolTemplate } from './keyed-pools-options.js';

/** What goes into every pool. @internal */
export interface KeyedPoolParts<T, P extends ConnectionPool<T>, K extends string> {
  readonly name: string;
  readonly template: PoolTemplate<K, T, P>;
  readonly limits: PoolLimits;
  readonly clock: Clock;
  /** A pool outlives the request that needed it first, and must not keep that request's async context. */
  readonly outside: Outside;
  /** There only where the connections of all pools are bounded. */
  readonly budget: ConnectionBudget | undefined;
  readonly onOpen: ((pool: P, definition: PoolDefinition<T, P>, key: K) => void) | undefined;
}

/**
 * Makes pools of keys.
 *
 * @internal
 */
export class KeyedPoolMaker<T, P extends ConnectionPool<T>, K extends string> {
  constructor(private readonly parts: KeyedPoolParts<T, P, K>) {}

  nameOf(key: K): string {
    return `${this.parts.name}/${key}`;
  }

  /**
   * Asks the template.
   *
   * @throws {@link PoolOptionsError} if that yields no definition, or options that cannot work; and whatever else it throws
   */
  define(key: K): PoolDefinition<T, P> {
    const definition = this.run(key, () => this.parts.template(key));
    const isOne = typeof definition === 'object' && typeof definition?.createPool === 'function';
    const problems = isOne
      ? checkFactory(definition.factory)
      : [`template: expected it to yield the definition of a pool, got ${shapeOf(definition)}`];
    if (problems.length > 0) throw new PoolOptionsError(this.nameOf(key), problems);
    return definition;
  }

  /**
   * Makes the pool. Nothing is opened by it.
   *
   * @throws {@link PoolOptionsError} for a definition that cannot work
   */
  make(key: K, definition: PoolDefinition<T, P>, owner: KeyedPoolOwner): KeyedPool<T, P, K> {
    const { clock, limits, budget, onOpen } = this.parts;
    const share = budget?.join();
    const factory = share?.wrap(definition.factory) ?? definition.factory;
    const own = { ...limits, ...definition.limits, minConnections: 0 };
    // What looks like a deadlock within one pool need be none, where the budget may yet give it a connection more.
    const pool = this.run(key, () => {
      const watch = budget === undefined ? {} : { detectDeadlock: false };
      const made = definition.createPool({ ...own, ...watch, name: this.nameOf(key), factory, clock });
      onOpen?.(made, definition, key);
      return made;
    });
    share?.govern(pool);
    return new KeyedPool(key, pool, clock.now(), share, owner);
  }

  /** Runs the user's code, in the context in which all of it was set up. Wrong options are told with the pool's own name. */
  private run<R>(key: K, work: () => R): R {
    let result!: R;
    try {
      this.parts.outside.run(() => void (result = work()));
    } catch (error) {
      if (error instanceof PoolOptionsError) throw new PoolOptionsError(this.nameOf(key), error.problems, error);
      throw error;
    }
    return result;
  }
}
