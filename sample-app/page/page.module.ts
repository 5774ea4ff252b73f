import { Module } from '@nestjs/common';
import { DocumentsModule } from '../documents/documents.module.js';
import { PageController } from './page.controller.js';
import { PoolsController } from './pools.controller.js';

@Module({ imports: [DocumentsModule], controllers: [PageController, PoolsController] })
export class PageModule {}
