/** @publicApi */
export type EmbeddingErrorCode =
  'EMBEDDING_INPUT' | 'EMBEDDING_API' | 'EMBEDDING_CONNECTION' | 'EMBEDDING_ABORTED' | 'EMBEDDING_RESPONSE';

/**
 * The base of what an {@link EmbeddingService} rejects with, beside the pool's own errors. Nothing in it holds a key or an
 * input text.
 *
 * @publicApi
 */
export abstract class EmbeddingError extends Error {
  abstract readonly code: EmbeddingErrorCode;
  /** Whether the same call may succeed a little later. */
  abstract readonly retryable: boolean;
  /** The status of the answer, where there was one. */
  readonly status: number | undefined = undefined;
  /** The server's own name for the request, where it gave one. */
  readonly requestId: string | undefined = undefined;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = this.constructor.name;
  }
}

/** A text that no server would embed; found before anything was sent. @publicApi */
export class EmbeddingInputError extends EmbeddingError {
  readonly code = 'EMBEDDING_INPUT';
  readonly retryable = false;
  constructor(
    /** Which of the texts. */
    readonly index: number,
    problem: string,
  ) {
    super(`text ${index}: ${problem}`);
  }
}

/** The server answered with an error. @publicApi */
export class EmbeddingApiError extends EmbeddingError {
  readonly code = 'EMBEDDING_API';
  readonly retryable: boolean;
  override readonly status: number;
  override readonly requestId: string | undefined;
  /** The server's own code, such as `rate_limit_exceeded`. */
  readonly apiCode: string | undefined;

  constructor(facts: { status: number; requestId?: string; apiCode?: string; type?: string; message?: string }) {
    const { status, requestId, apiCode, type, message } = facts;
    const name = requestId === undefined ? '' : `, request ${requestId}`;
    super(
      `the embedding server answered ${status}${apiCode === undefined ? '' : ` ${apiCode}`}${name}: ${message ?? 'no reason given'}`,
    );
    this.status = status;
    this.requestId = requestId;
    this.apiCode = apiCode;
    // A used-up quota comes as 429 too and does not come back by asking again.
    const isQuota = type === 'insufficient_quota' || apiCode === 'insufficient_quota';
    this.retryable = !isQuota && (RETRYABLE.has(status) || (status >= 500 && status !== 501));
  }
}

const RETRYABLE = new Set([408, 409, 425, 429]);

/** No answer came: the server could not be reached, went away, or took too long. @publicApi */
export class EmbeddingConnectionError extends EmbeddingError {
  readonly code = 'EMBEDDING_CONNECTION';
  readonly retryable = true;
  constructor(reason: string, cause: unknown) {
    super(`no answer from the embedding server: ${reason}`, { cause });
  }
}

/** The caller's signal ended the request; its reason is the cause. @publicApi */
export class EmbeddingAbortedError extends EmbeddingError {
  readonly code = 'EMBEDDING_ABORTED';
  readonly retryable = false;
  constructor(cause: unknown) {
    super('the caller ended the request', { cause });
  }
}

/** An answer that cannot be right. Its vectors are not handed out: a wrong one would be found by nobody. @publicApi */
export class EmbeddingResponseError extends EmbeddingError {
  readonly code = 'EMBEDDING_RESPONSE';
  readonly retryable = false;
  override readonly requestId: string | undefined;
  constructor(
    readonly problem: string,
    requestId?: string,
  ) {
    super(`the embedding server's answer cannot be right: ${problem}`);
    this.requestId = requestId;
  }
}
