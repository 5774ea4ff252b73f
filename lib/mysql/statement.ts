import type { FieldPacket, QueryResult } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { Lease } from '../core/index.js';
import { type PooledConnection, pooledConnectionOf } from './pooled-connection.js';

/** @internal */
export type StatementMethod = 'query' | 'execute';

/** What a stack is read from when it is needed. */
interface StackHolder {
  readonly stack?: string;
}

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
    private readonly calledFrom: StackHolder | undefined,
  ) {}

  /** Gives the lease back as soon as there is an answer. */
  runOn(lease: Lease<Connection>): Promise<[T, FieldPacket[]]> {
    return this.send(pooledConnectionOf(lease.connection), lease);
  }

  /** Resolves to what mysql2's promises resolve to. */
  send(connection: PooledConnection, lease?: Lease<Connection>): Promise<[T, FieldPacket[]]> {
    return new Promise((resolve, reject) => {
      try {
        (connection[this.method] as Send)(this.sql, this.values, (error, rows?: T, fields?: FieldPacket[]) => {
          if (lease?.isHeld === true) lease.release();
          if (error) reject(this.traced(error));
          else resolve([rows!, fields!]);
        });
      } catch (error) {
        if (lease?.isHeld === true) lease.release();
        throw error;
      }
    });
  }

  /** An error's own stack leads to the socket that the answer came from. */
  private traced(error: Error): Error {
    const [, ...frames] = this.calledFrom?.stack?.split('\n') ?? [];
    if (frames.length > 0) error.stack = [`${error.name}: ${error.message}`, ...frames].join('\n');
    return error;
  }
}

/** The stack of whoever called this function. It costs a microsecond or two, and its text only when read. @internal */
export function stackBelow(caller: (...args: never[]) => unknown): StackHolder {
  const holder: StackHolder = {};
  Error.captureStackTrace(holder, caller);
  return holder;
}
