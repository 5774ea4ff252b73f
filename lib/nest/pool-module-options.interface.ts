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
 * When pools close. `two-phase`: `onModuleDestroy` turns readiness, requests in flight are still served, and
 * `onApplicationShutdown`, after the server has stopped, closes. `close-on-destroy`: all of it in `onModuleDestroy`.
 *
 * @publicApi
 */
export type PoolShutdown = 'two-phase' | 'close-on-destroy';

/** What all forms of registration share. @publicApi */
export interface PoolExtras {
  /** Whether every module may inject the pools without importing this one. Default: true, and false for a feature's pool. */
  readonly isGlobal?: boolean;
  /** Default: `two-phase`. */
  readonly shutdown?: PoolShutdown;
  /**
   * Whether the application's own HTTP server is asked to let go of its clients when it shuts down: answers say
   * `connection: close` from then on, and connections on which nothing is asked are closed. Otherwise a client's idle
   * connection holds the shutdown, and so the pools, for seconds. Default: true.
   */
  readonly releaseClients?: boolean;
}

/** What the forms that register several pools share. @publicApi */
export interface PoolModuleExtras<N extends string = string> extends PoolExtras {
  /**
   * Pools without which the application must not boot: all (`true`), or those named. Each must lend a connection within its
   * `acquireTimeoutMs`, or the boot fails with the reason. Default: false, an upstream that is down stops no boot.
   */
  readonly failOnStart?: boolean | readonly NoInfer<N>[];
}

/** Options of `PoolModule.forRoot`. @publicApi */
export interface PoolModuleOptions<N extends string = string> extends PoolModuleExtras<N> {
  /** One definition per pool, by name. */
  readonly pools: Readonly<Record<N, AnyPoolDefinition>>;
}

/** What the forms that register one pool for a feature's module share. @publicApi */
export interface PoolFeatureExtras extends PoolExtras {
  /** The pool's name, in the whole application. */
  readonly name: string;
  /** Whether the application must not boot without it. Default: false. */
  readonly failOnStart?: boolean;
}

/** Options of `PoolModule.forFeature`. @publicApi */
export interface PoolFeatureOptions extends PoolFeatureExtras {
  readonly pool: AnyPoolDefinition;
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

interface AsyncNeeds {
  readonly imports?: ModuleMetadata['imports'];
  /** Further providers, for the factory's own needs. */
  readonly extraProviders?: Provider[];
}

interface PoolModuleAsyncBase<N extends string> extends PoolModuleExtras<N>, AsyncNeeds {
  /** The names. They are given here, and not only by the factory, because Nest must know all providers before it runs any. */
  readonly pools: readonly N[];
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

/** Options of `PoolModule.forFeatureAsync` with a factory, which makes the one definition. @publicApi */
export interface PoolFeatureFactoryOptions<I extends readonly InjectEntry[]> extends PoolFeatureExtras, AsyncNeeds {
  readonly inject?: readonly [...I];
  readonly useFactory: (...dependencies: Injected<I>) => AnyPoolDefinition | Promise<AnyPoolDefinition>;
  readonly useClass?: never;
  readonly useExisting?: never;
}

/** Options of `PoolModule.forFeatureAsync` with a class that is asked for the one name. @publicApi */
export type PoolFeatureClassOptions = PoolFeatureExtras &
  AsyncNeeds & { readonly inject?: never; readonly useFactory?: never } & (
    | { readonly useClass: Type<PoolOptionsFactory>; readonly useExisting?: never }
    | { readonly useExisting: Type<PoolOptionsFactory>; readonly useClass?: never }
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
