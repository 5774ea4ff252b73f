import { AsyncLocalStorage } from 'node:async_hooks';
import type { ConnectionPool } from '../core/index.js';

/** What a scope asks of the lease under it; a stand-in in a test may know nothing of it. */
interface Held {
  readonly isHeld?: boolean;
}

/**
 * A lease as the code that runs under it sees it: methods that it calls may join in, and it is over when the last has left.
 *
 * @internal
 */
export class LeaseScope {
  private users = 1;
  private whenOver: (() => void) | undefined;

  constructor(
    readonly pool: ConnectionPool<unknown>,
    readonly connection: unknown,
    private readonly lease: Held | undefined,
    /** The leases under which it was taken; those of other pools can be joined through it. */
    private readonly outer: LeaseScope | undefined = scopes.getStore(),
  ) {}

  /** One more uses the connection, until it {@link leave}s. */
  join(): this {
    this.users += 1;
    return this;
  }

  leave(): void {
    this.users -= 1;
    if (this.users === 0) this.whenOver?.();
  }

  /** Whether others than its owner use it. */
  get isShared(): boolean {
    return this.users > 1;
  }

  /** Its owner leaves it, and hears when all the others have too. */
  over(): Promise<void> {
    return new Promise((resolve) => {
      this.whenOver = resolve;
      this.leave();
    });
  }

  /** Runs code under this lease. */
  run<R>(work: () => R): R {
    return scopes.run(this, work);
  }

  /** Has each step of an iteration run under this lease: a generator's body runs in the context of whoever asks it. */
  within(body: AsyncIterable<unknown>): AsyncIterableIterator<unknown> {
    const inner = this.run(() => body[Symbol.asyncIterator]());
    const iterator: AsyncIterableIterator<unknown> = {
      next: (value) => this.run(() => inner.next(value as undefined)),
      [Symbol.asyncIterator]: () => iterator,
    };
    if (inner.return !== undefined) iterator.return = (value) => this.run(() => inner.return!(value));
    if (inner.throw !== undefined) iterator.throw = (error) => this.run(() => inner.throw!(error));
    return iterator;
  }

  /** The innermost lease of that pool under which the caller runs, if it is still held. */
  static of(pool: ConnectionPool<unknown>): LeaseScope | undefined {
    for (let scope = scopes.getStore(); scope !== undefined; scope = scope.outer) {
      if (scope.pool === pool && scope.users > 0 && scope.lease?.isHeld !== false) return scope;
    }
    return undefined;
  }
}

const scopes = new AsyncLocalStorage<LeaseScope>();

/**
 * Whether any method of the process joins leases. Before Node 24 the first use of an `AsyncLocalStorage` makes every
 * promise slower, so leases leave no trace there until the first decorator that asks for it is met.
 */
let isAnyoneJoining = false;

/** @internal */
export function expectJoining(): void {
  isAnyoneJoining = true;
}

/** @internal */
export function isJoiningExpected(): boolean {
  return isAnyoneJoining;
}
