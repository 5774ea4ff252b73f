import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { customPool, PoolModule } from 'nestjs-pools';
import { EmbeddingModule } from 'nestjs-pools/embedding';
import { PoolHealthModule } from 'nestjs-pools/health';
import { httpPool } from 'nestjs-pools/http';
import { postgresPool } from 'nestjs-pools/postgres';
import { EmbeddingServer } from './config/embedding-server.js';
import { EmbeddingServerModule } from './config/embedding-server.module.js';
import { type Environment, readEnvironment } from './config/environment.js';
import { DocumentSessionFactory } from './documents/document-session.js';
import { DocumentsModule } from './documents/documents.module.js';
import { VectorEngine } from './documents/vector-engine.js';
import { VectorEngineModule } from './documents/vector-engine.module.js';
import { PageModule } from './page/page.module.js';
import { WebModule } from './web/web.module.js';

/** The database that the environment names, or else one of our own, inside this process. */
function documentsPool(config: ConfigService<Environment, true>, engine: VectorEngine) {
  const connectionString = config.get('DATABASE_URL', { infer: true });
  if (connectionString !== undefined) {
    return postgresPool({
      connectionString,
      maxConnections: config.get('DATABASE_MAX_CONNECTIONS', { infer: true }),
      application_name: 'nestjs-pools-sample',
      // A search that the database does not answer by then is given up, here and there.
      statementTimeoutMs: 10_000,
      acquireTimeoutMs: 2_000,
    });
  }
  return customPool({
    factory: new DocumentSessionFactory(engine),
    description: 'PostgreSQL with pgvector, in this process',
    // The engine does one thing at a time; the pool makes the others wait for their turn.
    maxConnections: 1,
    // Opening the engine takes some four seconds; on a busy machine it may be many more.
    createTimeoutMs: 120_000,
  });
}

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true, validate: readEnvironment }),
    PoolModule.forRootAsync({
      pools: ['embeddings', 'documents'],
      imports: [EmbeddingServerModule, VectorEngineModule],
      inject: [ConfigService, EmbeddingServer, VectorEngine],
      useFactory: (config: ConfigService<Environment, true>, server: EmbeddingServer, engine: VectorEngine) => ({
        embeddings: httpPool({
          baseURL: server.url,
          headers: server.headers,
          maxConnections: config.get('EMBEDDINGS_MAX_CONNECTIONS', { infer: true }),
          // One is kept open, so that the pool notices by itself when the server goes, and when it is back.
          minConnections: 1,
          createRetry: { maxMs: 1_000 },
          // A reader at a search box does not wait for longer.
          acquireTimeoutMs: 2_000,
          requestTimeoutMs: 30_000,
        }),
        documents: documentsPool(config, engine),
      }),
    }),
    EmbeddingModule.forRootAsync({
      pool: 'embeddings',
      inject: [ConfigService],
      useFactory: (config: ConfigService<Environment, true>) => ({
        model: config.get('EMBEDDINGS_MODEL', { infer: true }),
      }),
    }),
    PoolHealthModule,
    DocumentsModule,
    PageModule,
    WebModule,
  ],
})
export class AppModule {}
