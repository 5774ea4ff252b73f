import { type DynamicModule, Global, Module, type Provider } from '@nestjs/common';
import { type ConnectionPool, type PoolLimits, PoolOptionsError } from '../core/index.js';
import {
  type AnyPoolDefinition,
  type InjectEntry,
  type ModuleImports,
  type PoolModuleAsyncOptions,
  type PoolModuleClassOptions,
  type PoolModuleExtras,
  type PoolModuleFactoryOptions,
  type PoolModuleOptions,
  type PoolOptionsFactory,
} from './pool-module-options.interface.js';
import { PoolLifecycle } from './pool.lifecycle.js';
import { PoolRegistry } from './pool.registry.js';
import { getPoolToken, POOL_DEFINITIONS, registrationToken } from './pool.tokens.js';

type Definitions = Readonly<Record<string, AnyPoolDefinition>>;

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
   * @throws {@link PoolOptionsError} for a definition that is not one
   */
  static forRoot(options: PoolModuleOptions): DynamicModule {
    const names = Object.keys(options?.pools ?? {});
    const definitions = checkDefinitions(names, options?.pools);
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
    const providers = [...definitionsProviders(names, plain), ...(plain.extraProviders ?? [])];
    return assemble(names, plain, plain.imports ?? [], providers);
  }
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
function poolProviders(name: string, { shutdown = 'two-phase' }: PoolModuleExtras): Provider[] {
  return [
    {
      provide: getPoolToken(name),
      inject: [POOL_DEFINITIONS],
      useFactory: (definitions: Definitions): ConnectionPool<unknown> => {
        const definition = definitions[name]!;
        return definition.createPool({ ...nestDefaults(), ...definition.limits, name, factory: definition.factory });
      },
    },
    {
      provide: registrationToken(name),
      inject: [PoolRegistry, POOL_DEFINITIONS, getPoolToken(name)],
      useFactory: (registry: PoolRegistry, definitions: Definitions, pool: ConnectionPool<unknown>) =>
        registry.register({ name, pool, definition: definitions[name]!, shutdown }),
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
  const maker = useClass ?? useExisting;
  if (maker === undefined) {
    throw new PoolOptionsError(names.join(', '), ['forRootAsync: give one of useFactory, useClass or useExisting']);
  }
  const make = async (factory: PoolOptionsFactory): Promise<Definitions> =>
    checkDefinitions(names, await factory.createPoolOptions(names));
  const definitions: Provider = { provide: POOL_DEFINITIONS, inject: [maker], useFactory: make };
  return useClass === undefined ? [definitions] : [definitions, useClass];
}

function checkNames(names: unknown): readonly string[] {
  const problems: string[] = [];
  if (!Array.isArray(names) || names.length === 0)
    problems.push("pools: expected the pools' names, as in ['embeddings']");
  else {
    if (names.some((name) => typeof name !== 'string' || name === ''))
      problems.push('pools: every name must be a text');
    if (new Set(names).size < names.length) problems.push('pools: the same name stands there twice');
  }
  if (problems.length > 0) throw new PoolOptionsError('?', problems);
  return names as string[];
}

/** What the compiler checks for those who have one; a factory in JavaScript, or one that casts, is checked here. */
function checkDefinitions(names: readonly string[], made: unknown): Definitions {
  const definitions = (typeof made === 'object' && made !== null ? made : {}) as Record<string, unknown>;
  const problems: string[] = [];
  if (names.length === 0) problems.push('pools: expected at least one, as in { embeddings: httpPool({ … }) }');
  const missing = names.filter((name) => definitions[name] === undefined);
  const extra = Object.keys(definitions).filter((name) => !names.includes(name));
  if (missing.length > 0) problems.push(`no definition came back for ${list(missing)}; pools names ${list(names)}`);
  if (extra.length > 0) problems.push(`a definition came back for ${list(extra)}, which pools does not name`);
  for (const name of names) {
    if (definitions[name] !== undefined && !isDefinition(definitions[name])) {
      problems.push(`${name}: expected what httpPool(…), customPool(…) or another kind returns`);
    }
  }
  if (problems.length > 0) throw new PoolOptionsError(names.join(', '), problems);
  return definitions as Definitions;
}

function isDefinition(value: unknown): value is AnyPoolDefinition {
  const { factory, createPool, describe } = (value ?? {}) as Partial<AnyPoolDefinition>;
  return typeof factory === 'object' && typeof createPool === 'function' && typeof describe === 'function';
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

/**
 * What an application wants of every pool and a bare one does not do: to hear of leases that are forgotten, and get their
 * connections back; outside production also where they were acquired, and of work that waits for itself.
 */
function nestDefaults(): PoolLimits {
  const isProduction = process.env.NODE_ENV === 'production';
  return {
    leakWarnAfterMs: 60_000,
    leakStackSampleRate: isProduction ? 0 : 1,
    reclaimLeaked: true,
    detectDeadlock: !isProduction,
  };
}
