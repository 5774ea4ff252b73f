/**
 * What an endpoint's sign of life says: `misconfigured` is a wrong key, `throttled` a server that lives and has had enough.
 *
 * @publicApi
 */
export type EmbeddingHealthStatus = 'up' | 'degraded' | 'throttled' | 'misconfigured' | 'down';

/** @publicApi */
export interface EmbeddingHealth {
  readonly status: EmbeddingHealthStatus;
  /** Of the answer, where there was one. */
  readonly statusCode: number | undefined;
}

/** How a server's answer to a probe is read: any answer at all is a sign that the connection works. @internal */
export function healthOf(statusCode: number): EmbeddingHealth {
  return { status: statusOf(statusCode), statusCode };
}

function statusOf(status: number): EmbeddingHealthStatus {
  if (status === 401 || status === 403) return 'misconfigured';
  if (status === 429) return 'throttled';
  // 501: the server does not do what it was asked by, and says so over a connection that works.
  return status >= 500 && status !== 501 ? 'degraded' : 'up';
}
