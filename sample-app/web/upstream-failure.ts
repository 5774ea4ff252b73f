import { HttpStatus } from '@nestjs/common';
import { isPoolError } from 'nestjs-pools';
import {
  EmbeddingApiError,
  EmbeddingConnectionError,
  EmbeddingError,
  EmbeddingInputError,
  EmbeddingResponseError,
  EmbeddingTimeoutError,
  EmbeddingUnavailableError,
  EmbeddingVectorError,
} from 'nestjs-pools/embedding';

/** What a failure means to those outside, and what they can do. Holds nothing of the error's own words. */
export interface Explanation {
  readonly status: HttpStatus;
  readonly message: string;
}

/** Whatever failed on the way to an answer, in words. Used by the log of the indexing too, so that all tell the same. */
export function explain(error: unknown): Explanation {
  if (error instanceof EmbeddingApiError) return explainAnswer(error);
  if (error instanceof EmbeddingConnectionError || error instanceof EmbeddingTimeoutError) {
    return unavailable('The embedding server did not answer.');
  }
  if (error instanceof EmbeddingUnavailableError) {
    return unavailable('The embedding server is in trouble and left alone for a while.');
  }
  if (error instanceof EmbeddingInputError) {
    const message =
      error.problem === 'blank'
        ? 'The text has no words that could be embedded.'
        : 'The embedding server does not take this text.';
    return { status: HttpStatus.BAD_REQUEST, message };
  }
  if (error instanceof EmbeddingResponseError || error instanceof EmbeddingVectorError) {
    const message = 'The embedding server sent something that is no embedding. Does EMBEDDINGS_URL name the right one?';
    return { status: HttpStatus.BAD_GATEWAY, message };
  }
  if (error instanceof EmbeddingError) return unavailable('The request was ended before its answer came.');
  if (isDatabaseGone(error)) return unavailable('The database broke off; the next request has a new connection.');
  if (isPoolError(error)) return unavailable(`No connection to "${error.pool}" could be had.`);
  return { status: HttpStatus.INTERNAL_SERVER_ERROR, message: 'Something went wrong here; the log says what.' };
}

/** Whether the server has ended a connection, or the network has, in the midst of a query. */
export function isDatabaseGone(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  // The classes of SQLSTATE for lost connections and for a server that is shutting down; pg's own error has no code.
  const isCode = typeof code === 'string' && /^(08...|57P0[1-3]|ECONNRESET|EPIPE)$/u.test(code);
  return isCode || message === 'Connection terminated unexpectedly';
}

/** Settings that do not fit are the operator's to mend: the message names the one. */
function explainAnswer({ status, apiCode }: EmbeddingApiError): Explanation {
  const refused = (message: string): Explanation => ({ status: HttpStatus.FAILED_DEPENDENCY, message });
  if (status === 401 || status === 403) {
    return refused('The embedding server refused the API key. Set EMBEDDINGS_API_KEY to a valid one and restart.');
  }
  if (status === 404) {
    const where = 'The embedding server does not know this model or this address.';
    return refused(`${where} Check EMBEDDINGS_MODEL and EMBEDDINGS_URL and restart.`);
  }
  if (status === 429) return unavailable('The embedding server has too much to do.');
  if (status >= 500) return unavailable(`The embedding server is out of order (status ${status}).`);
  return refused(
    `The embedding server refused the request (status ${status}${apiCode === undefined ? '' : `, ${apiCode}`}).`,
  );
}

function unavailable(reason: string): Explanation {
  return { status: HttpStatus.SERVICE_UNAVAILABLE, message: reason };
}
