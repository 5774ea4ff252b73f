import { Injectable } from '@nestjs/common';
import { type ConnectionPool, InjectPool, Leased, UsePool } from 'nestjs-pools';
import { EmbeddingService } from 'nestjs-pools/embedding';
import { type DocumentConnection, DocumentTable, type EmbeddedSection, type Hit } from './document-table.js';
import type { Section } from './markdown-splitter.js';

interface AddOptions {
  readonly signal?: AbortSignal;
  /** Called as sections come back from the embedding server. */
  readonly onProgress?: (done: number) => void;
}

/** Documents by their meaning: two pools at work, one for vectors, one for the store. */
@Injectable()
export class DocumentStore {
  private table: Promise<DocumentTable> | undefined;

  constructor(
    private readonly embeddings: EmbeddingService,
    @InjectPool('documents') private readonly documents: ConnectionPool<DocumentConnection>,
  ) {}

  /** Embeds the sections and puts them in the place of all that the source had before: all of them, or none. */
  async add(source: string, sections: readonly Section[], options: AddOptions = {}): Promise<void> {
    // Twice: a heading says more about its section than as many words of the text.
    const texts = sections.map(({ title, text }) => `${title}\n${title}\n\n${text}`);
    const vectors = await this.embeddings.embedMany(texts, options);
    const embedded = sections.map((section, index) => ({ ...section, vector: vectors[index]! }));
    await this.save(await this.whenPrepared(), source, embedded, options.signal);
  }

  /** A connection leased by hand, with the caller's signal: a client that leaves gives up its place in the queue. */
  async nearest(vector: Float32Array, limit: number, signal: AbortSignal): Promise<Hit[]> {
    const table = await this.whenPrepared();
    return this.documents.use((connection) => table.nearest(connection, vector, limit), { signal });
  }

  /** The same by a decorator: the lease lasts as long as the call, and the signal ends the wait for it. */
  @UsePool('documents', { signal: '_signal' })
  protected async save(
    table: DocumentTable,
    source: string,
    sections: readonly EmbeddedSection[],
    _signal: AbortSignal | undefined,
    @Leased() connection?: DocumentConnection,
  ): Promise<void> {
    await table.replace(connection!, source, sections);
  }

  /** The table is made by the first who needs it; where that fails, by the next. */
  private whenPrepared(): Promise<DocumentTable> {
    this.table ??= this.documents.use((connection) => DocumentTable.prepare(connection));
    this.table.catch(() => (this.table = undefined));
    return this.table;
  }
}
