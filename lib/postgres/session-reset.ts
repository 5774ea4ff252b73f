import type { Client } from 'pg';
import { activeQueryOf, dropListeners, forgetStatements, isQuiet, PooledClient } from './pooled-client.js';
import { serverMs } from './postgres-settings.js';

/**
 * Makes a session fit for the next borrower. Where there is nothing to do, which is nearly always, it does so at once and without
 * a round trip.
 *
 * @internal
 */
export function resetSession(client: PooledClient): Promise<void> | undefined {
  client.refusal = undefined;
  dropListeners(client);
  const { settings } = client;
  const isClean = isQuiet(client) && client.getTransactionStatus() === 'I' && client.timeoutToRestore === undefined;
  if (!isClean || settings.resetSql !== undefined) return restore(client);
  client.rest();
  return undefined;
}

async function restore(client: PooledClient): Promise<void> {
  const { settings } = client;
  while (!isQuiet(client)) await drained(client);
  if (client.getTransactionStatus() !== 'I') await rollBack(client);
  if (settings.resetSql !== undefined) {
    await client.query(settings.resetSql);
    if (settings.forgetsStatements) forgetStatements(client);
    if (settings.beginsAnew) await beginSession(client);
  }
  const { timeoutToRestore } = client;
  client.timeoutToRestore = undefined;
  if (timeoutToRestore !== undefined && !settings.beginsAnew) {
    await client.query(`SET statement_timeout = ${client.escapeLiteral(timeoutToRestore)}`);
  }
  if (!isQuiet(client) || client.getTransactionStatus() !== 'I') throw new Error('the session is in a transaction');
  client.rest();
}

/** @throws if the session is in a transaction even so */
export async function rollBack(client: Client): Promise<void> {
  await client.query('ROLLBACK');
  if (client.getTransactionStatus() !== 'I') throw new Error('the transaction could not be rolled back');
}

/** What the user wants of every session. */
export async function beginSession(client: PooledClient): Promise<void> {
  const { onConnect } = client.settings;
  if (typeof onConnect === 'function') await onConnect(client);
  else for (const sql of [onConnect ?? []].flat()) await client.query(sql);
}

/** Gives the session another `statement_timeout` until it comes back. */
export async function limitStatements(client: Client, statementTimeoutMs: number): Promise<void> {
  const { rows } = await client.query<{ was: string }>(
    `SELECT current_setting('statement_timeout') AS was, set_config('statement_timeout', '${serverMs(statementTimeoutMs)}', false)`,
  );
  (client as PooledClient).timeoutToRestore ??= rows[0]?.was;
}

/** Resolves when the borrower's last query has ended. */
function drained(client: PooledClient): Promise<void> {
  const left = activeQueryOf(client) as { destroy?: () => void; close?: () => Promise<void> } | null | undefined;
  return new Promise<void>((resolve, reject) => {
    client.once('drain', resolve);
    client.once('end', () => reject(new Error('the connection was closed')));
    // A cursor or a stream that nobody reads any more never ends by itself.
    if (typeof left?.destroy === 'function') left.destroy();
    else if (typeof left?.close === 'function') void left.close().catch(() => {});
  }).finally(() => dropListeners(client));
}
