import { LENDS_ONE } from '../core/connection-factory.js';
import {
  type Clock,
  type ConnectionFactory,
  ConnectionPool,
  type PoolLimits,
  PoolOptionsError,
} from '../core/index.js';
import { shapeOf, splitLimits } from '../core/option-rules.js';

/** Options of {@link createFakePool}: what a test may want of the pool beside its connection. @publicApi */
export interface FakePoolOptions extends PoolLimits {
  /** Shown in errors. Default: `fake`. */
  readonly name?: string;
  /** A {@link ManualClock}, for a test of what happens after a time. Default: the system's. */
  readonly clock?: Clock;
}

/**
 * What a fake does otherwise than a pool: it has room for everybody, opens nothing ahead, keeps nothing that needs a timer,
 * and tells each borrower of a failure itself. Where something waits for ever, it says so before a test runner's five
 * seconds are over.
 */
const LIMITS: PoolLimits = {
  minConnections: 0,
  maxConnections: 1_000_000,
  maxCreating: Infinity,
  maxIdleTimeMs: Infinity,
  maxLifetimeMs: Infinity,
  downAfter: Infinity,
  acquireTimeoutMs: 1_000,
  closeTimeoutMs: 1_000,
};

/** Yields the one connection that it was given, unless it was told to fail. */
class FakeFactory<T> implements ConnectionFactory<T> {
  readonly [LENDS_ONE] = true;
  failure: { readonly error: unknown } | undefined = undefined;

  constructor(private readonly connection: T) {}

  /** Synchronous, so that work begins without a turn of the event loop, under fake timers too. */
  create(): T {
    if (this.failure !== undefined) throw this.failure.error;
    return this.connection;
  }
}

/**
 * A pool that lends one given object to everybody. All else is the real pool: leases, statistics, errors, events, close.
 *
 * @typeParam T the pooled connection
 * @publicApi
 */
export class FakePool<T> extends ConnectionPool<T> {
  private readonly factory: FakeFactory<T>;

  /** @internal */
  constructor(connection: T, options: FakePoolOptions) {
    const factory = new FakeFactory(connection);
    super({ ...checked(connection, options), factory });
    this.factory = factory;
  }

  /**
   * From now on every acquire fails with a {@link ConnectionCreateError} of this cause, as with an upstream that cannot be
   * reached. Leases that are held stay good; what comes back is not lent again.
   */
  failWith(error: unknown): void {
    this.factory.failure = { error };
    // An idle one would be lent without asking the factory.
    this.retireAll();
  }

  /** From now on acquires are served again. */
  recover(): void {
    this.factory.failure = undefined;
  }
}

/**
 * A pool for tests: it lends the same given object to every borrower, to any number of them at once, and opens nothing. It
 * need not be closed.
 *
 * ```ts
 * const pool = createFakePool({ query: async () => ['a row'] });
 * await pool.use(({ query }) => query());
 * pool.failWith(new Error('refused')); // from here on acquires reject, until pool.recover()
 * ```
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function createFakePool<T>(connection: T, options: FakePoolOptions = {}): FakePool<T> {
  return new FakePool(connection, options);
}

function checked(connection: unknown, options: FakePoolOptions): FakePoolOptions & { readonly name: string } {
  const { limits, rest, problems } = splitLimits(options);
  const { name = 'fake', clock, ...unknown } = rest;
  problems.push(...Object.keys(unknown).map((key) => `${key}: no such option`));
  if (connection === undefined || connection === null) {
    problems.push(`connection: expected the object that the code under test borrows, got ${shapeOf(connection)}`);
  }
  if (problems.length > 0) throw new PoolOptionsError(String(name), problems);
  return { ...LIMITS, ...limits, name, ...(clock === undefined ? {} : { clock }) };
}
