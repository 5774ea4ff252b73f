import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  HttpStatus,
  Inject,
  Logger,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';
import { PoolDownError, PoolError, type PoolErrorCode } from '../core/index.js';

/** Pools that are full, closing, or cannot reach their upstream: a client may try again. */
const UNAVAILABLE: ReadonlySet<PoolErrorCode> = new Set<PoolErrorCode>([
  'POOL_ACQUIRE_TIMEOUT',
  'POOL_ACQUIRE_ABORTED',
  'POOL_EXHAUSTED',
  'POOL_TOO_MANY',
  'POOL_CLOSED',
  'POOL_DOWN',
  'POOL_NO_HEALTHY_CONNECTION',
  'POOL_CREATE_FAILED',
  'POOL_CONNECTION_LOST',
]);

/** Seconds. Long enough to let a queue drain, short enough for a client to wait. */
const RETRY_AFTER = 1;

/** The codes of gRPC, which sends an error's `code` as it is; to other transports they are a field like any other. */
const GRPC = { internal: 13, unavailable: 14 } as const;

/** What a client is told, whatever it speaks. */
interface Answer {
  readonly status: HttpStatus.SERVICE_UNAVAILABLE | HttpStatus.INTERNAL_SERVER_ERROR;
  readonly message: string;
  /** In seconds. */
  readonly retryAfter?: number;
}

/**
 * Answers requests that failed for want of a connection, and tells clients nothing about the pool: over HTTP 503 with
 * `Retry-After`; in messages `{ status: 'error', code: 14, message, retryAfter }`, the code being gRPC's UNAVAILABLE; over
 * WebSockets the same as an `exception` event. Other pool errors are mistakes in the program: 500, and a line in the log.
 *
 * ```ts
 * providers: [{ provide: APP_FILTER, useClass: PoolExceptionFilter }]
 * ```
 *
 * @publicApi
 */
@Catch(PoolError)
export class PoolExceptionFilter implements ExceptionFilter<PoolError> {
  private readonly logger = new Logger(PoolExceptionFilter.name);

  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}

  catch(error: PoolError, context: ArgumentsHost): Observable<never> | void {
    const answer = answerTo(error);
    if (answer.retryAfter === undefined) this.logger.error(error);
    switch (context.getType<string>()) {
      case 'http':
        return this.reply(answer, context);
      case 'rpc':
        return throwError(() => inMessage(answer));
      case 'ws':
        return emit(context.switchToWs().getClient(), inMessage(answer));
      default:
        // GraphQL, and whatever else turns exceptions into answers itself.
        throw new HttpException(inBody(answer), answer.status, { cause: error });
    }
  }

  private reply(answer: Answer, context: ArgumentsHost): void {
    const { httpAdapter } = this.host;
    const response: unknown = context.switchToHttp().getResponse();
    // A stream that breaks off has begun its answer; there is nothing left to say but that it ends.
    if (httpAdapter.isHeadersSent(response)) return void httpAdapter.end(response);
    const { retryAfter, status } = answer;
    if (retryAfter !== undefined) httpAdapter.setHeader(response, 'Retry-After', String(retryAfter));
    httpAdapter.reply(response, inBody(answer), status);
  }
}

function answerTo(error: PoolError): Answer {
  if (!UNAVAILABLE.has(error.code)) return { status: 500, message: 'Internal server error' };
  const message = 'The service is busy or one of its upstreams is; please try again shortly.';
  return { status: 503, message, retryAfter: retryAfter(error) };
}

/** In whole seconds: a pool that is down knows when it will try again. */
function retryAfter(error: PoolError): number {
  if (!(error instanceof PoolDownError)) return RETRY_AFTER;
  return Math.max(RETRY_AFTER, Math.ceil((error.retryAt.getTime() - Date.now()) / 1_000));
}

function inBody({ status, message }: Answer): object {
  return { statusCode: status, ...(status === 503 && { error: 'Service Unavailable' }), message };
}

function inMessage({ status, message, retryAfter: after }: Answer): object {
  const code = status === 503 ? GRPC.unavailable : GRPC.internal;
  return { status: 'error', code, message, ...(after !== undefined && { retryAfter: after }) };
}

/** As Nest's own filter does: a WebSocket of the standard sends texts, a client of socket.io emits events. */
function emit(client: unknown, data: object): void {
  const { readyState, send, emit: emitEvent } = client as Partial<WebSocketLike>;
  if (typeof readyState === 'number' && typeof send === 'function')
    send.call(client, JSON.stringify({ event: 'exception', data }));
  else if (typeof emitEvent === 'function') emitEvent.call(client, 'exception', data);
}

interface WebSocketLike {
  readonly readyState: number;
  send(text: string): void;
  emit(event: string, data: object): void;
}
