import { Injectable } from '@nestjs/common';
import { type ConnectionPool, InjectPool, Leased, UsePool } from 'nestjs-pools';
import { EmbeddingService } from 'nestjs-pools/embedding';
import type { DocumentSession, EmbeddedSection, Hit } from './document-session.js';
import type { Section } from './markdown-splitter.js';

interface AddOptions {
  readonly signal?: AbortSignal;
  /** Called as sections come back from the embedding server. */
  readonly onProgress?: (done: number) => void;
}

/** Documents by their meaning: two pools at work, one for vectors, one for the store. */
@Injectable()
export class DocumentStore {
  constructor(
    private readonly embeddings: EmbeddingService,
    @InjectPool('documents') private readonly documents: ConnectionPool<DocumentSession>,
  ) {}

  /** Embeds the sections and puts them in the place of all that the source had before: all of them, or none. */
  async add(source: string, sections: readonly Section[], options: AddOptions = {}): Promise<void> {
    // Twice: a heading says more about its section than as many words of the text.
    const texts = sections.map(({ title, text }) => `${title}\n${title}\n\n${text}`);
    const vectors = await this.embeddings.embedMany(texts, options);
    const embedded = sections.map((section, index) => ({ ...section, vector: vectors[index]! }));
    await this.save(source, embedded, options.signal);
  }

  /** A connection leased by hand, with the caller's signal: a client that leaves gives up its place in the queue. */
  nearest(vector: Float32Array, limit: number, signal: AbortSignal): Promise<Hit[]> {
    return this.documents.use((session) => session.nearest(vector, limit), { signal });
  }

  /** The same by a decorator: the lease lasts as long as the call, and the signal ends the wait for it. */
  @UsePool('documents', { signal: '_signal' })
  protected async save(
    source: string,
    sections: readonly EmbeddedSection[],
    _signal: AbortSignal | undefined,
    @Leased() session?: DocumentSession,
  ): Promise<void> {
    await session!.replace(source, sections);
  }
}
