import type { InternalAxiosRequestConfig } from 'axios';
import type { HttpReplay } from './http-settings.js';

/** Methods of which twice is as good as once (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(['get', 'head', 'options', 'trace', 'put', 'delete']);

/** How a socket fails that the server had closed when it was written to. `UND_ERR_SOCKET` is undici's word for it. */
const RESET_CODES = new Set<unknown>(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET']);

/** Whether a request failed because its socket had been closed. @internal */
export function isReset(error: unknown): boolean {
  return RESET_CODES.has((error as { code?: unknown } | undefined)?.code);
}

/**
 * Whether a request to which the server has answered nothing may be sent again. The server may have got it, and done what it
 * asks for; and it must be there still: a stream has been read by then.
 *
 * @internal
 */
export function mayReplay(config: InternalAxiosRequestConfig, replay: HttpReplay): boolean {
  if (isStream(config.data)) return false;
  if (config.replay !== undefined) return config.replay;
  if (replay !== 'idempotent') return replay === 'always';
  return IDEMPOTENT.has((config.method ?? 'get').toLowerCase()) || config.headers.has('idempotency-key');
}

/** Whether a body is read as it is sent, and so only once. @internal */
export function isStream(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false;
  return 'pipe' in data || 'getReader' in data;
}
