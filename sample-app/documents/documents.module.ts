import { Module } from '@nestjs/common';
import { DocumentStore } from './document-store.js';
import { DocumentsController } from './documents.controller.js';
import { IndexingService } from './indexing.service.js';
import { SearchController } from './search.controller.js';
import { SearchService } from './search.service.js';

@Module({
  controllers: [SearchController, DocumentsController],
  providers: [DocumentStore, IndexingService, SearchService],
  exports: [IndexingService],
})
export class DocumentsModule {}
