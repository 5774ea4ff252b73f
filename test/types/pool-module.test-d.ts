/**
 * Compiled, never run: what must compile, and, under `@ts-expect-error`, what must not. An expectation that no longer
 * errs is itself a compile error.
 */
import { Readable } from 'node:stream';
import { Injectable, type Type } from '@nestjs/common';
import { ConfigService, registerAs } from '@nestjs/config';
import {
  type AnyPoolDefinition,
  type ConnectionPool,
  customPool,
  InjectPool,
  Leased,
  LeasePerRequest,
  PoolModule,
  type PoolOptionsFactory,
  UsePool,
} from 'nestjs-pools';
import { type Observable, of } from 'rxjs';
import { EmbeddingModule } from 'nestjs-pools/embedding';
import { type HttpConnection, httpPool } from 'nestjs-pools/http';

const embeddings = httpPool({ baseURL: 'http://localhost/v1' });
const documents = customPool({ factory: { create: () => new Map<string, string>() } });

class Settings {
  readonly url: string = 'http://localhost';
}

export const rightForms = [
  PoolModule.forRoot({ pools: { embeddings, documents } }),
  PoolModule.forRootAsync({ pools: ['embeddings'], useFactory: () => ({ embeddings }) }),
  PoolModule.forRootAsync({
    pools: ['embeddings', 'documents'],
    inject: [ConfigService, Settings, { token: Settings, optional: true }, 'a string token'],
    useFactory: async (config: ConfigService, settings: Settings, perhaps: Settings | undefined, anything: number) => ({
      embeddings: httpPool({ baseURL: config.getOrThrow<string>('URL'), maxConnections: anything }),
      documents: perhaps === undefined || settings.url === '' ? documents : documents,
    }),
  }),
  // The dependencies' types are inferred from `inject`.
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    inject: [Settings],
    useFactory: (settings) => ({ embeddings: httpPool({ baseURL: settings.url }) }),
  }),
  PoolModule.forRootAsync({ pools: ['embeddings'], ...registerAs('pools', () => ({ embeddings })).asProvider() }),
  EmbeddingModule.forRootAsync({
    pool: 'embeddings',
    inject: [Settings],
    useFactory: (settings) => ({ model: settings.url }),
  }),
];

export const wrongForms = [
  PoolModule.forRootAsync({
    pools: ['embeddings', 'documents'],
    // @ts-expect-error a key is missing
    useFactory: () => ({ embeddings }),
  }),
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    // @ts-expect-error a key too many
    useFactory: () => ({ embeddings, documents }),
  }),
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    // @ts-expect-error a key that is misspelt
    useFactory: () => ({ embedings: embeddings }),
  }),
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    inject: [Settings, ConfigService],
    // @ts-expect-error dependencies in another order than they are injected in
    useFactory: (_config: ConfigService, _settings: Settings) => ({ embeddings }),
  }),
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    inject: [{ token: Settings, optional: true }],
    // @ts-expect-error an optional dependency may be missing
    useFactory: (settings) => ({ embeddings: httpPool({ baseURL: settings.url }) }),
  }),
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    // @ts-expect-error a value that is no definition
    useFactory: () => ({ embeddings: { baseURL: 'http://localhost' } }),
  }),
  // @ts-expect-error nothing that makes the definitions
  PoolModule.forRootAsync({ pools: ['embeddings'] }),
  // @ts-expect-error an option with a typo
  httpPool({ baseUrl: 'http://localhost' }),
];

class ForOther implements PoolOptionsFactory<'other'> {
  createPoolOptions(): Record<'other', AnyPoolDefinition> {
    return { other: documents };
  }
}
// @ts-expect-error a class that makes other pools than those named
export const wrongClass = PoolModule.forRootAsync({ pools: ['embeddings'], useClass: ForOther as Type<ForOther> });

export const features = [
  PoolModule.forFeature({ name: 'audit', pool: documents, isGlobal: true, failOnStart: true }),
  PoolModule.forFeatureAsync({
    name: 'audit',
    inject: [Settings],
    useFactory: (settings) => httpPool({ baseURL: settings.url }),
  }),
  PoolModule.forFeatureAsync({ name: 'audit', ...registerAs('audit', () => documents).asProvider() }),
  PoolModule.forRoot({ pools: { embeddings, documents }, failOnStart: ['documents'] }),
  PoolModule.forRootAsync({ pools: ['embeddings'], failOnStart: ['embeddings'], useFactory: () => ({ embeddings }) }),
  PoolModule.forRootAsync({
    pools: ['embeddings'],
    // @ts-expect-error a pool that must be there and is not named
    failOnStart: ['documents'],
    useFactory: () => ({ embeddings }),
  }),
  // @ts-expect-error a pool that must be there and is not defined
  PoolModule.forRoot({ pools: { embeddings }, failOnStart: ['documents'] }),
  // @ts-expect-error an option with a typo
  PoolModule.forRoot({ pools: { embeddings }, isGlobl: true }),
  // @ts-expect-error a feature owns one definition, not several
  PoolModule.forFeatureAsync({ name: 'audit', useFactory: () => ({ audit: documents }) }),
  // @ts-expect-error a feature without a name
  PoolModule.forFeature({ pool: documents }),
];

@Injectable()
export class Decorated {
  constructor(@InjectPool('documents') readonly pool: ConnectionPool<Map<string, string>>) {}

  @UsePool('embeddings')
  async right(_text: string, @Leased() _connection?: HttpConnection): Promise<number> {
    return this.pool.use((map, lease) => map.size + lease.info.id);
  }

  @UsePool<Decorated>((self) => self.pool)
  async byInstance(): Promise<void> {}

  @UsePool((self: Decorated) => self.pool, { signal: 'signal', nested: 'join', priority: 3 })
  async byInstanceToo(_signal?: AbortSignal): Promise<void> {}

  @UsePool('embeddings')
  async *rows(): AsyncGenerator<string> {
    yield 'a row';
  }

  @UsePool('embeddings')
  watch(): Observable<string> {
    return of('a value');
  }

  @UsePool('embeddings')
  download(): Readable {
    return Readable.from([]);
  }

  // @ts-expect-error a sync method cannot hold a lease
  @UsePool('embeddings')
  sync(): number {
    return 1;
  }

  // @ts-expect-error neither can one that answers now and then
  @UsePool('embeddings')
  perhaps(): Promise<number> | number {
    return 1;
  }

  // @ts-expect-error nor a generator that is not async
  @UsePool('embeddings')
  *generate(): Generator<number> {
    yield 1;
  }

  // @ts-expect-error neither can a property
  @UsePool('embeddings')
  property = 1;

  // @ts-expect-error an option that there is not
  @UsePool('embeddings', { nested: 'reuse' })
  async wrongOption(): Promise<void> {}

  @LeasePerRequest('documents', { acquireTimeoutMs: 100 })
  handler(@Leased() _session?: Map<string, string>): string {
    return 'sync handlers may';
  }
}
