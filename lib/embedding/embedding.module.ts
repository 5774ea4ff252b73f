import { type DynamicModule, Module, type ModuleMetadata, type Provider } from '@nestjs/common';
import type { ConnectionPool } from '../core/index.js';
import type { HttpConnection } from '../http/index.js';
import type { Injected, InjectEntry } from '../nest/pool-module-options.interface.js';
import { getPoolToken } from '../nest/pool.tokens.js';
import type { EmbeddingOptions } from './embedding-options.js';
import { EmbeddingService } from './embedding.service.js';

/** Options of `EmbeddingModule.forRoot`. @publicApi */
export interface EmbeddingModuleOptions extends EmbeddingOptions {
  /** The name of the pool, of kind http, whose `baseURL` has `/embeddings` below it. */
  readonly pool: string;
  /** Whether every module may inject the service without importing this one. Default: true. */
  readonly isGlobal?: boolean;
}

/** Options of `EmbeddingModule.forRootAsync`. The pool's name is given at once, the rest by the factory. @publicApi */
export interface EmbeddingModuleAsyncOptions<I extends readonly InjectEntry[]> {
  readonly pool: string;
  readonly isGlobal?: boolean;
  readonly imports?: ModuleMetadata['imports'];
  readonly inject?: readonly [...I];
  readonly useFactory: (...dependencies: Injected<I>) => EmbeddingOptions | Promise<EmbeddingOptions>;
}

const EMBEDDING_OPTIONS = 'EmbeddingOptions';

/**
 * Makes an injectable {@link EmbeddingService} of a pool.
 *
 * @publicApi
 */
@Module({})
export class EmbeddingModule {
  static forRoot({ pool, isGlobal, ...options }: EmbeddingModuleOptions): DynamicModule {
    return assemble(pool, isGlobal, [], { provide: EMBEDDING_OPTIONS, useValue: options });
  }

  static forRootAsync<const I extends readonly InjectEntry[] = []>(
    options: EmbeddingModuleAsyncOptions<I>,
  ): DynamicModule {
    const { pool, isGlobal, imports, inject, useFactory } = options;
    return assemble(pool, isGlobal, imports, {
      provide: EMBEDDING_OPTIONS,
      inject: [...(inject ?? [])] as string[],
      useFactory: useFactory as (...dependencies: unknown[]) => EmbeddingOptions | Promise<EmbeddingOptions>,
    });
  }
}

function assemble(
  pool: string,
  isGlobal = true,
  imports: ModuleMetadata['imports'] = [],
  options: Provider,
): DynamicModule {
  const service: Provider = {
    provide: EmbeddingService,
    inject: [getPoolToken(pool), EMBEDDING_OPTIONS],
    useFactory: (connections: ConnectionPool<HttpConnection>, settings: EmbeddingOptions) =>
      new EmbeddingService(connections, settings),
  };
  return {
    module: EmbeddingModule,
    global: isGlobal,
    imports,
    providers: [options, service],
    exports: [EmbeddingService],
  };
}
