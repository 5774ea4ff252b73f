import type { Readable } from 'node:stream';
import type { AnswerWatch } from './answer-watch.js';

/** One request as it goes over the wire. @internal */
export interface ExchangeRequest {
  /** In capitals. */
  readonly method: string;
  /** The path with its query. */
  readonly path: string;
  /** Names and values by turns; a name that is sent twice is here twice. */
  readonly headers: readonly string[];
  readonly body: Buffer | Readable | undefined;
  /** Told of the answer's end; by a protocol in which one socket carries many, of all else too. */
  readonly watch?: AnswerWatch | undefined;
}

/** Headers of an answer: names in small letters, values as Node's own client gives them. @internal */
export type AnswerHeaders = Record<string, string | string[]>;

/**
 * Whoever wants the answer. It is told of a head once, then of data, and then of an end or an error; an error may also come
 * first, or instead of everything. After that it hears nothing more.
 *
 * @internal
 */
export interface AnswerSink {
  onHead(status: number, statusText: string, headers: AnswerHeaders): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: AnswerHeaders): void;
  onError(error: Error): void;
}

/** The hold on an exchange under way. @internal */
export interface ExchangeControl {
  /** Ends it. The sink is told with an error, now or soon, unless it has had its end. */
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
}

/**
 * Sends one request and tells a sink of its answer: all that a protocol has to know to stand below axios.
 *
 * It never throws; what is wrong goes to `onError`, also before it has returned.
 *
 * @internal
 */
export type Exchange = (request: ExchangeRequest, sink: AnswerSink) => ExchangeControl;

/** Headers that Node's client takes once, and drops when they come again. */
const ONCE = new Set([
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
]);

/** Makes of headers, where one that came twice is a list, what Node's own client makes of them. In place. @internal */
export function likeNode(headers: Record<string, string | string[] | undefined>): AnswerHeaders {
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (name === 'set-cookie') {
      if (!Array.isArray(value)) headers[name] = [value!];
    } else if (Array.isArray(value)) {
      headers[name] = ONCE.has(name) ? value[0] : value.join(', ');
    }
  }
  return headers as AnswerHeaders;
}

/** An error with a code, for what has no error of its own. @internal */
export function codedError(message: string, code: string, cause?: unknown): Error & { code: string } {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });
}
