import { randomUUID } from 'node:crypto';
import type { Embedder } from './embedder.js';
import { allPlainNumbers, plainNumbers } from './plain-numbers.js';

/** What of LlamaIndex's `BaseNode` is looked at and set. @publicApi */
export interface LlamaIndexNode {
  getContent(metadataMode: string): string;
  embedding?: number[] | undefined;
}

/** What of LlamaIndex's `BaseEmbeddingOptions` is heeded. @publicApi */
export interface LlamaIndexEmbedOptions {
  readonly progressCallback?: (current: number, total: number) => void;
}

/** LlamaIndex's `BaseEmbedding`: a transformation of nodes that can be called, with methods for texts. @publicApi */
export interface LlamaIndexEmbedding {
  <Node extends LlamaIndexNode>(nodes: Node[], options?: LlamaIndexEmbedOptions): Promise<Node[]>;
  id: string;
  /** Of no consequence: the embedder makes its own batches. */
  embedBatchSize: number;
  similarity(embedding1: number[], embedding2: number[], mode?: string): number;
  getTextEmbedding(text: string): Promise<number[]>;
  getTextEmbeddings: (texts: string[]) => Promise<number[][]>;
  getTextEmbeddingsBatch(texts: string[], options?: LlamaIndexEmbedOptions): Promise<number[][]>;
  /** Resolves to `null` for what is not text, or empty. */
  getQueryEmbedding(query: { readonly type: string; readonly text?: string }): Promise<number[] | null>;
  /** Cuts nothing: the embedder or its server knows what is too long. */
  truncateMaxTokens(input: string[]): string[];
  /** What the cache of an ingestion pipeline knows the transformation by. */
  toJSON(): { readonly type: 'nestjs-pools'; readonly model: string };
}

/**
 * For `Settings.embedModel`, vector stores and ingestion pipelines of LlamaIndex. All texts of a call go to the embedder at
 * once, where LlamaIndex would send ten, wait, and send ten.
 *
 * @publicApi
 */
export function asLlamaIndexEmbedding(embedder: Embedder): LlamaIndexEmbedding {
  const embedAll = async (texts: readonly string[], options: LlamaIndexEmbedOptions = {}): Promise<number[][]> => {
    const { progressCallback } = options;
    const vectors = await embedder.embedMany(texts, {
      inputType: 'document',
      ...(progressCallback === undefined ? {} : { onProgress: progressCallback }),
    });
    return allPlainNumbers(vectors);
  };
  const embedNodes = async <Node extends LlamaIndexNode>(
    nodes: Node[],
    options?: LlamaIndexEmbedOptions,
  ): Promise<Node[]> => {
    const vectors = await embedAll(
      nodes.map((node) => node.getContent('EMBED')),
      options,
    );
    for (const [index, node] of nodes.entries()) node.embedding = vectors[index]!;
    return nodes;
  };
  return Object.assign(embedNodes, {
    id: randomUUID(),
    embedBatchSize: Infinity,
    similarity,
    getTextEmbedding: async (text: string) => plainNumbers(await embedder.embed(text, { inputType: 'document' })),
    // Called without its `this` by LlamaIndex, and with an array that it uses again.
    getTextEmbeddings: (texts: string[]) => embedAll([...texts]),
    getTextEmbeddingsBatch: embedAll,
    getQueryEmbedding: async ({ type, text }: { readonly type: string; readonly text?: string }) =>
      type === 'text' && text ? plainNumbers(await embedder.embed(text, { inputType: 'query' })) : null,
    truncateMaxTokens: (input: string[]) => input,
    // Without it, JSON.stringify() of a function is nothing, and two models would share what the pipeline has cached.
    toJSON: () => ({ type: 'nestjs-pools', model: embedder.model }) as const,
  });
}

/** Higher is more alike, whichever way it is measured. */
function similarity(left: number[], right: number[], mode = 'cosine'): number {
  if (left.length !== right.length) {
    throw new TypeError(`similarity: expected two vectors of one length, got ${left.length} and ${right.length}`);
  }
  let product = 0;
  let leftSquared = 0;
  let rightSquared = 0;
  let distanceSquared = 0;
  for (let index = 0; index < left.length; index += 1) {
    const here = left[index]!;
    const there = right[index]!;
    product += here * there;
    leftSquared += here * here;
    rightSquared += there * there;
    distanceSquared += (here - there) ** 2;
  }
  if (mode === 'dot_product') return product;
  return mode === 'euclidean'
    ? -Math.sqrt(distanceSquared)
    : product / (Math.sqrt(leftSquared) * Math.sqrt(rightSquared));
}
