import { Readable } from 'node:stream';
import { isObservable, Observable, type Subscription } from 'rxjs';
import { listenToAbort } from '../core/abort-listening.js';
import type { AcquireOptions, ConnectionPool, Lease } from '../core/index.js';
import { isJoiningExpected, LeaseScope } from './lease-scope.js';
import { isAsyncIterable, whileLive } from './live-result.js';

type Pool = ConnectionPool<unknown>;

/**
 * What a method gives back. It must be known before the call, for the lease comes before the method: a promise is held
 * under it; an iterable, an Observable and a stream begin with it when somebody asks for the first value.
 *
 * @publicApi
 */
export type PooledResult = 'promise' | 'iterable' | 'observable' | 'stream';

/** @internal */
export interface PooledMethodParts {
  /** The pool of an instance; throws where there is none. */
  poolOf(self: unknown): ConnectionPool<unknown>;
  readonly returns: PooledResult;
  readonly joins: boolean;
  /** Calls the method itself, with the connection where it belongs. */
  invoke(self: unknown, args: unknown[], connection: unknown): unknown;
  /** What a call asks of the pool, if anything. */
  optionsOf(args: unknown[]): AcquireOptions | undefined;
  /** The error for a result of another kind. */
  unexpected(result: unknown): Error;
}

interface PromisedCall {
  readonly self: unknown;
  readonly args: unknown[];
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** A connection in the hands of one call: leased for it, or joined. */
interface Held {
  readonly connection: unknown;
  readonly scope: LeaseScope | undefined;
  giveBack(): void;
}

/**
 * A method whose every call holds a lease: while its promise is pending and for as long as what came of it goes on, or while
 * somebody iterates, reads or is subscribed.
 *
 * @internal
 */
export class PooledMethod {
  constructor(private readonly parts: PooledMethodParts) {}

  call(self: unknown, args: unknown[]): unknown {
    switch (this.parts.returns) {
      case 'promise':
        return this.settle(self, args);
      case 'iterable':
        return this.iterate(self, args);
      case 'observable':
        return this.observe(self, args);
      case 'stream':
        // What its chunks are, bytes or objects, is known only when it has begun.
        return Readable.from(this.iterate(self, args), { objectMode: true });
    }
  }

  private settle(self: unknown, args: unknown[]): Promise<unknown> {
    // By hand, for the caller's promise is settled before the lease ends where others still use the connection.
    // Whatever is thrown in here is a rejection: an async method never throws.
    return new Promise((resolve, reject) => {
      const pool = this.parts.poolOf(self);
      const call: PromisedCall = { self, args, resolve, reject };
      const joined = this.joinable(pool)?.join();
      const working =
        joined === undefined
          ? pool.use((connection, lease) => this.workUnder(pool, connection, lease, call), this.parts.optionsOf(args))
          : joined.run(() => this.work(joined.connection, call)).finally(() => joined.leave());
      working.then(resolve, reject);
    });
  }

  private workUnder(pool: Pool, connection: unknown, lease: Lease<unknown>, call: PromisedCall): Promise<unknown> {
    if (!isJoiningExpected()) return this.work(connection, call);
    return this.workShared(new LeaseScope(pool, connection, lease), call);
  }

  private async work(connection: unknown, call: PromisedCall): Promise<unknown> {
    const promised = this.parts.invoke(call.self, call.args, connection);
    if (!isPromise(promised)) throw this.parts.unexpected(promised);
    const result = await promised;
    const live = whileLive(result);
    if (live === undefined) return result;
    call.resolve(live.value);
    await live.ended;
    return live.value;
  }

  /** Where others have joined and still work, the caller has its answer at once, and the lease waits for them. */
  private workShared(scope: LeaseScope, call: PromisedCall): Promise<unknown> {
    return scope
      .run(() => this.work(scope.connection, call))
      .then(
        (result) => {
          if (!scope.isShared) return this.left(scope, result);
          call.resolve(result);
          return scope.over();
        },
        async (error: unknown) => {
          if (scope.isShared) call.reject(error);
          await scope.over();
          throw error;
        },
      );
  }

  /** Without a promise more: this is the way of nearly every call. */
  private left(scope: LeaseScope, result: unknown): unknown {
    scope.leave();
    return result;
  }

  private async *iterate(self: unknown, args: unknown[]): AsyncGenerator<unknown, unknown, unknown> {
    const held = await this.take(this.parts.poolOf(self), this.parts.optionsOf(args));
    try {
      const invoke = (): unknown => this.parts.invoke(self, args, held.connection);
      const body = held.scope === undefined ? invoke() : held.scope.run(invoke);
      if (!isAsyncIterable(body)) throw this.parts.unexpected(body);
      return yield* held.scope === undefined ? body : held.scope.within(body);
    } finally {
      held.giveBack();
    }
  }

  /** A lease for each subscription. One that leaves while it waits leaves the queue. */
  private observe(self: unknown, args: unknown[]): Observable<unknown> {
    return new Observable((subscriber) => {
      const pool = this.parts.poolOf(self);
      const waiting = new Waiting(this.parts.optionsOf(args));
      let held: Held | undefined;
      let subscription: Subscription | undefined;
      const begin = async (): Promise<void> => {
        const taken = await this.take(pool, waiting.options).finally(() => waiting.end());
        if (subscriber.closed) return taken.giveBack();
        held = taken;
        const { scope, connection } = taken;
        const subscribe = (): void => {
          const body = this.parts.invoke(self, args, connection);
          if (!isObservable(body)) throw this.parts.unexpected(body);
          subscription = body.subscribe(subscriber);
        };
        if (scope === undefined) subscribe();
        else scope.run(subscribe);
      };
      begin().catch((error: unknown) => subscriber.error(error));
      return () => {
        waiting.leave();
        subscription?.unsubscribe();
        held?.giveBack();
      };
    });
  }

  private async take(pool: Pool, options: AcquireOptions | undefined): Promise<Held> {
    const joined = this.joinable(pool)?.join();
    if (joined !== undefined) {
      return { connection: joined.connection, scope: joined, giveBack: () => joined.leave() };
    }
    const lease: Lease<unknown> = await pool.acquire(options);
    const { connection } = lease;
    if (!isJoiningExpected()) return { connection, scope: undefined, giveBack: () => lease[Symbol.dispose]() };
    const scope = new LeaseScope(pool, connection, lease);
    return { connection, scope, giveBack: () => void scope.over().then(() => lease[Symbol.dispose]()) };
  }

  private joinable(pool: Pool): LeaseScope | undefined {
    return this.parts.joins ? LeaseScope.of(pool) : undefined;
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Promise<unknown>>).then === 'function';
}

/** The wait of a subscriber for its lease: ended by the caller's own signal, or by the subscriber that leaves. */
class Waiting {
  readonly options: AcquireOptions;
  private readonly controller = new AbortController();
  private readonly caller: AbortSignal | undefined;

  constructor(options: AcquireOptions | undefined) {
    this.caller = options?.signal;
    this.options = { ...options, signal: this.controller.signal };
    if (this.caller?.aborted) this.handleEvent();
    else if (this.caller !== undefined) listenToAbort(this.caller, this);
  }

  handleEvent(): void {
    this.controller.abort(this.caller?.reason);
  }

  leave(): void {
    this.end();
    this.controller.abort();
  }

  end(): void {
    this.caller?.removeEventListener('abort', this);
  }
}
