import {
  type DynamicModule,
  Inject,
  Module,
  type ModuleMetadata,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { type ConnectionPool, PoolOptionsError } from '../core/index.js';
import { shapeOf, someText } from '../core/option-rules.js';
import type { HttpConnection } from '../http/index.js';
import type { Injected, InjectEntry } from '../nest/pool-module-options.interface.js';
import { getPoolToken } from '../nest/pool.tokens.js';
import type { EmbeddingEndpointOptions, EmbeddingOptions } from './embedding-options.js';
import { EmbeddingService } from './embedding.service.js';
import { getEmbeddingsToken } from './embedding.tokens.js';

/** A pool that is asked while those before it are down. Its vectors must be of the same model. @publicApi */
export interface EmbeddingFailoverPool extends Partial<EmbeddingEndpointOptions> {
  readonly pool: string;
}

/** What is known of a service before the rest of its options is. @publicApi */
export interface EmbeddingModuleIdentity {
  /** The name of the pool, of kind http, whose `baseURL` has `/embeddings` below it. */
  readonly pool: string;
  /** What `@InjectEmbeddings(name)` calls it. Default: none, and the class is the token. */
  readonly name?: string;
  /** Asked in this order while those before are down: names of pools, or what differs there too. */
  readonly failover?: readonly (string | EmbeddingFailoverPool)[];
  /** Whether every module may inject the service without importing this one. Default: true. */
  readonly isGlobal?: boolean;
}

/** Options of `EmbeddingModule.forRoot`. @publicApi */
export interface EmbeddingModuleOptions extends EmbeddingModuleIdentity, EmbeddingOptions {}

/** Options of `EmbeddingModule.forRootAsync`. Names are given at once, the rest by the factory. @publicApi */
export interface EmbeddingModuleAsyncOptions<I extends readonly InjectEntry[]> extends EmbeddingModuleIdentity {
  readonly imports?: ModuleMetadata['imports'];
  readonly inject?: readonly [...I];
  readonly useFactory: (...dependencies: Injected<I>) => EmbeddingOptions | Promise<EmbeddingOptions>;
}

/** What a module's service is called that every other module may inject. One per module, never exported. */
const GLOBAL_SERVICE = 'GlobalEmbeddingService';

/**
 * Makes an injectable {@link EmbeddingService} of a pool.
 *
 * @publicApi
 */
@Module({})
export class EmbeddingModule implements OnModuleInit {
  /** @internal */
  constructor(
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(GLOBAL_SERVICE) private readonly service: string | undefined,
  ) {}

  /**
   * @throws Error when two modules give every other one a service of the same name: Nest would take either
   * @internal
   */
  onModuleInit(): void {
    const services = [...this.modules.values()].map((module) => module.getProviderByKey(GLOBAL_SERVICE)?.instance);
    if (this.service === undefined || services.filter((service) => service === this.service).length < 2) return;
    const cure = 'give each a name of its own, or isGlobal: false';
    throw new Error(`EmbeddingModule: there are two services that are called "${this.service}"; ${cure}`);
  }

  static forRoot({ pool, name, failover, isGlobal, ...options }: EmbeddingModuleOptions): DynamicModule {
    return assemble({ pool, name, failover, isGlobal } as EmbeddingModuleIdentity, [], (provide) => ({
      provide,
      useValue: options,
    }));
  }

  static forRootAsync<const I extends readonly InjectEntry[] = []>(
    options: EmbeddingModuleAsyncOptions<I>,
  ): DynamicModule {
    const { imports, inject, useFactory, ...identity } = options;
    return assemble(identity, imports, (provide) => ({
      provide,
      inject: [...(inject ?? [])] as string[],
      useFactory: useFactory as (...dependencies: unknown[]) => EmbeddingOptions | Promise<EmbeddingOptions>,
    }));
  }
}

function assemble(
  { pool, name, failover = [], isGlobal = true }: EmbeddingModuleIdentity,
  imports: ModuleMetadata['imports'] = [],
  options: (token: string) => Provider,
): DynamicModule {
  const others = failover.map((entry) => (typeof entry === 'string' ? { pool: entry } : entry));
  checkNames([pool, ...others.map((other) => other.pool)], name);
  const token = getEmbeddingsToken(name);
  const optionsToken = `EmbeddingOptions(${name ?? pool})`;
  const service: Provider = {
    provide: token,
    inject: [optionsToken, getPoolToken(pool), ...others.map((other) => getPoolToken(other.pool))],
    useFactory: (settings: EmbeddingOptions, ...[first, ...rest]: ConnectionPool<HttpConnection>[]) =>
      new EmbeddingService(first!, settings, { failover: rest.map((own, at) => ({ ...others[at], pool: own })) }),
  };
  return {
    module: EmbeddingModule,
    global: isGlobal,
    imports,
    providers: [
      options(optionsToken),
      service,
      { provide: GLOBAL_SERVICE, useValue: isGlobal ? (name ?? 'default') : undefined },
    ],
    exports: [token],
  };
}

function checkNames(pools: readonly unknown[], name: unknown): void {
  const problems = pools.flatMap((pool, at) => {
    const expected = someText(pool);
    const option = at === 0 ? 'pool' : `failover[${at - 1}].pool`;
    return expected === undefined ? [] : [`${option}: expected the name of a pool, got ${shapeOf(pool)}`];
  });
  if (name !== undefined && someText(name) !== undefined) problems.push(`name: expected a text, got ${shapeOf(name)}`);
  if (new Set(pools).size < pools.length) problems.push('failover: a pool stands in it twice');
  if (problems.length > 0) throw new PoolOptionsError('EmbeddingModule', problems);
}
