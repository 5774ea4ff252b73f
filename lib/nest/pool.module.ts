import { type DynamicModule, Global, Module, type Provider } from '@nestjs/common';
import type { ConnectionPool } from '../core/index.js';
import { makePool } from './made-pool.js';
import { checkDefinitions, checkNames, checkOptions, type Definitions } from './module-option-checks.js';
import {
  type AnyPoolDefinition,
  type InjectEntry,
  type ModuleImports,
  type PoolFeatureClassOptions,
  type PoolFeatureFactoryOptions,
  type PoolFeatureOptions,
  type PoolModuleAsyncOptions,
  type PoolModuleClassOptions,
  type PoolModuleExtras,
  type PoolModuleFactoryOptions,
  type PoolModuleOptions,
  type PoolOptionsFactory,
} from './pool-module-options.interface.js';
import { PoolLifecycle } from './pool.lifecycle.js';
import { PoolRegistry, type RegisteredPool } from './pool.registry.js';
import { getPoolToken, POOL_DEFINITIONS, registrationToken } from './pool.tokens.js';

/** What an application has once, however many times `PoolModule` is imported: a static class is one module to Nest. */
@Global()
@Module({ providers: [PoolRegistry, PoolLifecycle], exports: [PoolRegistry] })
class PoolCoreModule {}

/**
 * Registers one injectable pool per named upstream.
 *
 * @publicApi
 */
@Module({})
export class PoolModule {
  /**
   * Pools whose definitions are at hand.
   *
   * @throws {@link PoolOptionsError} for a definition that is not one, and for options that there are not
   */
  static forRoot<const N extends string>(options: PoolModuleOptions<N>): DynamicModule {
    const names = Object.keys(options?.pools ?? {});
    checkOptions('forRoot', names, options);
    const definitions = checkDefinitions(names, options.pools);
    return assemble(names, options, [], [{ provide: POOL_DEFINITIONS, useValue: definitions }]);
  }

  /**
   * Pools whose definitions a factory or a class makes, from whatever it injects.
   *
   * `pools` lists the names; the compiler, and at run time the boot, sees to it that exactly those come back. Takes what
   * `asProvider()` of `@nestjs/config` gives, beside `pools`.
   *
   * @throws {@link PoolOptionsError} for names or options that cannot work
   */
  static forRootAsync<
    const N extends string,
    const I extends readonly InjectEntry[] = [],
    O extends Record<N, AnyPoolDefinition> = Record<N, AnyPoolDefinition>,
  >(options: PoolModuleFactoryOptions<N, I, O> | PoolModuleClassOptions<N>): DynamicModule {
    // The public type is there to check the caller; from here on the names are plain strings.
    const plain = options as unknown as PoolModuleAsyncOptions;
    const names = checkNames(plain?.pools);
    checkOptions('forRootAsync', names, plain);
    return assembleAsync(names, plain);
  }

  /**
   * The one pool of a feature's module, whose definition is at hand. Only modules that import this one may inject it, unless
   * `isGlobal` says otherwise; its name is taken in the whole application.
   *
   * @throws {@link PoolOptionsError} for a definition that is not one, and for options that there are not
   */
  static forFeature(options: PoolFeatureOptions): DynamicModule {
    const names = checkNames([options?.name]);
    checkOptions('forFeature', names, options);
    const definitions = checkDefinitions(names, { [options.name]: options.pool });
    const providers: Provider[] = [{ provide: POOL_DEFINITIONS, useValue: definitions }];
    return assemble(names, { isGlobal: false, ...options }, [], providers);
  }

  /**
   * The one pool of a feature's module, whose definition a factory or a class makes.
   *
   * @throws {@link PoolOptionsError} for options that cannot work
   */
  static forFeatureAsync<const I extends readonly InjectEntry[] = []>(
    options: PoolFeatureFactoryOptions<I> | PoolFeatureClassOptions,
  ): DynamicModule {
    const names = checkNames([options?.name]);
    checkOptions('forFeatureAsync', names, options);
    const make = options.useFactory as ((...dependencies: unknown[]) => unknown) | undefined;
    const useFactory = make && (async (...needs: unknown[]) => ({ [options.name]: await make(...needs) }));
    return assembleAsync(names, { isGlobal: false, ...options, useFactory } as unknown as PoolModuleAsyncOptions);
  }
}

function assembleAsync(names: readonly string[], options: PoolModuleAsyncOptions): DynamicModule {
  const providers = [...definitionsProviders(names, options), ...(options.extraProviders ?? [])];
  return assemble(names, options, options.imports ?? [], providers);
}

function assemble(
  names: readonly string[],
  extras: PoolModuleExtras,
  imports: ModuleImports,
  providers: Provider[],
): DynamicModule {
  return {
    module: PoolModule,
    global: extras.isGlobal ?? true,
    imports: [PoolCoreModule, ...imports],
    providers: [...providers, ...names.flatMap((name) => poolProviders(name, extras))],
    exports: names.map(getPoolToken),
  };
}

/**
 * A pool, and its entry in the registry. They are two providers so that a test which overrides the pool has its own in the
 * registry too. Making a pool opens nothing: when a boot fails in between, Nest calls no hook that could close it.
 */
function poolProviders(name: string, extras: PoolModuleExtras): Provider[] {
  const { shutdown = 'two-phase', failOnStart = false, releaseClients = true } = extras;
  const traits = {
    shutdown,
    failOnStart: failOnStart === true || (Array.isArray(failOnStart) && failOnStart.includes(name)),
    releaseClients,
    isRemovable: false,
  };
  return [
    {
      provide: getPoolToken(name),
      inject: [POOL_DEFINITIONS],
      useFactory: (definitions: Definitions): ConnectionPool<unknown> => makePool(name, definitions[name]!),
    },
    {
      provide: registrationToken(name),
      inject: [PoolRegistry, POOL_DEFINITIONS, getPoolToken(name)],
      useFactory: (registry: PoolRegistry, definitions: Definitions, pool: ConnectionPool<unknown>): RegisteredPool =>
        registry.register({ name, pool, definition: definitions[name]!, ...traits }),
    },
  ];
}

function definitionsProviders(names: readonly string[], options: PoolModuleAsyncOptions): Provider[] {
  const { useFactory, useClass, useExisting } = options;
  if (useFactory !== undefined) {
    const make = async (...dependencies: unknown[]): Promise<Definitions> =>
      checkDefinitions(names, await useFactory(...dependencies));
    return [{ provide: POOL_DEFINITIONS, inject: options.inject ?? [], useFactory: make }];
  }
  const maker = (useClass ?? useExisting)!;
  const make = async (factory: PoolOptionsFactory): Promise<Definitions> =>
    checkDefinitions(names, await factory.createPoolOptions(names));
  const definitions: Provider = { provide: POOL_DEFINITIONS, inject: [maker], useFactory: make };
  return useClass === undefined ? [definitions] : [definitions, useClass];
}
