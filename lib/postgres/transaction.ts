import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { tellingAtOnce } from '../core/abort-listening.js';
import type { Lease } from '../core/index.js';
import { ACQUIRE, checkGroup, oneOf, positiveDuration, repetitions, type Rule, yesOrNo } from '../core/option-rules.js';
import { repeating } from '../core/repeating.js';
import { CancelGuard } from './cancel-guard.js';
import { isQuiet, isUsable, type PooledClient } from './pooled-client.js';
import type { PostgresAcquireOptions, PostgresPool } from './postgres-pool.js';
import { serverMs } from './postgres-settings.js';
import { rollBack } from './session-reset.js';

/** What {@link PostgresPool.transaction} may ask for. @publicApi */
export interface TransactionOptions extends PostgresAcquireOptions {
  /** Default: the server's, which is `read committed` unless it was told otherwise. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  readonly readOnly?: boolean;
  /** Of a serializable, read-only transaction: waits until it can run without ever being in another one's way. */
  readonly deferrable?: boolean;
  /**
   * How often the work is begun again when the server refuses it for the sake of another transaction (SQLSTATE 40001 and 40P01):
   * a number, or `true` for 10. Whatever else the work does is done again too. Default: 0.
   */
  readonly retrySerialization?: number | boolean;
  /** Ends the wait for a connection; later it cancels the query that runs, refuses further ones and rolls back. */
  readonly signal?: AbortSignal;
}

const RULES: Record<keyof TransactionOptions, Rule> = {
  ...ACQUIRE,
  statementTimeoutMs: positiveDuration,
  isolation: oneOf('read committed', 'repeatable read', 'serializable'),
  readOnly: yesOrNo,
  deferrable: yesOrNo,
  retrySerialization: repetitions,
};

/** Every problem of a transaction's options, in words. @internal */
export function checkTransaction(options: TransactionOptions): string[] {
  return checkGroup(RULES, options);
}

/**
 * The work has ended well, but one of its statements had failed before, and PostgreSQL then answers COMMIT with a rollback. Nothing
 * of it was kept.
 *
 * @publicApi
 */
export class TransactionRolledBackError extends Error {
  override readonly name = 'TransactionRolledBackError';
  readonly code = 'POSTGRES_ROLLED_BACK';
  constructor() {
    super(
      'the transaction was rolled back, not committed: a statement in it had failed and the work went on all the same; ' +
        'let the error pass, or use a savepoint',
    );
  }
}

type Work<R> = (client: Client, lease: Lease<Client>) => R | Promise<R>;

/** @internal */
export async function runTransaction<R>(
  pool: PostgresPool,
  work: Work<R>,
  options: TransactionOptions,
  rollbackLimitMs: number,
): Promise<R> {
  const { signal, acquireTimeoutMs, priority, retrySerialization = 0 } = options;
  const acquireOptions = { signal, acquireTimeoutMs, priority };
  const begin = beginText(options);
  // Without a connection between two attempts: the others that wait may be who is needed to resolve the conflict.
  return repeating(
    () =>
      tellingAtOnce(signal, (begun) =>
        pool.use((client, lease) => {
          begun();
          return new Attempt(client, lease, signal, rollbackLimitMs).run(begin, work);
        }, acquireOptions),
      ),
    isConflict,
    retrySerialization,
    signal,
  );
}

function beginText({ isolation, readOnly, deferrable, statementTimeoutMs }: TransactionOptions): string {
  const modes = ['BEGIN'];
  if (isolation !== undefined) modes.push(`ISOLATION LEVEL ${isolation.toUpperCase()}`);
  if (readOnly !== undefined) modes.push(readOnly ? 'READ ONLY' : 'READ WRITE');
  if (deferrable !== undefined) modes.push(deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE');
  // Ends with the transaction, so that nothing need be restored.
  const limit =
    statementTimeoutMs === undefined ? '' : `; SET LOCAL statement_timeout = ${serverMs(statementTimeoutMs)}`;
  return modes.join(' ') + limit;
}

/** One transaction, on a connection leased for it. */
class Attempt {
  constructor(
    private readonly client: Client,
    private readonly lease: Lease<Client>,
    private readonly signal: AbortSignal | undefined,
    private readonly rollbackLimitMs: number,
  ) {}

  async run<R>(begin: string, work: Work<R>): Promise<R> {
    const guard = new CancelGuard(this.lease, this.signal);
    try {
      await this.client.query(begin);
      const result = await work(this.client, this.lease);
      this.signal?.throwIfAborted();
      await this.commit();
      await guard.end();
      return result;
    } catch (error) {
      // First, or the request might end the rollback.
      await guard.end();
      await this.rollBack(error);
      throw this.signal?.aborted ? this.signal.reason : error;
    }
  }

  private async commit(): Promise<void> {
    const { command } = await this.client.query('COMMIT');
    if (command === 'ROLLBACK') throw new TransactionRolledBackError();
  }

  private async rollBack(reason: unknown): Promise<void> {
    const { client, lease } = this;
    if (!lease.isHeld || !isUsable(client)) return;
    (client as PooledClient).refusal = undefined;
    if (isQuiet(client) && client.getTransactionStatus() === 'I') return;
    const limit = new AbortController();
    // The caller hears of its error in any case: a server that does not answer loses the connection, not the caller's time.
    const isDone = await Promise.race([
      rollBack(client).then(
        () => true,
        () => false,
      ),
      sleep(this.rollbackLimitMs, false, { signal: limit.signal }).catch(() => false),
    ]);
    limit.abort();
    if (!isDone && lease.isHeld) lease.destroy(reason);
  }
}

/** Whether the server gave a transaction up for another one's sake. */
function isConflict({ code }: { readonly code?: unknown }): boolean {
  return code === '40001' || code === '40P01';
}
