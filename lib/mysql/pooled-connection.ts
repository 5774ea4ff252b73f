import { inspect } from 'node:util';
import type { ConnectionOptions, QueryError } from 'mysql2';
import type { PoolConnection as PromiseConnection } from 'mysql2/promise';
import { KeptListeners } from './kept-listeners.js';
import type { MysqlSettings } from './mysql-settings.js';
import {
  type DriverCommand,
  type DriverConfig,
  DriverConnection,
  type DriverError,
  type OkHeader,
  PromisedConnection,
  SECRETS,
  type ServerGreeting,
} from './mysql2-internals.js';
import type { QueryKiller } from './query-killer.js';
import { SessionState } from './session-state.js';

/** Who has lent the connection to somebody that knows mysql2's own pool, and takes it back from him. @internal */
export interface Lender {
  release(): void;
  destroy(reason?: unknown): void;
}

/** What a connection needs of whoever opens it. @internal */
export interface ConnectionOwner {
  readonly settings: MysqlSettings;
  readonly killer: QueryKiller | undefined;
  /** It is dead. Told once. */
  broken(error: unknown): void;
}

/** A method of mysql2's, whose overloads matter to its callers alone. */
type Handed = (...args: unknown[]) => never;

/** Whom a command tells its result, once the connection has heard it. */
const TOLD = Symbol('told');

interface WatchedCommand extends DriverCommand {
  [TOLD]?: DriverCommand['onResult'];
}

/** How long a polite end waits for the server's side of it before the socket is torn down. */
const LINGER_MS = 1_000;

/**
 * mysql2's connection as a pool needs it: it tells the pool when it dies, no `error` of it ever ends the process, it follows
 * what its borrower does to the session, it lets the process end while nobody uses it, and it shows no secret to whoever prints it.
 *
 * What the pool wants to know it hears by `emit` and `addCommand`, which no `removeAllListeners` undoes.
 *
 * @internal
 */
export class PooledConnection extends DriverConnection {
  readonly settings: MysqlSettings;
  readonly killer: QueryKiller | undefined;
  readonly session = new SessionState();
  /** Why no further query is taken: the borrower's signal has aborted. */
  refusal: { readonly reason: unknown } | undefined = undefined;
  /** The face that is lent. */
  readonly #promised: PromiseConnection;
  readonly #listeners: readonly KeptListeners[];
  /** Kept where no printer looks, and out of mysql2's own options once it has logged in. */
  readonly #secrets: Partial<Record<(typeof SECRETS)[number], unknown>> = {};
  readonly #charsetNumber: number;
  #owner: ConnectionOwner | undefined;
  #whenLost: ((error: unknown) => void) | undefined = undefined;
  #lender: Lender | undefined = undefined;
  #hasBeenLentThere = false;
  /** The command queued last, until it has ended. They end in order. */
  #last: DriverCommand | undefined = undefined;
  #isPaused = false;
  #isInUse = true;
  // One of each for all commands, called with the command as `this`. A closure for every command would cost little by itself; but
  // V8 has been seen to take the results of commands that have such for objects that live long, and then they do (a third slower).
  /** mysql2's own fields do not tell: in the midst of this event, when its pool gives a connection back, they hold the command. */
  readonly #onEnd: (this: DriverCommand) => void;
  readonly #onResult: NonNullable<DriverCommand['onResult']>;

