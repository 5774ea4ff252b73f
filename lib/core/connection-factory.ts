/**
 * What a hook is told about the call it is in.
 *
 * @publicApi
 */
export interface HookContext {
  /** The pool's name. */
  readonly pool: string;
  /** Aborted when the hook's time limit has passed or the pool gives up on it. Made when it is first read. */
  readonly signal: AbortSignal;
}

/**
 * What {@link ConnectionFactory.create} is told. A borrower that loses patience never shows here: connections are
 * opened for the pool, not for whoever asked first.
 *
 * @publicApi
 */
export interface CreateContext extends HookContext {
  /** 1 for a first try, one more for each failure in a row before it. */
  readonly attempt: number;
  /**
   * Tells the pool that this connection is dead. May be called at any time in its life, from any event handler: idle, it
   * is retired at once; leased, `lease.signal` tells the borrower and it is destroyed on return.
   */
  readonly broken: (error?: unknown) => void;
}

/**
 * The key by which a factory says, with `true`, that it yields one connection again and again, and that many may be lent it at
 * once, as a fake does. The same in every copy of this package.
 *
 * @internal
 */
export const LENDS_ONE = Symbol.for('nestjs-pools.lendsOne');

/**
 * How connections are opened, checked, reset and closed.
 *
 * Every hook has a time limit of its own, may throw, reject with anything or hang; none of that loses a slot or reaches
 * another borrower.
 *
 * @publicApi
 */
export interface ConnectionFactory<T> {
  /** Opens one connection. `undefined`, `null` or a connection that the pool already has is a failed create. */
  create(context: CreateContext): Promise<T> | T;
  /** Whether a connection still works. Only `true` is healthy. */
  isHealthy?(connection: T, context: HookContext): Promise<boolean> | boolean;
  /** Makes a returned connection ready for the next borrower. A failure destroys it. */
  reset?(connection: T, context: HookContext): Promise<void> | void;
  /** Closes a connection. Called exactly once for every connection that was not detached. */
  destroy?(connection: T, context: HookContext): Promise<void> | void;
  /**
   * Whether a failed create may succeed by itself later. `false`, as does `error.retryable === false`, stops the background
   * from trying again until an acquire needs a new connection: a wrong password that is repeated locks the account.
   */
  retryable?(error: unknown): boolean;
  /** A free check without I/O, asked at every lease. It must be synchronous and touch nothing, the pool least of all. */
  looksAlive?(connection: T): boolean;
}
