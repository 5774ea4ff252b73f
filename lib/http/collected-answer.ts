import { AxiosError, type AxiosResponse, CanceledError, type InternalAxiosRequestConfig } from 'axios';
import { isTooLong, takeDecompressor, tooLong } from './answer-body.js';
import { AnswerBytes } from './answer-bytes.js';
import { answerHeadersOf } from './answer-headers.js';
import type { AnswerHeaders, AnswerSink, ExchangeControl } from './exchange.js';

/**
 * One answer of which the whole is wanted: no stream, one listener on the caller's signal, and a promise that settles once.
 *
 * @internal
 */
export class CollectedAnswer implements AnswerSink {
  control: ExchangeControl | undefined;
  isAwaited = true;
  private status = 0;
  private statusText = '';
  private headers: AnswerHeaders = {};
  private readonly bytes = new AnswerBytes();
  private readonly limit: number;
  /** Of what comes in: where that is compressed, it may be a little longer than what it stands for; the rest is told after. */
  private wireLimit = 0;

  constructor(
    private readonly config: InternalAxiosRequestConfig,
    private readonly resolve: (response: AxiosResponse) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    const { maxContentLength = -1, signal } = config;
    this.limit = maxContentLength > -1 ? maxContentLength : Infinity;
    if (signal === undefined) return;
    if (signal.aborted) this.handleEvent();
    else signal.addEventListener?.('abort', this);
  }

  /** The caller's signal. */
  handleEvent(): void {
    this.giveUp(new CanceledError(undefined, this.config));
  }

  onHead(status: number, statusText: string, headers: AnswerHeaders): void {
    this.status = status;
    this.statusText = statusText;
    this.headers = headers;
    this.wireLimit = headers['content-encoding'] === undefined ? this.limit : this.limit * 1.1 + 1_024;
    this.bytes.announce(headers['content-length'], this.wireLimit);
  }

  onData(chunk: Buffer): void {
    if (!this.isAwaited) return;
    this.bytes.add(chunk);
    if (this.bytes.size > this.wireLimit) this.giveUp(tooLong(this.config));
  }

  onEnd(): void {
    if (!this.isAwaited) return;
    const data = this.bytes.take();
    const decompress = takeDecompressor(this.headers, this.config, this.status);
    const response = this.response();
    if (decompress === undefined || data.length === 0) this.deliver(response, data);
    else void this.decompress(decompress, response, data);
  }

  onError(error: Error): void {
    this.fail(AxiosError.from(error, undefined, this.config, undefined, this.status > 0 ? this.response() : undefined));
  }

  private async decompress(
    decompress: (data: Buffer, limit: number) => Promise<Buffer>,
    response: AxiosResponse,
    compressed: Buffer,
  ): Promise<void> {
    try {
      // zlib takes no limit above what a Buffer can hold.
      this.deliver(response, await decompress(compressed, Math.max(1, Math.min(this.limit, 2 ** 32))));
    } catch (error) {
      // The answer has come in whole: the connection is none the worse for it.
      if (isTooLong(error)) return this.fail(tooLong(this.config));
      this.fail(AxiosError.from(error as Error, undefined, this.config, undefined, response));
    }
  }

  private deliver(response: AxiosResponse, bytes: Buffer): void {
    if (!this.isAwaited) return;
    const { config, status } = this;
    response.data = config.responseType === 'arraybuffer' ? bytes : textOf(bytes, config.responseEncoding);
    const { validateStatus } = config;
    if (status === 0 || !validateStatus || validateStatus(status)) {
      this.settle();
      return this.resolve(response);
    }
    const code = status >= 400 && status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE;
    this.fail(new AxiosError(`Request failed with status code ${status}`, code, config, undefined, response));
  }

  private response(): AxiosResponse {
    const { status, statusText, config } = this;
    return { status, statusText, headers: answerHeadersOf(this.headers), config, data: undefined };
  }

  private giveUp(error: AxiosError): void {
    this.fail(error);
    this.control?.abort(error);
  }

  private fail(error: unknown): void {
    if (!this.isAwaited) return;
    this.settle();
    this.reject(error);
  }

  private settle(): void {
    this.isAwaited = false;
    this.config.signal?.removeEventListener?.('abort', this);
  }
}

function textOf(bytes: Buffer, encoding: string | undefined): string {
  const text = bytes.toString(encoding as BufferEncoding | undefined);
  const isUtf8 = encoding === undefined || encoding === 'utf8';
  return isUtf8 && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