  constructor(owner: ConnectionOwner, config: DriverConfig) {
    super({ config });
    const { settings, killer } = owner;
    for (const [key, value] of Object.entries({ config, settings, killer })) {
      Object.defineProperty(this, key, { value, writable: true, configurable: true, enumerable: false });
    }
    Object.defineProperty(config, 'ssl', { enumerable: false });
    this.settings = settings;
    this.killer = killer;
    this.#owner = owner;
    this.#charsetNumber = config.charsetNumber;
    const { session } = this;
    const ended = (command: DriverCommand): void => {
      if (this.#last === command) this.#last = undefined;
    };
    this.#onEnd = function (this: DriverCommand) {
      ended(this);
    };
    this.#onResult = function (this: WatchedCommand, error, ...results) {
      if (error) session.failed(error);
      this[TOLD]!(error, ...results);
    };
    this.#promised = this.promise();
    this.#listeners = [new KeptListeners(this.#promised), new KeptListeners(this)];
  }

  /** What is lent. */
  get promised(): PromiseConnection {
    return this.#promised;
  }

  set lender(lender: Lender | undefined) {
    this.#lender = lender;
    this.#hasBeenLentThere ||= lender !== undefined;
  }

  /** Whether the server has not answered everything yet. */
  get isBusy(): boolean {
    return this.#last !== undefined;
  }

  /** Whether commands can be sent. No I/O. */
  get isUsable(): boolean {
    const { stream } = this;
    return this.#owner !== undefined && stream.writable && stream.readable && !stream.destroyed;
  }

  /** Whether somebody has stopped reading in the middle of an answer, which then never ends. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Resolves when it has logged in. */
  opened(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const giveUp = (): void => lost(signal.reason);
      const lost = (this.#whenLost = (error: unknown): void => {
        signal.removeEventListener('abort', giveUp);
        // Wherever it is: resolving the name, connecting, shaking hands.
        this.stream.destroy();
        reject(error as Error);
      });
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      super.once('connect', (greeting: ServerGreeting) => {
        signal.removeEventListener('abort', giveUp);
        this.#whenLost = undefined;
        this.session.begin(greeting, this.settings.database);
        this.hideSecrets();
        resolve();
      });
    });
  }

  /** One statement of the pool's own, also while the borrower's are refused. */
  ask(sql: string): Promise<void> {
    return this.asking((done) => super.query(sql, done));
  }

  /** COM_RESET_CONNECTION, after everything that is queued. */
  async forgetSession(): Promise<void> {
    await this.asking((done) => super.reset(done));
    // mysql2 follows `SET NAMES` and does not see that it is undone: it would go on to write in the borrower's charset.
    (this.config as DriverConfig).charsetNumber = this.#charsetNumber;
    this.session.forget();
  }

  /** COM_PING, after everything that is queued. */
  answers(): Promise<void> {
    return this.asking((done) => super.ping(done));
  }

  /** The listeners that are there now stay when the borrower goes. */
  keepListeners(): void {
    for (const listeners of this.#listeners) listeners.keep();
  }

  restoreListeners(): void {
    for (const listeners of this.#listeners) listeners.restore();
  }

  /** Tells the pool that nobody else must get it. */
  spoil(reason: string): void {
    this.lost(new Error(reason));
  }

  /** From the next command on the process stays alive for it, until it comes back. */
  rest(): void {
    if (!this.#isInUse) return;
    this.#isInUse = false;
    this.stream.unref?.();
  }

  /** Closes it, politely where the server has nothing left to do. Resolves when the socket is closed. */
  async bury(): Promise<void> {
    const { stream } = this;
    const isPolite = this.isUsable && !this.isBusy;
    // From here on the pool knows.
    this.#owner = undefined;
    if (stream.closed) return;
    const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
    if (isPolite) super.end();
    else stream.destroy();
    const linger = setTimeout(() => stream.destroy(), LINGER_MS);
    await closed;
    clearTimeout(linger);
  }

  /** For a borrower that knows mysql2's own pool. */
  release(): void {
    // A second release is none, as in mysql2.
    if (this.#lender === undefined && this.#hasBeenLentThere) return;
    if (this.#lender === undefined) throw new Error('this connection is given back by its lease: lease.release()');
    this.#lender.release();
  }

  // What follows overrides mysql2. Its callers see mysql2's own declarations; arguments are handed on as they came.

  override query(...args: unknown[]): never {
    this.throwIfRefused();
    return (super.query as Handed)(...args);
  }

  override execute(...args: unknown[]): never {
    this.throwIfRefused();
    return (super.execute as Handed)(...args);
  }

  override prepare(...args: unknown[]): never {
    this.throwIfRefused();
    return (super.prepare as Handed)(...args);
  }

  override addCommand(command: DriverCommand): DriverCommand {
    // mysql2's constructor queues the handshake, before anything of this class is there.
    if (#owner in this) this.watch(command);
    return super.addCommand(command);
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (#owner in this) {
      if (event === 'error') {
        this.lost(args[0]);
        if (this.listenerCount('error') === 0) return false;
      } else if (event === 'end') {
        this.lost(lostError());
      }
    }
    return super.emit(event, ...args);
  }

  override promise(): PromiseConnection {
    return new PromisedConnection(this);
  }

  override changeUser(options: ConnectionOptions, callback?: (error: QueryError | null) => void): void {
    // From here on it is somebody else's.
    this.session.spoiledBy ??= 'its borrower has changed its user';
    super.changeUser({ ...(this.#secrets as object), ...options }, callback);
  }

  override pause(): void {
    this.#isPaused = true;
    super.pause();
  }

  override resume(): void {
    this.#isPaused = false;
    super.resume();
  }

  override end(...args: unknown[]): never {
    const callback = args.find((argument) => typeof argument === 'function') as (() => void) | undefined;
    if (this.#lender !== undefined) {
      // mysql2's own pool takes it for a release, too.
      this.#lender.release();
      return callback?.() as never;
    }
    this.lost(new Error('its borrower has ended it'));
    return super.end(callback) as never;
  }

  override destroy(): void {
    if (this.#lender !== undefined) return this.#lender.destroy();
    super.destroy();
  }

  override close(): void {
    this.lost(new Error('it was closed'));
    super.close();
  }

  [inspect.custom](): string {
    return `MySQL connection of ${this.settings.description}`;
  }

  toJSON(): object {
    return { upstream: this.settings.description };
  }

  private throwIfRefused(): void {
    if (this.refusal !== undefined) throw this.refusal.reason;
  }

  private watch(command: WatchedCommand): void {
    if (!this.#isInUse) {
      this.#isInUse = true;
      this.stream.ref?.();
    }
    this.#last = command;
    command.on('end', this.#onEnd);
    const { session } = this;
    const { sql, onResult } = command;
    if (sql === undefined) return;
    session.sent(sql);
    if (onResult === undefined) {
      // Its rows and its error go to listeners of the borrower's alone, and each listener more would change what they mean.
      session.isUnsure = true;
      return;
    }
    command.on('result', session.onOk as (header: OkHeader) => void);
    command[TOLD] ??= onResult;
    command.onResult = this.#onResult;
  }

  private lost(error: unknown): void {
    const owner = this.#owner;
    this.#owner = undefined;
    this.#whenLost?.(error);
    this.#whenLost = undefined;
    owner?.broken(error);
    // As from mysql2's own pool it is gone at once, though its borrower may not have noticed.
    this.#lender?.destroy(error);
  }

  private hideSecrets(): void {
    const config = this.config as DriverConfig;
    for (const key of SECRETS) {
      this.#secrets[key] = config[key];
      config[key] = undefined;
    }
  }

  private asking(send: (done: (error: DriverError | null) => void) => unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      send((error) => (error ? reject(withoutSql(error)) : resolve()));
    });
  }
}

/** The statement was the pool's own; nobody needs it with its values in a log. @internal */
export function withoutSql<E>(error: E): E {
  if (typeof error === 'object' && error !== null && 'sql' in error) delete error.sql;
  return error;
}

function lostError(): Error {
  return Object.assign(new Error('the server closed the connection'), { code: 'PROTOCOL_CONNECTION_LOST' });
}

/** The connection under a face that a pool has lent. @internal */
export function pooledConnectionOf(connection: object): PooledConnection {
  return (connection as { readonly connection: PooledConnection }).connection;
}
