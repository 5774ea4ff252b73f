import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, HttpStatus, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { EmbeddingError } from 'nestjs-pools/embedding';
import { IndexNotReadyError } from '../documents/indexing.service.js';
import { RequestError } from './request-error.js';
import { explain } from './upstream-failure.js';

interface Answer {
  readonly status: number;
  readonly message: string;
  readonly more?: object;
}

/** In place of Nest's and Express' own words, which may quote the request. */
const OWN_WORDS: Readonly<Record<number, string>> = {
  400: 'The request cannot be read: a body must be JSON in UTF-8, and an address properly encoded.',
  404: 'There is nothing here. Try GET /, GET /search?q=…, POST /documents, GET /pools, GET /health/live or GET /health/ready.',
  413: 'The body is too large: expected 2 MB at most, with a text of 1 MB at most. Cut the document into several.',
  415: 'The body cannot be read: expected content-type: application/json in UTF-8.',
};
const RETRY_AFTER = '1';
const TRY_AGAIN = 'Please try again shortly.';

/**
 * Every failure but those of the pools, which the library's own filter answers: always JSON of `statusCode`, `error` and
 * `message`, never a stack, a key or what somebody sent.
 */
@Catch()
export class FailureFilter implements ExceptionFilter<unknown> {
  private readonly logger = new Logger('Request');

  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: unknown, context: ArgumentsHost): void {
    const { httpAdapter } = this.host;
    const response: unknown = context.switchToHttp().getResponse();
    if (httpAdapter.isHeadersSent(response)) return httpAdapter.end(response);
    if (error instanceof HttpException && isHealthReport(error)) {
      return httpAdapter.reply(response, error.getResponse(), error.getStatus());
    }
    const { status, message, more } = this.answerTo(error);
    if (status === 503) httpAdapter.setHeader(response, 'Retry-After', RETRY_AFTER);
    httpAdapter.reply(response, { statusCode: status, error: STATUS_CODES[status], message, ...more }, status);
  }

  private answerTo(error: unknown): Answer {
    if (error instanceof RequestError) return { status: error.getStatus(), message: error.message };
    const status = error instanceof HttpException ? error.getStatus() : bodyParserStatus(error);
    if (status !== undefined) return { status, message: OWN_WORDS[status] ?? STATUS_CODES[status] ?? 'Error' };
    if (error instanceof IndexNotReadyError) return notReady(error);
    const explanation = explain(error);
    // A failure of the upstream's is told by the pool when it begins; one of ours by nobody else.
    if (!(error instanceof EmbeddingError)) this.logger.error(error);
    const again = explanation.status === HttpStatus.SERVICE_UNAVAILABLE ? ` ${TRY_AGAIN}` : '';
    return { status: explanation.status, message: `${explanation.message}${again}` };
  }
}

/** Express' body parsers have errors of their own; Nest 12 makes exceptions of them, Nest 11 only of some. */
function bodyParserStatus(error: unknown): number | undefined {
  const { expose, statusCode } = (error ?? {}) as { expose?: unknown; statusCode?: unknown };
  return expose === true && typeof statusCode === 'number' ? statusCode : undefined;
}

/** Terminus answers "not healthy" by an exception whose body is the report itself. */
function isHealthReport(error: HttpException): boolean {
  const body = error.getResponse();
  return error.getStatus() === HttpStatus.SERVICE_UNAVAILABLE && typeof body === 'object' && 'details' in body;
}

function notReady({ progress }: IndexNotReadyError): Answer {
  const { done, total, problem } = progress;
  const wait = problem === undefined ? TRY_AGAIN : `It waits: ${problem} ${TRY_AGAIN}`;
  return {
    status: HttpStatus.SERVICE_UNAVAILABLE,
    message: `The index is being built: ${done} of ${total} sections are embedded. ${wait}`,
    more: { indexing: progress },
  };
}
