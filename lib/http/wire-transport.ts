import { Readable, Writable } from 'node:stream';
import type { AnswerHeaders, AnswerSink, Exchange, ExchangeControl } from './exchange.js';

/** What axios asks of `http.request`, as far as it matters for a connection that stands already. */
interface WireOptions {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly auth?: string;
}

/** What axios' own adapter sends requests by, in place of Node's modules. @internal */
export interface WireTransport {
  request(options: WireOptions, onResponse: (response: WireResponse) => void): WireRequest;
}

type Target = (
  path: string,
  headers: Readonly<Record<string, unknown>>,
) => { readonly path: string; readonly headers: readonly string[] };

/** `http.request` over an exchange. @internal */
export function wireTransport(exchange: Exchange, targetOf: Target): WireTransport {
  return {
    request: ({ method, path, headers, auth }, onResponse) => {
      const own = auth ? { ...headers, authorization: basic(auth) } : headers;
      const target = targetOf(path, own);
      return new WireRequest((body, sink) => exchange({ method, ...target, body }, sink), onResponse);
    },
  };
}

function basic(auth: string): string {
  return `Basic ${Buffer.from(auth).toString('base64')}`;
}

/** The sending side: what is written into it is the body. The exchange begins with the first of it, or with the end. */
class WireRequest extends Writable implements AnswerSink {
  private control: ExchangeControl | undefined;
  private body: Readable | undefined;
  private onRoom: (() => void) | undefined;
  private response: WireResponse | undefined;

  constructor(
    private readonly start: (body: Readable | undefined, sink: AnswerSink) => ExchangeControl,
    private readonly onResponse: (response: WireResponse) => void,
  ) {
    // It is not over when all is written, but when the answer is.
    super({ autoDestroy: false });
  }

  /** axios asks for it; the deadline is the connection's own. */
  setTimeout(): this {
    return this;
  }

  override _write(chunk: Buffer, _encoding: string, written: () => void): void {
    this.body ??= this.begin();
    // Answered before all of it was sent: the rest stays where it is. To read it away would never end where it has no end.
    if (this.body.destroyed) return;
    if (this.body.push(chunk)) written();
    else this.onRoom = written;
  }

  override _final(done: () => void): void {
    if (this.body === undefined) this.control = this.start(undefined, this);
    else this.body.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const reason = error ?? new Error('the request was given up');
    this.control?.abort(reason);
    this.response?.destroy(reason);
    this.body?.destroy();
    done(error);
  }

  onHead(status: number, statusText: string, headers: AnswerHeaders): void {
    if (this.destroyed || this.control === undefined) return;
    this.response = new WireResponse(status, statusText, headers, this.control);
    this.onResponse(this.response);
  }

  onData(chunk: Buffer): void {
    if (this.response?.push(chunk) === false) this.control?.pause();
  }

  onEnd(trailers: AnswerHeaders): void {
    this.response?.finish(trailers);
  }

  onError(error: Error): void {
    if (this.response === undefined) this.destroy(error);
    else this.response.destroy(error);
  }

  private begin(): Readable {
    const room = (): void => {
      const { onRoom } = this;
      this.onRoom = undefined;
      onRoom?.();
    };
    const body = new Readable({ read: room });
    // Whoever sends it may destroy it with an error, which comes by `onError` as well.
    body.on('error', () => {}).once('close', room);
    this.body = body;
    this.control = this.start(body, this);
    return body;
  }
}

/** The receiving side: as much of `IncomingMessage` as there is without a socket of its own. */
class WireResponse extends Readable {
  trailers: AnswerHeaders = {};
  complete = false;

  constructor(
    readonly statusCode: number,
    readonly statusMessage: string,
    readonly headers: AnswerHeaders,
    private readonly control: ExchangeControl,
  ) {
    super();
  }

  override _read(): void {
    this.control.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.complete) this.control.abort(error ?? new Error('the answer was given up'));
    // As Node's own: an error that nobody listens for is not thrown at the process.
    process.nextTick(() => done(this.listenerCount('error') === 0 ? null : error));
  }

  finish(trailers: AnswerHeaders): void {
    this.trailers = trailers;
    this.complete = true;
    this.push(null);
  }
}
