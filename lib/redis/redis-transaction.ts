import type { ChainableCommander, Cluster, Redis } from 'ioredis';
import type { AcquireOptions } from '../core/index.js';
import { RedisConflictError } from './redis-errors.js';

/** @internal */
export const DEFAULT_RETRIES = 10;

/**
 * What {@link RedisPool.transaction} may be told.
 *
 * @publicApi
 */
export interface TransactionOptions extends AcquireOptions {
  /** How often it is tried again after somebody else wrote one of the keys. Default: 10. */
  readonly retries?: number;
}

/**
 * Reads by the connection, and puts on `multi` what is to be written. It may be called several times.
 *
 * @publicApi
 */
export type TransactionWork<C, R> = (connection: C, multi: ChainableCommander) => R | Promise<R>;

/**
 * What came of a transaction.
 *
 * @publicApi
 */
export interface TransactionResult<R> {
  /** What `work` returned the last time. */
  readonly value: R;
  /** The answers to the commands on `multi`; none where it put none there, for then nothing was executed. */
  readonly replies: readonly unknown[];
}

/** @internal */
export async function runTransaction<C extends Redis | Cluster, R>(
  connection: C,
  keys: readonly string[],
  work: TransactionWork<C, R>,
  retries: number,
  signal: AbortSignal | undefined,
): Promise<TransactionResult<R>> {
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    if (keys.length > 0) await connection.watch(...keys);
    const multi = connection.multi();
    const execute = keepToOurselves(multi);
    // What it throws leaves the watch behind; the pool undoes that when the connection comes back.
    const value = await work(connection, multi);
    signal?.throwIfAborted();
    // MULTI itself is the first.
    if (multi.length < 2) return { value, replies: [] };
    const answers = await execute();
    if (answers !== null) return { value, replies: answers.map(valueOf) };
    if (attempt > retries) throw new RedisConflictError(attempt);
  }
}

type Answers = Awaited<ReturnType<ChainableCommander['exec']>>;

/** Executed by `work` and again by us, everything would be done twice. */
function keepToOurselves(multi: ChainableCommander): () => Promise<Answers> {
  const refuse = (): Promise<never> => Promise.reject(new Error('transaction() executes it, once the work has ended'));
  const exec: unknown = Reflect.get(multi, 'exec');
  multi.exec = refuse;
  return () => {
    Reflect.set(multi, 'exec', exec);
    return multi.exec();
  };
}

function valueOf([error, value]: [Error | null, unknown]): unknown {
  if (error) throw error;
  return value;
}
