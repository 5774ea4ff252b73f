import { base64Of } from '../../support/embedding-server.js';

/** One vector of an answer, whatever the answer's dialect. */
export interface AnswerItem {
  readonly index?: number | undefined;
  readonly embedding: unknown;
}

/** The right answer of a server with other vectors in it, in the shape of its dialect. */
export function withItems(answer: object, change: (items: AnswerItem[]) => AnswerItem[]): object {
  const { data, embeddings, embedding } = answer as {
    data?: AnswerItem[];
    embeddings?: { float: number[][] };
    embedding?: number[];
  };
  if (data !== undefined) return { ...answer, data: change(data) };
  const bare = (vectors: readonly unknown[]): unknown[] =>
    change(vectors.map((vector) => ({ embedding: vector }))).map((item) => item.embedding);
  if (embeddings !== undefined) return { ...answer, embeddings: { float: bare(embeddings.float) } };
  return { ...answer, embedding: bare([embedding])[0] };
}

/** A vector in the encoding of another one that it is to stand for. */
export function encodedLike(embedding: unknown, values: readonly number[]): unknown {
  return typeof embedding === 'string' ? base64Of(Float32Array.from(values)) : values;
}
