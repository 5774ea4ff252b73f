import type { WatchedAdapter } from './answer-watch.js';

/**
 * What carries the requests of one {@link HttpConnection}: a socket of its own, or a place on an HTTP/2 session. The
 * connection adds what is the same for all of them: hardening, deadlines, errors, redaction.
 *
 * A link says through the `broken` that it was opened with when nothing can be sent over it any more; it keeps silent about
 * whatever it mends itself.
 *
 * @internal
 */
export interface HttpLink {
  /**
   * Whether a request could be sent at this moment: open, with none on it, and not idle for too long. Asked at every lease
   * and every return: no I/O, and it touches nothing.
   */
  readonly isReady: boolean;
  /** Whether it is open, however long it has been idle. No I/O. */
  readonly isOpen: boolean;
  /** How long nothing has been on it; 0 while something is. */
  readonly idleMs: number;
  /** How long that may go on. `Infinity` where the link has no say in it, as a place on a session. */
  readonly idleLimitMs: number;
  /**
   * Sends one request, which ends at the latest when `config.signal` says so; `config.timeout` is always 0, and the config is
   * the link's own. Requests made at the same time go one after the other. An answer is resolved whatever its status, unless
   * `config.validateStatus` says otherwise; for `responseType: 'stream'` the request is over when the stream has closed.
   *
   * It rejects with anything that has a `code`. An `AxiosError` of code `ERR_BAD_RESPONSE`, `ERR_BAD_REQUEST` or
   * `ERR_FR_MAX_BODY_LENGTH_EXCEEDED` says that the request or the answer was refused (its status, its size, no JSON);
   * everything else that the connection failed.
   *
   * A watch that comes with it is told when the request is sent, of all that comes in answer, and of its end.
   */
  readonly adapter: WatchedAdapter;
  /**
   * Asks the server for a sign of life by other means than a request. Where it is there, the background check is this one,
   * also for links that need not be kept warm.
   */
  check?(signal: AbortSignal): Promise<boolean>;
  /** Ends it, with whatever is on it. Resolves when it is closed, at the server's side too where the server is polite. */
  close(): Promise<void>;
}
