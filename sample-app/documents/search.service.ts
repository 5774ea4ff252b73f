import { Injectable } from '@nestjs/common';
import { EmbeddingService } from 'nestjs-pools/embedding';
import { DocumentStore } from './document-store.js';
import type { Hit } from './document-table.js';
import { IndexingService } from './indexing.service.js';

export interface SearchResult {
  readonly query: string;
  readonly took: { readonly embedMs: number; readonly searchMs: number };
  /** Best first. */
  readonly hits: readonly Hit[];
}

/** Whoever searches is told after this that the server does not answer; it would be tried for two minutes otherwise. */
const PATIENCE_MS = 1_000;

/** From a question to the sections that mean the same. */
@Injectable()
export class SearchService {
  constructor(
    private readonly indexing: IndexingService,
    private readonly embeddings: EmbeddingService,
    private readonly store: DocumentStore,
  ) {}

  async search(query: string, limit: number, signal: AbortSignal): Promise<SearchResult> {
    this.indexing.requireReady();
    const startedAt = performance.now();
    const vector = await this.embeddings.embed(query, { signal, deadlineMs: PATIENCE_MS });
    const embeddedAt = performance.now();
    const hits = await this.store.nearest(vector, limit, signal);
    const took = { embedMs: rounded(embeddedAt - startedAt), searchMs: rounded(performance.now() - embeddedAt) };
    return { query, took, hits };
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
