import { type ArgumentsHost, Catch, type ExceptionFilter, Inject, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { PoolDownError, PoolError, type PoolErrorCode } from '../core/index.js';

/** Pools that are full, closing, or cannot reach their upstream: a client may try again. */
const UNAVAILABLE: ReadonlySet<PoolErrorCode> = new Set<PoolErrorCode>([
  'POOL_ACQUIRE_TIMEOUT',
  'POOL_ACQUIRE_ABORTED',
  'POOL_EXHAUSTED',
  'POOL_CLOSED',
  'POOL_DOWN',
  'POOL_NO_HEALTHY_CONNECTION',
  'POOL_CREATE_FAILED',
  'POOL_CONNECTION_LOST',
]);

/** Seconds. Long enough to let a queue drain, short enough for a client to wait. */
const RETRY_AFTER = 1;

/**
 * Answers HTTP requests that failed for want of a connection with 503 and `Retry-After`, and tells clients nothing about
 * the pool. Other pool errors are mistakes in the program: 500, and a line in the log.
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

  catch(error: PoolError, context: ArgumentsHost): void {
    if (context.getType() !== 'http') throw error;
    const { httpAdapter } = this.host;
    const response: unknown = context.switchToHttp().getResponse();
    if (UNAVAILABLE.has(error.code)) {
      httpAdapter.setHeader(response, 'Retry-After', String(retryAfter(error)));
      const message = 'The service is busy or one of its upstreams is; please try again shortly.';
      return httpAdapter.reply(response, { statusCode: 503, error: 'Service Unavailable', message }, 503);
    }
    this.logger.error(error);
    httpAdapter.reply(response, { statusCode: 500, message: 'Internal server error' }, 500);
  }
}

/** In whole seconds: a pool that is down knows when it will try again. */
function retryAfter(error: PoolError): number {
  if (!(error instanceof PoolDownError)) return RETRY_AFTER;
  return Math.max(RETRY_AFTER, Math.ceil((error.retryAt.getTime() - Date.now()) / 1_000));
}
