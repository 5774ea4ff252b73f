import { constants } from 'node:http2';
import type { AnswerHeaders, ExchangeRequest } from './exchange.js';

/** Where the requests of a session go: what HTTP/1.1 says by its socket and its `host`. @internal */
export interface H2Target {
  readonly scheme: string;
  readonly authority: string;
}

/** About the connection, and so none of HTTP/2's (RFC 9113, 8.2.2). */
const OF_THE_CONNECTION = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** The headers of a request, as `ClientHttp2Session.request` takes them. @internal */
export function requestHeaders(
  { method, path, headers, body }: ExchangeRequest,
  { scheme, authority }: H2Target,
): Record<string, string | string[]> {
  const own: Record<string, string | string[]> = {
    ':method': method,
    ':scheme': scheme,
    ':authority': authority,
    ':path': path,
  };
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!;
    const value = headers[at + 1]!;
    const earlier = own[name];
    if (name === 'host') own[':authority'] = value;
    else if (OF_THE_CONNECTION.has(name) || (name === 'te' && value !== 'trailers') || name.startsWith(':')) continue;
    else if (earlier === undefined) own[name] = value;
    else own[name] = [earlier, value].flat();
  }
  if (Buffer.isBuffer(body)) own['content-length'] ??= String(body.length);
  return own;
}

/** The headers of an answer, or its trailers, without what only HTTP/2 has. @internal */
export function answerHeaders(headers: object): AnswerHeaders {
  const own: AnswerHeaders = {};
  for (const [name, value] of Object.entries(headers as AnswerHeaders)) if (!name.startsWith(':')) own[name] = value;
  return own;
}

/** By their numbers, from RFC 9113, 7. */
const RESETS = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/**
 * `HTTP2_INTERNAL_ERROR` and the like, for what ended a stream. Node ends streams without a reason of their own when it is
 * their connection that has gone.
 *
 * @internal
 */
export function codeOfReset(reset: number, isConnected: boolean): string {
  const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = constants;
  const hasReason = isConnected || (reset !== NGHTTP2_NO_ERROR && reset !== NGHTTP2_CANCEL);
  const name = hasReason ? RESETS[reset] : undefined;
  return name === undefined ? 'ECONNRESET' : `HTTP2_${name}`;
}
