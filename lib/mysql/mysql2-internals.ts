import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import mysql, { type Connection } from 'mysql2';
import { PoolConnection } from 'mysql2/promise';

// Everything that is used here of mysql2 beyond its declared interface, in one place.

/** What mysql2 queues: a query, a prepare, a ping. @internal */
export interface DriverCommand extends EventEmitter {
  readonly sql?: string;
  /** Not there where the caller listens to events instead, as for a stream. */
  onResult?: (this: DriverCommand, error: DriverError | null, ...results: unknown[]) => void;
}

/** An OK packet. @internal */
export interface OkHeader {
  readonly serverStatus?: number;
  readonly stateChanges?: { readonly schema: string | null };
}

/** An error of the server or of the driver. @internal */
export interface DriverError extends Error {
  readonly code?: string;
  readonly errno?: number;
  /** With the values in it. */
  sql?: string;
}

/** The server's first packet. @internal */
export interface ServerGreeting {
  readonly serverVersion?: string;
  readonly statusFlags?: number;
}

/** mysql2's options, resolved. @internal */
export interface DriverConfig {
  charsetNumber: number;
  password?: unknown;
  password2?: unknown;
  password3?: unknown;
  passwordSha1?: unknown;
  readonly ssl?: unknown;
}

/** Those of its options that open a door. @internal */
export const SECRETS = ['password', 'password2', 'password3', 'passwordSha1'] as const;

interface ConnectionInternals {
  /** The socket; another one after TLS has begun. */
  readonly stream: Socket;
  /** The one door through which every command goes, until mysql2 puts another one on the object when it closes. */
  addCommand(command: DriverCommand): DriverCommand;
  close(): void;
}

/** What mysql2's own pool derives from, too. @internal */
export const DriverConnection = mysql.Connection as unknown as new (options: {
  config: DriverConfig;
}) => Connection & ConnectionInternals;

/** What mysql2 makes of options. @internal */
export const ConnectionConfig = (mysql as unknown as { ConnectionConfig: new (options: object) => DriverConfig })
  .ConnectionConfig;

/** mysql2's pool. All that is left of it is built on what derives from it. @internal */
export const DriverPool = (mysql as unknown as { Pool: unknown }).Pool as new (options: {
  config: { connectionConfig: DriverConfig; waitForConnections: boolean; connectionLimit: number; maxIdle: number };
}) => EventEmitter & {
  /** Read by its `promise()`. */
  _closed: boolean;
};

/** Names of collations, `UTF8MB4_UNICODE_CI`, and of charsets for their default one, by number. @internal */
export const Charsets = (mysql as unknown as { Charsets: Readonly<Record<string, number>> }).Charsets;

/** Bits of a server status. @internal */
export const ServerStatus = { inTransaction: 1, autocommit: 2 } as const;

/** mysql2's promised face of a connection, with a `release`. Its types hide how it is made. @internal */
export const PromisedConnection = PoolConnection as unknown as new (connection: object) => PoolConnection;

/** Whether mysql2 has COM_RESET_CONNECTION, as from 3.22 on. @internal */
export function isDriverFit(): boolean {
  return typeof (mysql.Connection.prototype as Partial<Connection>).reset === 'function';
}
