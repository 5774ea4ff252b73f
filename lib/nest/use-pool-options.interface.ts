import type { Observable } from 'rxjs';
import type { ConnectionPool } from '../core/index.js';
import type { ConnectionOf, Misfit, PoolRegistryTypes } from './pool-registry-types.interface.js';
import type { PooledResult } from './pooled-method.js';

/** A method that takes its time; only such a one can hold a lease. @publicApi */
export type AsyncMethod = (
  ...args: any[]
) => Promise<unknown> | AsyncIterable<unknown> | Observable<unknown> | NodeJS.ReadableStream;

/** Where {@link UsePool} finds the pool: by name, or by asking the instance. @publicApi */
export type PoolSource<This> = string | ((self: This) => ConnectionPool<any>);

/** @publicApi */
export interface UsePoolOptions<Args extends unknown[] = any[]> {
  /** Overrides the pool's. In milliseconds. */
  readonly acquireTimeoutMs?: number;
  /** 0 to 9, higher first. Default: 0. */
  readonly priority?: number;
  /**
   * The signal that ends the wait for a connection: the name of the parameter that it comes by (`'signal'`, or
   * `'options.signal'` for a property of one), or a function that finds it among the arguments. Names do not survive a
   * minifier; the class then refuses to be defined.
   */
  readonly signal?: string | ((...args: Args) => AbortSignal | undefined);
  /**
   * What a call does that comes from under a lease of the same pool: `new` takes another one, `join` uses the one that is
   * held, for as long as either call needs it. Join where one connection may do several things at a time, or where the
   * callers wait for each other. Default: `new`.
   */
  readonly nested?: 'new' | 'join';
  /**
   * What the method gives back. Only for code without decorator metadata, and for declared types that are no classes: a
   * method that is `async`, or declares `Promise`, `Observable` or `Readable`, says it itself.
   */
  readonly returns?: PooledResult;
}

/** The type of a decorator of methods that hold a lease of the pool `N`. @publicApi */
export type UsePoolDecorator<N extends string> = <M extends AsyncMethod>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M> & LeaseFits<N, Parameters<M>>,
) => void;

/** The connections of all declared pools that a method has parameters for. */
type DeclaredLeases<Args extends unknown[]> = {
  [I in keyof Args]: {
    [P in keyof PoolRegistryTypes]: Same<ConnectionOf<P>, NonNullable<Args[I]>>;
  }[keyof PoolRegistryTypes];
}[number];

type Same<A, B> = [A, B] extends [B, A] ? (0 extends 1 & A ? never : A) : never;

/**
 * Whether a method can be lent a connection of the pool: not, if it has parameters for connections of other declared pools
 * and none for one of this.
 */
type LeaseFits<N extends string, Args extends unknown[]> = N extends keyof PoolRegistryTypes
  ? [DeclaredLeases<Args>] extends [never]
    ? unknown
    : ConnectionOf<N> extends DeclaredLeases<Args>
      ? unknown
      : Misfit<`no parameter takes a connection of the pool "${N}"`>
  : unknown;
