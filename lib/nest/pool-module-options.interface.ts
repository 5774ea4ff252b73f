import type {
  Abstract,
  DynamicModule,
  FactoryProvider,
  ModuleMetadata,
  OptionalFactoryDependency,
  Provider,
  Type,
} from '@nestjs/common';
import type { PoolDefinition } from '../core/index.js';

/** A definition of whatever connection and pool. @publicApi */
// The pooled value is the user's: a registry of many pools cannot name it, and `unknown` would refuse every factory.
export type AnyPoolDefinition = PoolDefinition<any, any>;

/**
 * When pools close. `two-phase`: `onModuleDestroy` starts the drain, so that requests in flight are still served, and
 * `onApplicationShutdown`, after the server has stopped, ends it. `close-on-destroy`: all of it in `onModuleDestroy`.
 *
 * @publicApi
 */
export type PoolShutdown = 'two-phase' | 'close-on-destroy';

/** What all forms of registration share. @publicApi */
export interface PoolModuleExtras {
  /** Whether every module may inject the pools without importing this one. Default: true. */
  readonly isGlobal?: boolean;
  /** Default: `two-phase`. */
  readonly shutdown?: PoolShutdown;
}

/** Options of `PoolModule.forRoot`. @publicApi */
export interface PoolModuleOptions extends PoolModuleExtras {
  /** One definition per pool, by name. */
  readonly pools: Readonly<Record<string, AnyPoolDefinition>>;
}

/**
 * A class that makes the definitions, for `useClass` and `useExisting`.
 *
 * @publicApi
 */
export interface PoolOptionsFactory<N extends string = string> {
  createPoolOptions(names: readonly N[]): Record<N, AnyPoolDefinition> | Promise<Record<N, AnyPoolDefinition>>;
}

/** What an `inject` list may hold. @publicApi */
export type InjectEntry = string | symbol | Type<unknown> | Abstract<unknown> | OptionalFactoryDependency;

type Resolve<E> = E extends { readonly token: infer T; readonly optional: true }
  ? Resolve<T> | undefined
  : E extends { readonly token: infer T }
    ? Resolve<T>
    : E extends Abstract<infer Instance>
      ? Instance
      : // A string or a symbol says nothing about what stands behind it; Nest's own factories are `any` there too.
        any;

/** What Nest passes for an `inject` list: an instance for a class, `any` for a string or symbol. @publicApi */
export type Injected<I extends readonly InjectEntry[]> = { [K in keyof I]: Resolve<I[K]> };

interface PoolModuleAsyncBase<N extends string> extends PoolModuleExtras {
  /** The names. They are given here, and not only by the factory, because Nest must know all providers before it runs any. */
  readonly pools: readonly N[];
  readonly imports?: ModuleMetadata['imports'];
  /** Further providers, for the factory's own needs. */
  readonly extraProviders?: Provider[];
}

/**
 * Options of `PoolModule.forRootAsync` with a factory: exactly the names of `pools` must come back.
 *
 * @publicApi
 */
export interface PoolModuleFactoryOptions<
  N extends string,
  I extends readonly InjectEntry[],
  O extends Record<N, AnyPoolDefinition>,
> extends PoolModuleAsyncBase<N> {
  readonly inject?: readonly [...I];
  readonly useFactory: (...dependencies: Injected<I>) => Exact<N, O> | Promise<Exact<N, O>>;
  readonly useClass?: never;
  readonly useExisting?: never;
}

/** `O`, where every key that is not one of the names must be `never`: a pool too many is a compile error. @publicApi */
export type Exact<N extends string, O> = O & Record<Exclude<keyof O, N>, never>;

/**
 * Options of `PoolModule.forRootAsync` with a class that makes the definitions: a new one, or one that exists.
 *
 * @publicApi
 */
export type PoolModuleClassOptions<N extends string> = PoolModuleAsyncBase<N> & {
  readonly inject?: never;
  readonly useFactory?: never;
} & (
    | { readonly useClass: Type<PoolOptionsFactory<NoInfer<N>>>; readonly useExisting?: never }
    | { readonly useExisting: Type<PoolOptionsFactory<NoInfer<N>>>; readonly useClass?: never }
  );

/** Any form of asynchronous options, once the compiler has checked them. @internal */
export interface PoolModuleAsyncOptions extends PoolModuleAsyncBase<string> {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory?: FactoryProvider['useFactory'];
  readonly useClass?: Type<PoolOptionsFactory>;
  readonly useExisting?: Type<PoolOptionsFactory>;
}

/** @internal */
export type ModuleImports = NonNullable<DynamicModule['imports']>;
