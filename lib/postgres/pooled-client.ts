import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { Client } from 'pg';
import type { PostgresSettings } from './postgres-settings.js';

/**
 * What is read here of pg's client beyond its documented interface; pg-pool reads some of it too.
 *
 * @internal
 */
interface ClientInternals {
  /** False once the socket has failed. */
  readonly _queryable: boolean;
  /** True once somebody has called `end()`. */
  readonly _ending: boolean;
  /** False from the moment a query is sent until the server's ReadyForQuery. */
  readonly readyForQuery?: boolean;
  readonly _activeQuery: unknown;
  readonly _queryQueue: readonly unknown[];
  /** Of a client in pipeline mode, from 8.22 on. */
  readonly _sentQueryQueue?: readonly unknown[];
}

interface ConnectionInternals {
  readonly stream: Socket;
  parsedStatements: Record<string, string>;
  /** From 8.22 on. */
  submittedNamedStatements?: Record<string, string>;
}

/**
 * pg's client as a pool needs it: it tells the pool when it dies, no `error` of it ever ends the process, it lets the process
 * end while nobody uses it, and it shows no secret to whoever prints it.
 *
 * What the pool wants to know it hears by `emit`, which no borrower's `removeAllListeners` undoes.
 *
 * @internal
 */
export class PooledClient extends Client {
  /** What `statement_timeout` was before a borrower asked for another one. */
  timeoutToRestore: string | undefined = undefined;
  /** Why no further query is taken: the borrower's signal has aborted. */
  refusal: { readonly reason: unknown } | undefined = undefined;
  /** Listeners that belong to the session; all others are its borrower's. */
  keptListeners: ReadonlySet<unknown> | undefined = undefined;
  readonly settings: PostgresSettings;
  readonly #broken: (error: unknown) => void;
  private isInUse = true;

  constructor(settings: PostgresSettings, broken: (error: unknown) => void) {
    super(settings.clientConfig());
    // Beside a connection string too, where pg takes none but the one in there. An empty one counts as none, as with pg.
    const { password } = settings;
    if (password !== undefined && password !== '') this.password = password as string;
    // They hold keys and passwords, and some printers do not ask how an object wants to be printed.
    for (const key of ['connectionParameters', 'ssl', 'connection', 'saslSession', 'secretKey']) {
      const value = (this as unknown as Record<string, unknown>)[key];
      Object.defineProperty(this, key, { value, writable: true, configurable: true, enumerable: false });
    }
    this.settings = settings;
    this.#broken = broken;
  }

  // Its callers see pg's own declarations; this hands everything on as it came.
  override query(...args: any[]): any {
    if (this.refusal !== undefined) throw this.refusal.reason;
    if (!this.isInUse) {
      this.isInUse = true;
      refer(this, true);
    }
    return (super.query as (...args: unknown[]) => unknown)(...args);
  }

  /** From the next query on the process stays alive for it, until it comes back. */
  rest(): void {
    if (!this.isInUse) return;
    this.isInUse = false;
    refer(this, false);
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'error') {
      this.#broken(args[0]);
      if (this.listenerCount('error') === 0) return false;
    } else if (event === 'end') {
      this.#broken(new Error('the connection was closed'));
    }
    return super.emit(event, ...args);
  }

  [inspect.custom](): string {
    return `PostgreSQL client of ${this.settings.description}`;
  }

  toJSON(): object {
    return { upstream: this.settings.description };
  }
}

/** From here on the listeners that it has now stay with the client from one borrower to the next. @internal */
export function keepListeners(client: Client): void {
  const kept = client.eventNames().flatMap((event) => client.listeners(event));
  if (kept.length > 0) (client as PooledClient).keptListeners = new Set<unknown>(kept);
}

/** Takes off what a borrower has left behind. @internal */
export function dropListeners(client: PooledClient): void {
  const { keptListeners } = client;
  for (const event of client.eventNames()) {
    for (const listener of client.listeners(event) as ((...args: unknown[]) => void)[]) {
      if (keptListeners?.has(listener) !== true) client.removeListener(event, listener);
    }
  }
}

function refer(client: Client, keepsAlive: boolean): void {
  const { stream } = connectionOf(client);
  // A stream of the user's own making need not know how.
  if (keepsAlive) stream.ref?.();
  else stream.unref?.();
}

function internalsOf(client: Client): ClientInternals {
  return client as unknown as ClientInternals;
}

function connectionOf(client: Client): ConnectionInternals {
  return client.connection as unknown as ConnectionInternals;
}

/** The socket; another one after TLS has begun. @internal */
export function socketOf(client: Client): Socket {
  return connectionOf(client).stream;
}

/** Whether queries can be sent: the socket is open at both ends and nobody has ended it. No I/O. @internal */
export function isUsable(client: Client): boolean {
  const { _queryable, _ending } = internalsOf(client);
  const { stream } = connectionOf(client);
  return _queryable && !_ending && stream.writable && stream.readable && !stream.destroyed;
}

/** Whether somebody has begun to end it. @internal */
export function isEnding(client: Client): boolean {
  return internalsOf(client)._ending;
}

/** Whether the server has answered everything: no query runs, and none waits behind one. @internal */
export function isQuiet(client: Client): boolean {
  const { readyForQuery, _queryQueue, _sentQueryQueue } = internalsOf(client);
  return readyForQuery === true && _queryQueue.length === 0 && (_sentQueryQueue?.length ?? 0) === 0;
}

/** The query that the server is working on, as pg holds it. @internal */
export function activeQueryOf(client: Client): unknown {
  return internalsOf(client)._activeQuery;
}

/** pg sends a named statement's text once per connection. After the server has forgotten them all, so must pg. @internal */
export function forgetStatements(client: Client): void {
  const connection = connectionOf(client);
  connection.parsedStatements = {};
  if (connection.submittedNamedStatements !== undefined) connection.submittedNamedStatements = {};
}
