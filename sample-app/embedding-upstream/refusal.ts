/** What OpenAI calls the kind of an error. */
type RefusalType = 'invalid_request_error' | 'requests' | 'server_error';

/** A request that is not served, with everything the client gets to know about it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly status: number,
    message: string,
    readonly details: {
      readonly type?: RefusalType;
      readonly param?: string;
      readonly code?: string;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message);
  }

  /** The body in OpenAI's shape: all four fields are always there, clients read them unasked. */
  toBody(): string {
    const { type = 'invalid_request_error', param = null, code = null } = this.details;
    return JSON.stringify({ error: { message: this.message, type, param, code } });
  }
}

/** Whatever went wrong, as a refusal: what we did not foresee is our fault, and its details are not the client's business. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal(500, 'The server had an error while processing your request.', { type: 'server_error' });
}
