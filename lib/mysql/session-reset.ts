import mysql from 'mysql2';
import type { PooledConnection } from './pooled-connection.js';

/**
 * Makes a session fit for the next borrower: after whatever the last one has left running or queued. Where there is nothing to
 * do, it does so at once.
 *
 * @internal
 */
export function resetSession(connection: PooledConnection): Promise<void> | undefined {
  connection.refusal = undefined;
  connection.lender = undefined;
  connection.restoreListeners();
  const { session, settings, isBusy } = connection;
  if (connection.isPaused) return connection.spoil('it came back with an answer half read') as undefined;
  if (!connection.isUsable || session.spoiledBy !== undefined) return settle(connection);
  const isClean = settings.reset === 'none' || (settings.reset === 'transactions' && !needsWork(connection));
  return isBusy || !isClean ? restore(connection) : settle(connection);
}

function needsWork({ session, settings }: PooledConnection): boolean {
  return session.mayBeInTransaction || session.isAway || typeof settings.reset === 'object';
}

async function restore(connection: PooledConnection): Promise<void> {
  const { settings } = connection;
  const { reset } = settings;
  if (reset === 'connection') {
    await connection.forgetSession();
    // MySQL forgets what the login said of it (bug 97633).
    if (!connection.session.isMariaDb) await connection.ask(settings.setNames);
  } else {
    if (connection.isBusy) await connection.answers();
    if (reset !== 'none' && connection.session.mayBeInTransaction) await connection.ask('ROLLBACK');
  }
  if (reset !== 'none') await goHome(connection);
  if (reset === 'connection') {
    await beginSession(connection);
    // What it listens to it has listened to since the first time.
    connection.restoreListeners();
  } else if (typeof reset === 'object') for (const sql of [reset.sql].flat()) await connection.ask(sql);
  settle(connection);
}

/** A borrower's `USE` outlives a reset. */
async function goHome(connection: PooledConnection): Promise<void> {
  const { session, settings } = connection;
  if (!session.isAway) return;
  if (settings.database === undefined) {
    session.spoiledBy ??= 'its borrower has chosen a database, which cannot be undone';
    return;
  }
  await connection.ask(`USE ${mysql.escapeId(settings.database, true)}`);
  session.cameHome();
}

/** What the user wants of every session. @internal */
export async function beginSession(connection: PooledConnection): Promise<void> {
  const { onConnect } = connection.settings;
  if (onConnect === undefined) return;
  if (typeof onConnect === 'function') await onConnect(connection.promised);
  else for (const sql of [onConnect].flat()) await connection.ask(sql);
}

/** The last word: is it fit, after all that the borrower may have sent behind the reset? */
function settle(connection: PooledConnection): undefined {
  const { session } = connection;
  if (!connection.isUsable) connection.spoil('its borrower has closed it');
  else if (session.spoiledBy !== undefined) connection.spoil(session.spoiledBy);
  else if (connection.isBusy) connection.spoil('it was used after it had been given back');
  else connection.rest();
  return undefined;
}
