import type { ConnectionOptions, SslOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { PoolLimits } from '../core/index.js';

/** Options of mysql2's own that are handed on as they are. */
type HandedOn = Pick<
  ConnectionOptions,
  | 'host'
  | 'port'
  | 'user'
  | 'database'
  | 'socketPath'
  | 'password2'
  | 'password3'
  | 'passwordSha1'
  | 'charset'
  | 'charsetNumber'
  | 'timezone'
  | 'compress'
  | 'flags'
  | 'connectAttributes'
  | 'insecureAuth'
  | 'enableCleartextPlugin'
  | 'authPlugins'
  | 'authSwitchHandler'
  | 'enableKeepAlive'
  | 'keepAliveInitialDelay'
  | 'multipleStatements'
  | 'namedPlaceholders'
  | 'maxPreparedStatements'
  | 'typeCast'
  | 'dateStrings'
  | 'decimalNumbers'
  | 'supportBigNumbers'
  | 'bigNumberStrings'
  | 'jsonStrings'
  | 'rowsAsArray'
  | 'nestTables'
  | 'stringifyObjects'
  | 'queryFormat'
  | 'infileStreamFactory'
  | 'disableEval'
  | 'trace'
>;

/**
 * What {@link mysqlPool} takes: where to connect and as whom, what becomes of a session between two borrowers, mysql2's own
 * options of a connection, and the pool's limits.
 *
 * The one limit whose default differs from other pools' is `maxConnections`: 10, as mysql2's own pool has it, since a server
 * takes 151 connections unless told otherwise.
 *
 * @publicApi
 */
export interface MysqlPoolOptions extends PoolLimits, Readonly<HandedOn> {
  /** `mysql://user:password@host:port/database?charset=utf8mb4`, with special characters percent-encoded. */
  readonly uri?: string;
  /**
   * The password, or a function that gives it, asked for every new connection: for tokens that expire. Goes before the one in the
   * URI.
   */
  readonly password?: string | ((context: { readonly signal: AbortSignal }) => string | Promise<string>);
  /**
   * What TLS takes (`ca`, `cert`, `key`, …), `{}` for Node's authorities, or the name of one of mysql2's profiles. The server's
   * certificate is verified; that it is for this very host only with `verifyIdentity: true`, which you should set.
   */
  readonly ssl?: SslOptions | string;
  /** Makes the stream of each connection in place of a socket of Node's. */
  readonly stream?: () => unknown;
  /**
   * Run when a session begins, before the connection counts as open, and again after each reset by `connection`: SQL, or a function
   * that may query. A failure closes the connection and is a failed create. Each statement costs a round trip.
   */
  readonly onConnect?: string | readonly string[] | ((connection: Connection) => unknown);
  /**
   * What becomes of a session between two borrowers.
   *
   * - `connection` (default): COM_RESET_CONNECTION. Open transactions are rolled back; variables, temporary tables, locks and
   *   prepared statements are gone; charset and database are as they were. It costs a round trip, on MySQL a second
   *   one for the charset.
   * - `transactions`: an open transaction is rolled back, the database is as it was. Costs nothing where there was none. Session
   *   variables, temporary tables and locks stay, and so do prepared statements.
   * - `none`: nothing is done.
   * - `{ sql }`: as `transactions`, and then SQL of your own.
   */
  readonly reset?: 'connection' | 'transactions' | 'none' | { readonly sql: string | readonly string[] };
  /**
   * How an aborted query is ended: by `KILL QUERY` over a second connection to the same address (`kill`), or by closing its
   * connection (`close`), for when a balancer or proxy hides which server that is. Default: `kill`.
   */
  readonly cancel?: 'kill' | 'close';
}
