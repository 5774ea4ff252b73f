import { type DriverError, type OkHeader, type ServerGreeting, ServerStatus } from './mysql2-internals.js';

/** A server that does not take writes any more, as after a failover: whoever comes next wants another one. */
const READ_ONLY_ERRORS = new Set([1290, 1792, 1836]);
/** ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_TABLE_FULL, and MariaDB's ER_CHECKREAD. */
const CONFLICTS = new Set([1213, 1205, 1206, 1020]);

/**
 * What is known of a session at the server, from the answers that pass by anyway: whether it is in a transaction, and in which
 * database.
 *
 * @internal
 */
export class SessionState {
  isMariaDb = false;
  /** As of the last answer that told. */
  inTransaction = false;
  /** Whether something may have happened since that no answer has told: an error does not say. */
  isUnsure = false;
  /** The last error with which a server may have rolled the transaction back by itself. */
  conflict: DriverError | undefined = undefined;
  /** Why nobody else must get the connection. */
  spoiledBy: string | undefined = undefined;
  private isAutocommit = true;
  /** `undefined` for none, `null` for unknown. */
  private database: string | null | undefined = undefined;
  private home: { readonly isAutocommit: boolean; readonly database: string | undefined } = {
    isAutocommit: true,
    database: undefined,
  };

  begin({ serverVersion = '', statusFlags = ServerStatus.autocommit }: ServerGreeting, database?: string): void {
    this.isMariaDb = /mariadb/i.test(serverVersion);
    this.isAutocommit = (statusFlags & ServerStatus.autocommit) !== 0;
    this.database = database;
    this.home = { isAutocommit: this.isAutocommit, database };
  }

  /** Whether a transaction may be open. Without autocommit every read opens one, and no answer says so. */
  get mayBeInTransaction(): boolean {
    return this.inTransaction || this.isUnsure || !this.isAutocommit;
  }

  /** Whether it is not in the database of the login any more. */
  get isAway(): boolean {
    return this.database !== this.home.database;
  }

  sent(sql: string): void {
    // The answer says where to, unless the server was told not to track it.
    if (/^\s*use\b/i.test(sql)) this.database = null;
  }

  readonly onOk = ({ serverStatus, stateChanges }: OkHeader): void => {
    if (serverStatus === undefined) return;
    this.inTransaction = (serverStatus & ServerStatus.inTransaction) !== 0;
    this.isAutocommit = (serverStatus & ServerStatus.autocommit) !== 0;
    this.isUnsure = false;
    const { schema } = stateChanges ?? {};
    if (typeof schema === 'string') this.database = schema === '' ? undefined : schema;
  };

  failed(error: DriverError): void {
    this.isUnsure = true;
    if (CONFLICTS.has(error.errno ?? 0)) this.conflict = error;
    if (READ_ONLY_ERRORS.has(error.errno ?? 0)) this.spoiledBy ??= 'its server takes no writes';
  }

  cameHome(): void {
    this.database = this.home.database;
  }

  /** The server has forgotten all but the database. */
  forget(): void {
    this.inTransaction = false;
    this.isUnsure = false;
    this.conflict = undefined;
    this.isAutocommit = this.home.isAutocommit;
  }
}
