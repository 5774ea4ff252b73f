import type { ConnectionFactory, CreateContext, HookContext } from '../../core/index.js';
import { LENDS_ONE } from '../../core/connection-factory.js';

/** A pool's permits for connections at its upstream, one each. @internal */
export interface Permits {
  /** Takes one, if there is one. */
  take(): boolean;
  /** Takes one as soon as there is one; rejects with the signal's reason if that comes first. */
  takeLater(signal: AbortSignal): Promise<void>;
  /** A create that has a permit has ended. */
  createEnded(): void;
  /** Gives one back: its connection is gone. */
  giveBack(): void;
}

/**
 * A factory that opens nothing without a permit. A permit is taken before `create` is called and goes back when there is
 * no connection any more: the create has failed, or the destroy has ended or run past its time limit. A create past its
 * own limit keeps its permit until it really ends, for until then the upstream has a connection, or will have one.
 *
 * (Who detaches a connection, has it to himself: that permit goes back by the pool's event.)
 *
 * Everything else is the factory's own: its hooks are there or absent as they were, with its `this`.
 *
 * @internal
 */
export function budgeted<T>(factory: ConnectionFactory<T>, permits: Permits): ConnectionFactory<T> {
  const known = new KnownConnections();
  const mayRepeat = Reflect.get(factory, LENDS_ONE) === true;

  async function open(context: CreateContext): Promise<T> {
    const connection = await factory.create(context);
    // The pool would refuse it, and never destroy it: its permit would be lost.
    if (!mayRepeat && known.has(connection)) {
      throw new TypeError(
        `the factory's create() of pool "${context.pool}" yielded a connection that it has yielded before`,
      );
    }
    return connection;
  }

  return {
    create: async (context: CreateContext): Promise<T> => {
      if (!permits.take()) await permits.takeLater(context.signal);
      try {
        const connection = await open(context);
        if (connection === undefined || connection === null) permits.giveBack();
        else known.add(connection);
        return connection;
      } catch (error) {
        permits.giveBack();
        throw error;
      } finally {
        permits.createEnded();
      }
    },
    destroy: async (connection: T, context: HookContext): Promise<void> => {
      let isGone = false;
      const gone = (): void => {
        if (isGone) return;
        isGone = true;
        known.delete(connection);
        permits.giveBack();
      };
      context.signal.addEventListener('abort', gone, { once: true });
      try {
        await factory.destroy?.(connection, context);
      } finally {
        context.signal.removeEventListener('abort', gone);
        gone();
      }
    },
    ...(factory.isHealthy && { isHealthy: factory.isHealthy.bind(factory) }),
    ...(factory.reset && { reset: factory.reset.bind(factory) }),
    ...(factory.looksAlive && { looksAlive: factory.looksAlive.bind(factory) }),
    ...(factory.retryable && { retryable: factory.retryable.bind(factory) }),
    ...(mayRepeat && { [LENDS_ONE]: true as const }),
  };
}

/** Connections that were yielded and not destroyed; those that were detached are not kept alive by it. */
class KnownConnections {
  private readonly objects = new WeakSet<object>();
  private readonly values = new Set<unknown>();

  has(connection: unknown): boolean {
    return this.placeOf(connection).has(connection as object);
  }

  add(connection: unknown): void {
    this.placeOf(connection).add(connection as object);
  }

  delete(connection: unknown): void {
    this.placeOf(connection).delete(connection as object);
  }

  private placeOf(connection: unknown): WeakSet<object> {
    const isObject = (typeof connection === 'object' && connection !== null) || typeof connection === 'function';
    return isObject ? this.objects : (this.values as unknown as WeakSet<object>);
  }
}
