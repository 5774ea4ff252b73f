import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { listenToAbort } from '../../core/abort-listening.js';
import type { PostgresPool } from '../../postgres/index.js';
import type { VectorSink } from '../stream/vector-sink.js';
import { CopyPlan, type PgVectorTable } from './copy-plan.js';

/** @publicApi */
export interface PgVectorSinkOptions<T> extends PgVectorTable<T> {
  readonly pool: PostgresPool;
}

/**
 * Writes vectors to a table of PostgreSQL by COPY, in its binary form: one transaction for each batch, so that a batch is
 * there or is not. With `onConflict` it goes by way of a temporary table. Indexes of vectors are built faster after a first
 * load than during it.
 *
 * An abort cancels the COPY, rolls back, and gives the connection back; the caller does not wait for that.
 *
 * @throws {@link PoolOptionsError} naming every option that is wrong
 * @publicApi
 */
export function pgVectorSink<T>(options: PgVectorSinkOptions<T>): VectorSink<T> {
  const { pool, ...table } = options;
  const plan = new CopyPlan<T>(pool.name, table);
  return {
    async write(batch, signal) {
      if (batch.length === 0) return;
      // Before a connection is taken: a value that is wrong costs none, and none waits for our arithmetic.
      const pieces = plan.encode(batch);
      await pool.transaction(
        async (client) => {
          if (plan.stage !== undefined) await client.query(plan.stage);
          await copyIn(client, plan.copy, pieces, signal);
          if (plan.merge !== undefined) await client.query(plan.merge);
        },
        { signal },
      );
    },
  };
}

/** Resolves when the server has taken it all, and rejects when the server has ended it. */
async function copyIn(client: Client, sql: string, pieces: readonly Buffer[], signal: AbortSignal): Promise<void> {
  const copy = client.query(copyFrom(sql));
  // A server that waits for data does not hear of a cancel request; this tells it that no more will come.
  const giveUp = { handleEvent: () => void copy.destroy(new Error('the batch was given up')) };
  listenToAbort(signal, giveUp);
  try {
    await new Promise<void>((resolve, reject) => {
      // Stays in place: of a COPY that is given up the server may tell once more.
      copy.on('error', (error) => {
        reject(error);
        // What is still to be sent would find no connection to be sent on.
        copy.destroy();
      });
      copy.once('finish', resolve);
      for (const piece of pieces) copy.write(piece);
      copy.end();
    });
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
