import { AxiosError, type InternalAxiosRequestConfig, isCancel } from 'axios';
import { HttpDialError } from './dial-error.js';
import { type HttpErrorKind, type HttpTimeoutPhase, requestIdOf } from './http-error.js';
import type { RequestGuard } from './request-guard.js';

/** What an {@link HttpError} says of how a request failed. */
interface Failure {
  readonly kind: HttpErrorKind;
  readonly code: string;
  readonly phase: HttpTimeoutPhase | undefined;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly durationMs: number | undefined;
  readonly cause: unknown;
  readonly retryable: boolean | undefined;
}

/** Whether an error is one of axios' own, which holds the request with its headers. @internal */
export function isOfAxios(error: unknown): boolean {
  return error instanceof AxiosError || isCancel(error);
}

/**
 * Whether what sends requests tells of one that failed, and not of a mistake in code such as an invalid header.
 *
 * @internal
 */
export function isFailure(error: unknown): boolean {
  if (isOfAxios(error)) return true;
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return typeof code === 'string' && name !== 'TypeError';
}

/** How a request failed, without anything of the request or of the answer's body. @internal */
export function describeFailure(
  error: unknown,
  config: InternalAxiosRequestConfig | undefined,
  guard: RequestGuard | undefined,
): Failure {
  const { response, code } = (error ?? {}) as Partial<AxiosError>;
  const kind = guard?.verdict ?? kindOf(error as AxiosError);
  const phase = guard?.phase;
  return {
    kind,
    code: (phase === undefined ? CODES[kind] : TIMEOUT_CODES[phase]) ?? code ?? 'ECONNRESET',
    phase,
    status: kind === 'status' ? response?.status : undefined,
    requestId: requestIdOf(response?.headers),
    durationMs: guard?.durationMs,
    retryable: kind === 'connection' && error instanceof HttpDialError ? error.retryable : undefined,
    cause: kind === 'aborted' ? (config?.signal as AbortSignal | undefined)?.reason : undefined,
  };
}

const CODES: Partial<Record<HttpErrorKind, string>> = {
  aborted: 'HTTP_ABORTED',
  status: 'HTTP_STATUS',
};

const TIMEOUT_CODES: Record<HttpTimeoutPhase, string> = {
  header: 'HTTP_HEADER_TIMEOUT',
  body: 'HTTP_BODY_TIMEOUT',
  whole: 'HTTP_TIMEOUT',
};

function kindOf(error: AxiosError): HttpErrorKind {
  if (isCancel(error)) return 'aborted';
  // The code first: an answer that breaks off has a status too.
  const code = error.code ?? '';
  const isReset = code === 'ECONNRESET';
  const { status } = error.response ?? {};
  if (status !== undefined && (status < 200 || status >= 300) && !isReset) return 'status';
  // A size, a body that is no JSON, an encoding that is none.
  return REFUSED_CODES.has(code) || code.startsWith('Z_') ? 'response' : 'connection';
}

const REFUSED_CODES = new Set(['ERR_BAD_RESPONSE', 'ERR_BAD_REQUEST', 'ERR_FR_MAX_BODY_LENGTH_EXCEEDED']);
