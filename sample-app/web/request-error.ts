import { HttpException, type HttpStatus } from '@nestjs/common';

/** A request that is not served, with words of ours for the client. */
export class RequestError extends HttpException {
  // Nest's own exceptions may quote the request; by its class the filter knows that this one is fit to be shown.
  override readonly name = 'RequestError';

  constructor(status: HttpStatus, message: string) {
    super(message, status);
  }
}
