import type { Readable } from 'node:stream';
import { inspect } from 'node:util';
import axios, {
  AxiosError,
  type AxiosAdapter,
  type AxiosInstance,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';
import { AnswerStream } from './answer-stream.js';
import type { SilenceLimits, WatchedAdapter } from './answer-watch.js';
import { describeFailure, isFailure, isOfAxios } from './failure.js';
import { HttpError } from './http-error.js';
import type { HttpLink } from './http-link.js';
import { type HttpSettings, textOf } from './http-settings.js';
import { leanDefaults } from './lean-defaults.js';
import { RequestGuard } from './request-guard.js';

/** The share of its idle limit from which a connection is kept warm: there is time for more than one check after that. */
const COLD = 0.5;

/**
 * One connection to an upstream, with an axios instance that sends everything over it: a socket of its own, or a place on an
 * HTTP/2 session.
 *
 * The instance is hardened: no redirects, no absolute URLs, no proxy but the pool's, answers and requests capped, a
 * deadline over the whole of a request, and {@link HttpError} in place of axios' own errors.
 *
 * @publicApi
 */
export class HttpConnection {
  /** Where it goes, as given to the pool. */
  readonly baseURL: string;
  /** Sends over this connection. Requests made at the same time go one after the other. */
  readonly client: AxiosInstance;
  readonly #link: HttpLink;
  readonly #secrets: readonly string[];
  readonly #maxResponseBytes: number;
  readonly #origin: string;
  private inFlight = 0;

  /** @internal */
  constructor(
    link: HttpLink,
    settings: HttpSettings,
    private readonly broken: (error: Error) => void,
  ) {
    this.#link = link;
    // A key stands alone in a header, or behind a word such as `Bearer`.
    this.#secrets = Object.values(settings.headers).flatMap((value) => [value, ...value.split(' ')]);
    this.#maxResponseBytes = settings.maxResponseBytes;
    this.#origin = settings.base.origin;
    this.baseURL = textOf(settings.base);
    this.client = axios.create({
      baseURL: this.baseURL,
      headers: { ...settings.headers },
      timeout: settings.requestTimeoutMs,
      ...silenceLimits(settings),
      adapter: this.guarded(link.adapter),
      maxRedirects: 0,
      allowAbsoluteUrls: false,
      proxy: false,
      maxContentLength: settings.maxResponseBytes,
      maxBodyLength: settings.maxRequestBytes,
    });
    leanDefaults(this.client);
    // Whatever fails outside of the adapter (a body that is no JSON, a cancelled config) leaves as our error too.
    this.client.interceptors.response.use(undefined, (error: unknown) =>
      Promise.reject(isOfAxios(error) ? this.plainError(error) : error),
    );
  }

  /** Whether it can carry another request: open, with none on it, and not idle for too long. No I/O. */
  get isReady(): boolean {
    return this.inFlight === 0 && this.#link.isReady;
  }

  /** Whether it is open, however long it has been idle. @internal */
  get isOpen(): boolean {
    return this.#link.isOpen;
  }

  /** Whether its server may soon take it for forgotten, and close it. @internal */
  get isGettingCold(): boolean {
    return this.#link.idleMs >= COLD * this.#link.idleLimitMs;
  }

  /** Whether it can be checked without a request to the server's application. @internal */
  get isCheckedFreely(): boolean {
    return this.#link.check !== undefined;
  }

  /** How long it may be idle, at present. @internal */
  get idleLimitMs(): number {
    return this.#link.idleLimitMs;
  }

  /** For how much longer it may be idle. @internal */
  get idleLeftMs(): number {
    return this.#link.idleLimitMs - this.#link.idleMs;
  }

  /** Tells the pool that nobody else must get this connection. @internal */
  spoil(reason: string): void {
    this.broken(new Error(reason));
  }

  /** Asks the server for a sign of life: any answer but a server error is one, for the connection works. @internal */
  async check(method: string, path: string, signal: AbortSignal): Promise<boolean> {
    if (this.#link.check !== undefined) return this.#link.check(signal);
    const { status } = await this.client.request<unknown>({ method, url: path, signal, validateStatus: () => true });
    // 501: the server does not do the method that it was asked by, and says so over a connection that works.
    return status < 500 || status === 501;
  }

  /** Takes what this connection's headers hold out of a text that the server wrote: some quote the key. @internal */
  redact(text: string): string {
    const masked = text.replaceAll(KEY_LIKE, '***');
    return this.#secrets.filter(isSecret).reduce((clean, secret) => clean.replaceAll(secret, '***'), masked);
  }

  /** Resolves when it is closed, at the server's side too where the server is polite. @internal */
  close(): Promise<void> {
    return this.#link.close();
  }

  /** Without headers: they hold keys. */
  [inspect.custom](): string {
    return `HttpConnection ${this.baseURL}`;
  }

  toJSON(): object {
    return { baseURL: this.baseURL };
  }

  private guarded(send: WatchedAdapter): AxiosAdapter {
    return async (config) => {
      const guard = new RequestGuard(config);
      const isStream = config.responseType === 'stream';
      this.inFlight += 1;
      try {
        const own = { ...config, signal: guard.signal, timeout: 0 };
        // The limit of a stream is kept here: what axios fails it with holds the whole request.
        if (isStream) own.maxContentLength = -1;
        if (config.fromOrigin === true) Object.assign(own, { baseURL: this.#origin, allowAbsoluteUrls: false });
        const response = await send(own, guard.watch);
        response.config = config;
        if (isStream) this.stream(response, guard);
        else this.settled(guard);
        return response;
      } catch (error) {
        if (isStream) await drained((error as Partial<AxiosError>).response?.data);
        this.settled(guard);
        const plain = this.plainError(error, config, guard);
        // Else axios looks at it once more, and puts an error of its own in the place of ours.
        config.signal = undefined;
        throw plain;
      }
    };
  }

  /** The request is over when its body is: read to the end, or ended. */
  private stream(response: AxiosResponse, guard: RequestGuard): void {
    const { config } = response;
    const source = response.data as Readable;
    if (source.closed) this.settled(guard);
    else source.once('close', () => this.settled(guard));
    const { maxContentLength = this.#maxResponseBytes } = config;
    response.data = new AnswerStream(
      source,
      maxContentLength < 0 ? Infinity : maxContentLength,
      (error) => this.plainError(error, config, guard) as Error,
      guard.watch,
    );
  }

  private settled(guard: RequestGuard): void {
    this.inFlight -= 1;
    guard.disarm();
  }

  /** Our error for any of axios' or the system's: new, with nothing in it that points back to the request. */
  private plainError(error: unknown, config?: InternalAxiosRequestConfig, guard?: RequestGuard): unknown {
    if (guard?.verdict === undefined && !isFailure(error)) return error;
    const asked = config ?? (error as AxiosError).config;
    return new HttpError({
      ...describeFailure(error, asked, guard),
      method: (asked?.method ?? 'get').toUpperCase(),
      url: this.urlOf(asked),
    });
  }

  private urlOf({ url = '', fromOrigin }: Partial<InternalAxiosRequestConfig> = {}): string {
    const [path = ''] = url.split(/[?#]/, 1);
    const base = fromOrigin === true ? this.#origin : this.baseURL;
    return path === '' ? base : `${base}/${path.replace(/^\/+/, '')}`;
  }
}

/** Only those that limit: what is among the defaults, axios copies for every request. */
function silenceLimits({ headerTimeoutMs, bodyIdleTimeoutMs }: HttpSettings): SilenceLimits {
  return {
    ...(headerTimeoutMs < Infinity && { headerTimeoutMs }),
    ...(bodyIdleTimeoutMs < Infinity && { bodyIdleTimeoutMs }),
  };
}

/** Keys as the large providers write them; they quote them in part, which no comparison with the whole would find. */
const KEY_LIKE = /\b(?:sk|pk)-[\w*.-]{4,}/g;

/** Short header values are words like `Bearer` or `json`, and would only riddle a message with holes. */
function isSecret(value: string): boolean {
  return value.length >= 8;
}

/** Reads away the body of an answer that nobody gets, for an error status; else its connection would be lost with it. */
async function drained(body: unknown): Promise<void> {
  const stream = body as Readable | undefined;
  if (typeof stream?.resume !== 'function' || stream.closed) return;
  await new Promise<void>((resolve) =>
    stream
      .on('error', () => {})
      .once('close', resolve)
      .resume(),
  );
}
