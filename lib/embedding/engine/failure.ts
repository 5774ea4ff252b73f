import { isPoolError } from '../../core/index.js';
import { PoolDownError } from '../../core/index.js';
import { isHttpError } from '../../http/index.js';
import {
  EmbeddingAbortedError,
  EmbeddingApiError,
  EmbeddingConnectionError,
  EmbeddingError,
  EmbeddingInputError,
  type EmbeddingInputProblem,
  EmbeddingResponseError,
  EmbeddingTimeoutError,
  type EmbeddingUnavailableError,
} from '../embedding-errors.js';

/** The time limits of one request, for the error of the one that was reached. @internal */
export interface RequestLimits {
  readonly timeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
}

/** Our error for whatever a request has failed by. Pool errors are ours already. @internal */
export function embeddingErrorOf(error: unknown, limits: RequestLimits): unknown {
  if (error instanceof EmbeddingError || !isHttpError(error)) return error;
  if (error.kind === 'aborted') return new EmbeddingAbortedError(error.cause);
  if (error.kind === 'response')
    return new EmbeddingResponseError(`it was refused (${error.code})`, 'unreadable', error.requestId);
  if (error.kind !== 'timeout') return new EmbeddingConnectionError(error.code, error, error.retryable);
  if (error.phase === 'header') return new EmbeddingTimeoutError('header', limits.headerTimeoutMs, undefined, error);
  if (error.phase === 'body') return new EmbeddingTimeoutError('body', limits.bodyIdleTimeoutMs, undefined, error);
  return new EmbeddingTimeoutError('attempt', limits.timeoutMs, undefined, error);
}

/**
 * What is to be done about an error.
 *
 * - `retry`: the same again, after a while, or elsewhere. `elsewhere`: not here, but another endpoint may do.
 * - `smaller`: in two halves, each of which may do well. `spoiled`: one of the texts is to blame, and is to be found.
 * - `differently`: the same without the field that the server refuses. `give-up`: nothing.
 *
 * @internal
 */
export type Verdict = 'retry' | 'elsewhere' | 'smaller' | 'spoiled' | 'differently' | 'give-up';

const BY_KIND: Record<EmbeddingApiError['kind'], Verdict> = {
  'rate-limit': 'retry',
  transient: 'retry',
  quota: 'elsewhere',
  auth: 'give-up',
  config: 'give-up',
  splittable: 'smaller',
  poisoned: 'spoiled',
  'too-long': 'spoiled',
  input: 'spoiled',
  unsupported: 'differently',
  refused: 'give-up',
};

/** @internal */
export function verdictOn(error: unknown): Verdict {
  if (error instanceof EmbeddingApiError) {
    const verdict = BY_KIND[error.kind];
    if (verdict === 'smaller' || verdict === 'spoiled' || verdict === 'differently') return verdict;
    // The server's own word goes before ours.
    return error.retryable ? 'retry' : verdict === 'retry' ? 'give-up' : verdict;
  }
  if (error instanceof EmbeddingResponseError) return error.reason === 'mismatch' ? 'smaller' : 'retry';
  if (error instanceof EmbeddingAbortedError) return 'give-up';
  if (error instanceof PoolDownError) return 'elsewhere';
  if (error instanceof EmbeddingError || isPoolError(error)) return error.retryable ? 'retry' : 'give-up';
  return 'give-up';
}

/** Whether an error says that the server is in trouble, and not that it has had enough or was asked for something wrong. @internal */
export function isTrouble(error: unknown): boolean {
  if (error instanceof EmbeddingApiError) return error.kind === 'transient';
  return (
    error instanceof EmbeddingConnectionError ||
    error instanceof EmbeddingTimeoutError ||
    (error instanceof EmbeddingResponseError && error.reason === 'unreadable')
  );
}

/** Whether waiting may help. A quota does not come back by waiting for it. @internal */
export function isWorthWaiting(error: unknown): boolean {
  return !(error instanceof EmbeddingApiError && error.kind === 'quota');
}

/** Whether a server does not know the field that asks for base64. @internal */
export function isAboutEncoding(error: unknown): boolean {
  return error instanceof EmbeddingApiError && error.parameter === 'encoding_format';
}

/** How long the server, or what speaks for it, asks to be left alone. @internal */
export function hintOf(error: unknown): number | undefined {
  if (error instanceof EmbeddingApiError) return error.retryAfterMs;
  const { retryAt } = (error ?? {}) as Partial<EmbeddingUnavailableError>;
  return retryAt instanceof Date ? Math.max(0, retryAt.getTime() - Date.now()) : undefined;
}

/** What is wrong with the one text that a server refuses. @internal */
export function problemOf(error: unknown): EmbeddingInputProblem {
  const { kind } = error as Partial<EmbeddingApiError>;
  return kind === 'too-long' || kind === 'splittable' ? 'too-long' : 'rejected';
}

/** The error of the one text that a server refuses. An answer that makes no sense stays what it is: the text is not to blame. @internal */
export function refusalOf(error: Error, isCut: boolean): Error {
  if (error instanceof EmbeddingResponseError || !(error instanceof EmbeddingApiError)) return error;
  const problem = problemOf(error);
  const description =
    problem === 'too-long'
      ? `the server finds it too long${isCut ? ', cut as it was' : '; shorten it, or set onTooLong: truncate'}`
      : 'the server refuses it';
  const { status, requestId } = error;
  return new EmbeddingInputError(0, problem, `${description} (${error.message})`, { cause: error, status, requestId });
}
