/**
 * What went wrong with a request: no answer for want of a connection, no answer in time, stopped by the caller, an answer
 * with an error status, or an answer that cannot be read.
 *
 * @publicApi
 */
export type HttpErrorKind = 'connection' | 'timeout' | 'aborted' | 'status' | 'response';

/**
 * Which time limit a request ran into: `header` until the first byte of the answer, `body` between two of its bytes, `whole`
 * for all of it.
 *
 * @publicApi
 */
export type HttpTimeoutPhase = 'header' | 'body' | 'whole';

/** The same symbol in every copy of this package, so that two installed versions know each other's errors. */
const BRAND = Symbol.for('nestjs-pools.HttpError');

interface HttpErrorFacts {
  readonly kind: HttpErrorKind;
  readonly code: string;
  readonly phase?: HttpTimeoutPhase | undefined;
  readonly method: string;
  readonly url: string;
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly durationMs?: number | undefined;
  readonly cause?: unknown;
  /** What whatever failed beneath it says of that, such as a certificate that was rejected. */
  readonly retryable?: boolean | undefined;
}

/** Statuses that say "not now" rather than "not so". */
const RETRYABLE_STATUS = new Set([408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]);

/**
 * The one error of an {@link HttpConnection}. It says what was asked, of whom, and how it failed, and holds no header, no
 * query, no body and no reference to the request, so that it can be logged as it is.
 *
 * @publicApi
 */
export class HttpError extends Error {
  readonly kind: HttpErrorKind;
  /**
   * The system's or the HTTP client's code: `ECONNREFUSED`, `HTTP_STATUS`, …; of kind `timeout` `HTTP_TIMEOUT`,
   * `HTTP_HEADER_TIMEOUT` or `HTTP_BODY_TIMEOUT`.
   */
  readonly code: string;
  /** Of kind `timeout`: the limit that was reached. */
  readonly phase?: HttpTimeoutPhase | undefined;
  readonly method: string;
  /** Origin and path; never a query. */
  readonly url: string;
  /** The status of the answer, where there was one. */
  readonly status: number | undefined;
  /** The server's own name for the request (`x-request-id` and its kin), to quote in a ticket. */
  readonly requestId: string | undefined;
  /** How long the request had been under way, its turn behind others on its connection included. */
  readonly durationMs: number | undefined;
  /** Whether the same request may succeed a little later. */
  readonly retryable: boolean;
  /** @internal */
  readonly [BRAND] = true;

  /** @internal */
  constructor(facts: HttpErrorFacts) {
    const what = facts.status === undefined ? facts.code : `status ${facts.status}`;
    super(
      `${facts.method} ${facts.url} failed: ${what}`,
      facts.cause === undefined ? undefined : { cause: facts.cause },
    );
    this.name = 'HttpError';
    this.kind = facts.kind;
    this.code = facts.code;
    this.phase = facts.phase;
    this.method = facts.method;
    this.url = facts.url;
    this.status = facts.status;
    this.requestId = facts.requestId;
    this.durationMs = facts.durationMs;
    this.retryable = facts.retryable ?? isWorthATry(facts);
  }
}

function isWorthATry({ kind, status = 0 }: HttpErrorFacts): boolean {
  return kind === 'status' ? RETRYABLE_STATUS.has(status) : kind !== 'aborted' && kind !== 'response';
}

/** Whether an error is an {@link HttpError}, also of another copy of this package. @publicApi */
export function isHttpError(error: unknown): error is HttpError {
  return typeof error === 'object' && error !== null && Reflect.get(error, BRAND) === true;
}

const REQUEST_ID_HEADERS = ['x-request-id', 'apim-request-id', 'request-id', 'x-correlation-id'] as const;

/** The request id that a server gave, under whichever of the usual names. @internal */
export function requestIdOf(headers: unknown): string | undefined {
  for (const name of REQUEST_ID_HEADERS) {
    const value = (headers as Record<string, unknown> | undefined)?.[name];
    if (typeof value === 'string') return value;
  }
  return undefined;
}
