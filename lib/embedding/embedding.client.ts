import { type HttpConnection, HttpError } from '../http/index.js';
import { requestIdOf } from '../http/http-error.js';
import {
  EmbeddingAbortedError,
  EmbeddingConnectionError,
  EmbeddingError,
  EmbeddingResponseError,
} from './embedding-errors.js';
import { readApiError, readVectors, requestBody, type RequestSettings } from './embedding.protocol.js';

/**
 * One `POST /embeddings` over one connection: vectors in the order of the texts, or an {@link EmbeddingError}.
 *
 * @param expected how many dimensions each vector must have, where that is known
 * @internal
 */
export async function requestEmbeddings(
  connection: HttpConnection,
  texts: readonly string[],
  settings: RequestSettings,
  expected: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const { status, headers, data } = await post(connection, texts, settings, signal);
  const requestId = requestIdOf(headers);
  if (status < 200 || status >= 300) {
    throw readApiError({ status, body: data, requestId }, texts, (text) => connection.redact(text));
  }
  try {
    return readVectors(data, texts.length, expected);
  } catch (error) {
    if (!(error instanceof EmbeddingResponseError) || requestId === undefined) throw error;
    throw new EmbeddingResponseError(`${error.problem} (request ${requestId})`, requestId);
  }
}

async function post(
  { client }: HttpConnection,
  texts: readonly string[],
  settings: RequestSettings,
  signal: AbortSignal | undefined,
): Promise<{ status: number; headers: unknown; data: Buffer }> {
  try {
    return await client.post<Buffer>('embeddings', requestBody(texts, settings), {
      // Raw bytes, parsed here: an error of the parser would hold the whole answer.
      responseType: 'arraybuffer',
      validateStatus: () => true,
      // The same texts have the same vectors: sent twice, they cost tokens and change nothing.
      replay: true,
      headers: { 'accept-encoding': 'identity' },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    throw embeddingError(error);
  }
}

function embeddingError(error: unknown): unknown {
  if (!(error instanceof HttpError) || error instanceof EmbeddingError) return error;
  if (error.kind === 'aborted') return new EmbeddingAbortedError(error.cause);
  if (error.kind === 'response') return new EmbeddingResponseError(`it was refused (${error.code})`);
  return new EmbeddingConnectionError(error.code, error);
}
