import type { Cluster, Redis } from 'ioredis';
import {
  type AcquireOptions,
  ConnectionPool,
  type Lease,
  type PoolDefinition,
  type PoolOptions,
  PoolOptionsError,
} from '../core/index.js';
import { listenToAbort } from '../core/abort-listening.js';
import { checkGroup, splitLimits, wholeOrInfinity } from '../core/option-rules.js';
import { ClusterConnectionFactory } from './cluster-connection.factory.js';
import { RedisConnectionFactory } from './redis-connection.factory.js';
import {
  placeOf,
  type RedisClusterPoolOptions,
  type RedisPoolOptions,
  resolveRedisSettings,
} from './redis-settings.js';
import { RedisSubscription, type SubscribeOptions } from './redis-subscription.js';
import {
  DEFAULT_RETRIES,
  runTransaction,
  type TransactionOptions,
  type TransactionResult,
  type TransactionWork,
} from './redis-transaction.js';

/**
 * A pool of Redis connections, each of them one borrower's own while it is lent.
 *
 * @typeParam C `Redis`, or `Cluster` for the pool of a cluster
 * @publicApi
 */
export class RedisPool<C extends Redis | Cluster = Redis> extends ConnectionPool<C> {
  /**
   * As `use()`, for commands that wait at the server: `BLPOP`, `XREAD BLOCK`, `WAIT`. When `signal` is aborted while they
   * run, the connection is closed, which is what ends such a command, and the call rejects with the signal's reason.
   *
   * An element that the server takes out of a list in that very moment is lost, as whenever a connection ends. Where none may
   * be, take it by `BLMOVE` or from a stream.
   */
  async blocking<R>(
    work: (connection: C, lease: Lease<C>) => R | Promise<R>,
    options: AcquireOptions = {},
  ): Promise<R> {
    const { signal } = options;
    if (signal === undefined) return this.use(work, options);
    return this.use(async (connection, lease) => {
      signal.throwIfAborted();
      const end = { handleEvent: () => lease.destroy(signal.reason) };
      listenToAbort(signal, end);
      try {
        return await work(connection, lease);
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      } finally {
        signal.removeEventListener('abort', end);
      }
    }, options);
  }

  /**
   * Reads and then writes, as if nobody else wrote meanwhile: watches `keys`, lets `work` read, and executes what it put on
   * `multi`, all of it or, if one of the keys was written by somebody else, nothing; then `work` is called again.
   *
   * ```ts
   * await pool.transaction(['stock:42'], async (redis, multi) => {
   *   const stock = Number(await redis.get('stock:42'));
   *   if (stock > 0) multi.decr('stock:42').lpush('orders', '42');
   * });
   * ```
   *
   * Rejects with {@link RedisConflictError} after `retries` more attempts, with what `work` throws, or with the first error
   * among the answers, in which case Redis has executed the other commands all the same. On a cluster all the keys must
   * be in one slot.
   *
   * When `signal` is aborted, the connection is closed and the call rejects with the signal's reason. In the moment between
   * the execution and its answer, nobody can tell whether it took place.
   */
  async transaction<R>(
    keys: string | readonly string[],
    work: TransactionWork<C, R>,
    options: TransactionOptions = {},
  ): Promise<TransactionResult<R>> {
    const { retries = DEFAULT_RETRIES, ...acquire } = options;
    const problems = checkGroup({ retries: wholeOrInfinity(0) }, { retries });
    if (problems.length > 0) throw new PoolOptionsError(this.name, problems);
    const run = (connection: C): Promise<TransactionResult<R>> =>
      runTransaction(connection, [keys].flat(), work, retries, acquire.signal);
    // A server that does not answer any more is no reason to wait beyond the signal either.
    return this.blocking(run, acquire);
  }

  /**
   * Subscribes, and resolves once messages will come. They are read by `for await`; leaving the loop, `close()` or
   * `await using` gives the connection back. A subscription holds a connection for as long as it lasts.
   *
   * ```ts
   * for await (const { channel, message } of await pool.subscribe(['news'], { signal })) console.log(channel, message);
   * ```
   *
   * The loop ends when the pool closes, and throws when `signal` is aborted or the connection is lost: what is published
   * until somebody subscribes again is then missed.
   */
  async subscribe(channels: string | readonly string[], options: SubscribeOptions = {}): Promise<RedisSubscription> {
    const { patterns = [], ...acquire } = options;
    const names = [channels].flat();
    if (names.length + patterns.length === 0)
      throw new PoolOptionsError(this.name, ['channels: expected at least one']);
    const lease = await this.acquire(acquire);
    const subscription = new RedisSubscription(lease, acquire.signal);
    const stopListening = this.on('state', ({ to }) => to === 'closed' && void subscription.close());
    subscription.whenOver(stopListening);
    await subscription.begin(names, [patterns].flat());
    return subscription;
  }
}

/**
 * A pool of connections to Redis, for what cannot share one: commands that wait, `WATCH` with `MULTI`, and subscriptions.
 * For all else one ioredis client is enough and quicker: it sends the commands of any number of callers over one connection.
 *
 * ```ts
 * redisPool({ url: 'redis://localhost:6379', maxConnections: 10 })
 * redisPool({ sentinels: [{ host: 'sentinel', port: 26379 }], name: 'mymaster', password: () => vault.read('redis') })
 * ```
 *
 * A connection comes back as it went: `MULTI` is discarded, `WATCH` undone, every channel unsubscribed, the database selected
 * anew, listeners removed. One that cannot be cleaned, with a blocking command still on it or logged in as somebody else, is
 * closed and replaced. ioredis does not reconnect by itself: a connection that ends is replaced by the pool.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong, never its value
 * @publicApi
 */
export function redisPool(options: RedisPoolOptions): PoolDefinition<Redis, RedisPool>;
/**
 * A pool of Cluster clients, each with a socket of its own to every master.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong, never its value
 * @publicApi
 */
export function redisPool(options: RedisClusterPoolOptions): PoolDefinition<Cluster, RedisPool<Cluster>>;
export function redisPool(
  options: RedisPoolOptions | RedisClusterPoolOptions,
): PoolDefinition<Redis, RedisPool> | PoolDefinition<Cluster, RedisPool<Cluster>> {
  const { limits, rest, problems } = splitLimits(options);
  const settings = resolveRedisSettings(rest, problems);
  if (problems.length > 0) throw new PoolOptionsError('redisPool', problems);
  const shared = { kind: 'redis', limits, describe: () => placeOf(settings) };
  if (settings.cluster === undefined) {
    const createPool = (poolOptions: PoolOptions<Redis>) => new RedisPool(poolOptions);
    return { ...shared, factory: new RedisConnectionFactory(settings), createPool };
  }
  const createPool = (poolOptions: PoolOptions<Cluster>) => new RedisPool(poolOptions);
  return { ...shared, factory: new ClusterConnectionFactory(settings), createPool };
}
