import { Module } from '@nestjs/common';
import { embeddingServer } from './embedding-server.js';

@Module({ providers: [embeddingServer], exports: [embeddingServer] })
export class EmbeddingServerModule {}
