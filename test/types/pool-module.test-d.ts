/**
 * Compiled, never run: what must compile, and, under `@ts-expect-error`, what must not. An expectation that no longer
 * errs is itself a compile error.
 */
import { Injectable, type Type } from '@nestjs/common';
import { ConfigService, registerAs } from '@nestjs/config';
import {
  type AnyPoolDefinition,
  type ConnectionPool,
  customPool,
  InjectPool,
  Leased,
  PoolModule,
  type PoolOptionsFactory,
  UsePool,
} from 'nestjs-pools';
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

@Injectable()
export class Decorated {
  constructor(@InjectPool('documents') readonly pool: ConnectionPool<Map<string, string>>) {}

  @UsePool('embeddings')
  async right(_text: string, @Leased() _connection?: HttpConnection): Promise<number> {
    return this.pool.use((map, lease) => map.size + lease.info.id);
  }

  @UsePool<Decorated>((self) => self.pool)
  async byInstance(): Promise<void> {}

  // @ts-expect-error a sync method cannot hold a lease
  @UsePool('embeddings')
  sync(): number {
    return 1;
  }

  // @ts-expect-error neither can a property
  @UsePool('embeddings')
  property = 1;
}
