import type { FieldPacket, QueryResult } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { Lease } from '../core/index.js';
import { type PooledConnection, pooledConnectionOf } from './pooled-connection.js';

/** @internal */
export type StatementMethod = 'query' | 'execute';

type Send = (sql: unknown, values: unknown, done: (error: Error | null, ...result: never[]) => void) => void;

/**
 * One statement that has a connection to itself.
 *
 * @internal
 */
export class Statement<T extends QueryResult> {
  constructor(
    private readonly method: StatementMethod,
    private readonly sql: unknown,
    private readonly values: unknown,
    /** Whether the stack of an error is to lead to whoever waits for the statement. */
    private readonly traces: boolean,
  ) {}

  /** Gives the lease back as soon as there is an answer. */
  runOn(lease: Lease<Connection>): Promise<[T, FieldPacket[]]> {
    return this.send(pooledConnectionOf(lease.connection), lease);
  }

  /** Resolves to what mysql2's promises resolve to. */
  async send(connection: PooledConnection, lease?: Lease<Connection>): Promise<[T, FieldPacket[]]> {
    try {
      return await this.answered(connection, lease);
    } catch (error) {
      // An error's own stack leads to the socket that the answer came from. From here it leads to those who await this. mysql2
      // takes a stack before each query, in case that it fails, which is a tenth of what a short query costs.
      if (this.traces && error instanceof Error) Error.captureStackTrace(error, send);
      throw error;
    }
  }

  private answered(connection: PooledConnection, lease: Lease<Connection> | undefined): Promise<[T, FieldPacket[]]> {
    return new Promise((resolve, reject) => {
      try {
        (connection[this.method] as Send)(this.sql, this.values, (error, rows?: T, fields?: FieldPacket[]) => {
          if (lease?.isHeld === true) lease.release();
          if (error) reject(error);
          else resolve([rows!, fields!]);
        });
      } catch (error) {
        if (lease?.isHeld === true) lease.release();
        throw error;
      }
    });
  }
}

/** What a stack begins below. It is compared with its frames, never called. */
// oxlint-disable-next-line typescript/unbound-method
const { send } = Statement.prototype;
