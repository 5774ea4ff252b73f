/**
 * What an adapter needs of whatever embeds; an {@link EmbeddingService} is one, and so is anything else of this shape.
 *
 * @publicApi
 */
export interface Embedder {
  /** As the server names it. */
  readonly model: string;
  embed(text: string, options?: EmbedderCall): Promise<Float32Array>;
  embedMany(texts: readonly string[], options?: EmbedderManyCall): Promise<Float32Array[]>;
}

/** What an adapter asks for with one text. @publicApi */
export interface EmbedderCall {
  readonly signal?: AbortSignal;
  readonly inputType?: 'query' | 'document';
  /** Only where the framework was asked for some. */
  readonly dimensions?: number;
}

/** What an adapter asks for with many texts. @publicApi */
export interface EmbedderManyCall extends EmbedderCall {
  /** Called with the server's own count, once for each answer that has one. */
  readonly onUsage?: (usage: { readonly tokens: number }) => void;
  /** Called as texts are done. */
  readonly onProgress?: (done: number, total: number) => void;
}
