/** @publicApi */
export type EmbeddingErrorCode =
  | 'EMBEDDING_INPUT'
  | 'EMBEDDING_API'
  | 'EMBEDDING_CONNECTION'
  | 'EMBEDDING_TIMEOUT'
  | 'EMBEDDING_UNAVAILABLE'
  | 'EMBEDDING_ABORTED'
  | 'EMBEDDING_RESPONSE'
  | 'EMBEDDING_VECTOR';

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

/** Why a text was not embedded. @publicApi */
export type EmbeddingInputProblem = 'type' | 'blank' | 'too-long' | 'rejected';

/** A text that cannot be embedded: found before anything was sent, or refused by the server. @publicApi */
export class EmbeddingInputError extends EmbeddingError {
  readonly code = 'EMBEDDING_INPUT';
  readonly retryable = false;
  override readonly status: number | undefined;
  override readonly requestId: string | undefined;

  constructor(
    /** Which of the call's texts. */
    readonly index: number,
    readonly problem: EmbeddingInputProblem,
    private readonly description: string,
    options: ErrorOptions & { readonly status?: number; readonly requestId?: string | undefined } = {},
  ) {
    super(`text ${index}: ${description}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
    this.requestId = options.requestId;
  }

  /** The same of another place. @internal */
  at(index: number): EmbeddingInputError {
    if (index === this.index) return this;
    const { problem, description, cause, status, requestId } = this;
    return new EmbeddingInputError(index, problem, description, {
      cause,
      requestId,
      ...(status === undefined ? {} : { status }),
    });
  }
}

/**
 * What an answer with an error status means, and so what is to be done about it.
 *
 * - `rate-limit`: too fast; again after the hint. `transient`: the server has trouble; again after a while.
 * - `quota`: nothing left to spend. `auth`: wrong key. `config`: no such model, path or deployment. Never again by itself.
 * - `splittable`: the request is too large, its texts are not. `poisoned`: one of its texts breaks the server.
 * - `too-long`: a text has more tokens than the model takes. `input`: a text is not to the server's liking.
 * - `unsupported`: a field of the request is unknown to the server. `refused`: anything else that will not change.
 *
 * @publicApi
 */
export type EmbeddingFailureKind =
  | 'rate-limit'
  | 'transient'
  | 'quota'
  | 'auth'
  | 'config'
  | 'splittable'
  | 'poisoned'
  | 'too-long'
  | 'input'
  | 'unsupported'
  | 'refused';

/** @internal */
export interface EmbeddingApiFacts {
  readonly status: number;
  readonly kind: EmbeddingFailureKind;
  readonly requestId?: string | undefined;
  readonly apiCode?: string | undefined;
  /** The field that is refused, for `unsupported`; OpenAI's name for it where it has one. */
  readonly parameter?: string | undefined;
  /** The server's own words, clean of keys and texts. */
  readonly message?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** The server's own verdict (`x-should-retry`), which goes before ours. */
  readonly shouldRetry?: boolean | undefined;
}

/** The server answered with an error. @publicApi */
export class EmbeddingApiError extends EmbeddingError {
  readonly code = 'EMBEDDING_API';
  readonly retryable: boolean;
  override readonly status: number;
  override readonly requestId: string | undefined;
  readonly kind: EmbeddingFailureKind;
  /** The server's own code, such as `rate_limit_exceeded`. */
  readonly apiCode: string | undefined;
  /** The field that the server refuses, such as `encoding_format`, where the kind is `unsupported` and it said so. */
  readonly parameter: string | undefined;
  /** How long the server asks to be left alone, in milliseconds, where it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(facts: EmbeddingApiFacts) {
    const { status, kind, requestId, apiCode, parameter, message, retryAfterMs, shouldRetry } = facts;
    const name = requestId === undefined ? '' : `, request ${requestId}`;
    const wait = retryAfterMs === undefined ? '' : ` (again in ${Math.ceil(retryAfterMs)} ms)`;
    super(
      `the embedding server answered ${status}${apiCode === undefined ? '' : ` ${apiCode}`}${name}: ${message ?? 'no reason given'}${wait}`,
    );
    this.status = status;
    this.kind = kind;
    this.requestId = requestId;
    this.apiCode = apiCode;
    this.parameter = parameter;
    this.retryAfterMs = retryAfterMs;
    this.retryable = shouldRetry ?? (kind === 'rate-limit' || kind === 'transient');
  }
}

/** No answer came: the server could not be reached, or went away. @publicApi */
export class EmbeddingConnectionError extends EmbeddingError {
  readonly code = 'EMBEDDING_CONNECTION';
  readonly retryable: boolean;
  constructor(reason: string, cause: unknown, retryable = true) {
    super(`no answer from the embedding server: ${reason}`, { cause });
    this.retryable = retryable;
  }
}

/**
 * Which limit was reached: no byte of an answer (`header`), silence within one (`body`), one request as a whole (`attempt`),
 * or the call with all its waiting (`deadline`).
 *
 * @publicApi
 */
export type EmbeddingTimeoutPhase = 'header' | 'body' | 'attempt' | 'deadline';

/** It took too long. @publicApi */
export class EmbeddingTimeoutError extends EmbeddingError {
  readonly code = 'EMBEDDING_TIMEOUT';
  readonly retryable = true;
  constructor(
    readonly phase: EmbeddingTimeoutPhase,
    /** The limit that was reached. */
    readonly limitMs: number,
    /** What the call was doing, and what the last attempt failed by, where there was one. */
    doing?: string,
    cause?: unknown,
  ) {
    super(
      `${PHASES[phase]} within ${limitMs} ms${doing === undefined ? '' : ` (${doing})`}`,
      cause === undefined ? undefined : { cause },
    );
  }
}

const PHASES: Record<EmbeddingTimeoutPhase, string> = {
  header: 'the embedding server sent no byte of an answer',
  body: 'the embedding server sent no further byte of its answer',
  attempt: 'the embedding server did not answer in full',
  deadline: 'the texts were not embedded',
};

/** Turned away at once: the upstream is known to be down, or out of quota. @publicApi */
export class EmbeddingUnavailableError extends EmbeddingError {
  readonly code = 'EMBEDDING_UNAVAILABLE';
  readonly retryable = true;
  constructor(
    /** The upstream is left alone until then. */
    readonly retryAt: Date,
    reason: string,
    cause?: unknown,
  ) {
    super(`the embedding server is left alone until ${retryAt.toISOString()}: ${reason}`, { cause });
  }
}

/** The caller's signal ended the request, and its reason is the cause; or the service was closed. @publicApi */
export class EmbeddingAbortedError extends EmbeddingError {
  readonly code = 'EMBEDDING_ABORTED';
  readonly retryable = false;
  constructor(cause: unknown, message = 'the caller ended the request') {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/**
 * Why an answer is of no use: it cannot be read, it holds an error in place of vectors, or its vectors cannot be told apart.
 *
 * @publicApi
 */
export type EmbeddingResponseProblem = 'unreadable' | 'error' | 'mismatch';

/** An answer that cannot be right. Its vectors are not handed out: a wrong one would be found by nobody. @publicApi */
export class EmbeddingResponseError extends EmbeddingError {
  readonly code = 'EMBEDDING_RESPONSE';
  readonly retryable = false;
  override readonly requestId: string | undefined;
  constructor(
    readonly problem: string,
    readonly reason: EmbeddingResponseProblem = 'unreadable',
    requestId?: string,
  ) {
    super(`the embedding server's answer cannot be right: ${problem}`);
    this.requestId = requestId;
  }
}

/** What is wrong with a vector. @publicApi */
export type EmbeddingVectorProblem = 'missing' | 'encoding' | 'dimensions' | 'not-finite' | 'zero';

/** The vector of one text cannot be right; those of the others can. @publicApi */
export class EmbeddingVectorError extends EmbeddingError {
  readonly code = 'EMBEDDING_VECTOR';
  readonly retryable = false;
  override readonly requestId: string | undefined;
  constructor(
    readonly problem: EmbeddingVectorProblem,
    /** As in `it has 192 dimensions, not 768`. */
    description: string,
    requestId?: string,
  ) {
    super(`the vector that came back cannot be right: ${description}`);
    this.requestId = requestId;
  }
}
