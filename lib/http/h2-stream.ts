import { STATUS_CODES } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { Readable } from 'node:stream';
import {
  type AnswerHeaders,
  type AnswerSink,
  codedError,
  type ExchangeControl,
  type ExchangeRequest,
} from './exchange.js';
import { answerHeaders, codeOfReset, type H2Target, requestHeaders } from './h2-headers.js';

/**
 * The failure of a request that its server has not looked at: sent elsewhere, it is not sent twice.
 *
 * @internal
 */
export class UnprocessedError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** What a stream tells its session when it has closed. @internal */
export type StreamEnd = 'answered' | 'failed' | 'given up';

/** One request on a session, as one stream of it. @internal */
export class H2Stream implements ExchangeControl {
  private readonly stream: ClientHttp2Stream | undefined;
  private end: StreamEnd | undefined;
  private hasHead = false;
  private length = 0;
  private expected: number | undefined;
  private trailers: AnswerHeaders = {};
  private error: Error | undefined;

  constructor(
    private readonly session: ClientHttp2Session,
    target: H2Target,
    private readonly request: ExchangeRequest,
    private readonly sink: AnswerSink,
    /** The last stream that the server has looked at, once it has said goodbye. */
    private readonly lastLookedAt: () => number,
    private readonly onClose: (end: StreamEnd) => void,
  ) {
    const { body, watch } = request;
    try {
      this.stream = session.request(requestHeaders(request, target), { endStream: body === undefined });
    } catch (error) {
      const { message } = error as Error;
      const isGoing = session.closed || session.destroyed;
      // A header that is none fails here as well; that is no fault of the session's.
      this.failSoon(isGoing ? new UnprocessedError(message, 'ECONNRESET') : codedError(message, 'ERR_BAD_REQUEST'));
      return;
    }
    this.stream
      .on('response', (headers) => this.onResponse(Number(headers[':status']), answerHeaders(headers)))
      .on('data', (chunk: Buffer) => this.onData(chunk))
      .on('trailers', (trailers: object) => (this.trailers = answerHeaders(trailers)))
      .on('end', () => this.onEnd())
      .on('error', (error) => (this.error = error))
      .on('close', () => this.closed());
    if (watch !== undefined) {
      watch.begun();
      // 100, 103: the server is there.
      this.stream.on('headers', () => watch.heard());
    }
    if (body instanceof Readable) body.once('error', (error) => this.abort(error)).pipe(this.stream);
    else if (body !== undefined) this.stream.end(body);
  }

  /** RST_STREAM: the session and its other streams go on. */
  abort(reason: Error): void {
    if (this.end !== undefined) return;
    this.end = 'given up';
    this.cancel();
    this.sink.onError(reason);
  }

  pause(): void {
    this.stream?.pause();
  }

  resume(): void {
    this.stream?.resume();
  }

  private onResponse(status: number, headers: AnswerHeaders): void {
    if (this.end !== undefined) return;
    this.request.watch?.heard();
    this.hasHead = true;
    const length = headers['content-length'];
    if (length !== undefined && this.request.method !== 'HEAD' && status !== 304) this.expected = Number(length);
    this.sink.onHead(status, STATUS_CODES[status] ?? '', headers);
  }

  private onData(chunk: Buffer): void {
    if (this.end !== undefined) return;
    this.request.watch?.heard();
    this.length += chunk.length;
    this.sink.onData(chunk);
  }

  private onEnd(): void {
    // Node ends a stream that was reset like any other. What tells is its length, or, where that is not known, the reset.
    const isWhole = this.expected === undefined ? !this.stream!.rstCode : this.length === this.expected;
    if (this.end !== undefined || !this.hasHead || !isWhole) return;
    this.end = 'answered';
    this.request.watch?.end();
    // Answered before all of it was sent: the rest is nobody's, and would keep the stream open.
    if (this.request.body instanceof Readable && !this.stream!.writableEnded) this.cancel();
    this.sink.onEnd(this.trailers);
  }

  private closed(): void {
    const { body } = this.request;
    if (body instanceof Readable) body.destroy();
    if (this.end === undefined) {
      this.end = 'failed';
      this.sink.onError(this.failure());
    }
    this.onClose(this.end);
  }

  private failure(): Error {
    const { id, rstCode } = this.stream!;
    const isBeyond = id === undefined || id > this.lastLookedAt();
    const isUnprocessed = !this.hasHead && (isBeyond || rstCode === constants.NGHTTP2_REFUSED_STREAM);
    const message = this.error?.message ?? 'the server closed the stream';
    const code = codeOfReset(rstCode, !this.session.closed && !this.session.destroyed);
    return isUnprocessed ? new UnprocessedError(message, code) : codedError(message, code);
  }

  private failSoon(error: Error): void {
    queueMicrotask(() => {
      if (this.end === undefined) {
        this.end = 'failed';
        this.sink.onError(error);
      }
      this.onClose(this.end);
    });
  }

  private cancel(): void {
    const { stream } = this;
    if (stream === undefined || stream.destroyed) return;
    stream.close(constants.NGHTTP2_CANCEL);
    // What has come and is not read would hold it open.
    stream.destroy();
  }
}
