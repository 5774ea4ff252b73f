import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import axios, { AxiosError, type AxiosAdapter, type AxiosInstance, type AxiosResponse, isCancel } from 'axios';
import { listenToAbort } from '../core/abort-listening.js';
import { HttpError, type HttpErrorKind, requestIdOf } from './http-error.js';
import { type HttpSettings, textOf } from './http-settings.js';
import { agentFor, transportFor } from './socket-agent.js';

/** How long a polite close waits for the server's side of it before the socket is torn down. */
const LINGER_MS = 500;

type RequestConfig = Parameters<AxiosAdapter>[0];

/**
 * One real socket to an upstream, with an axios instance that sends everything over it.
 *
 * The instance is hardened: no redirects, no absolute URLs, no proxy from the environment, answers and requests capped, a
 * deadline over the whole of a request, and {@link HttpError} in place of axios' own errors.
 *
 * @publicApi
 */
export class HttpConnection {
  /** Where it goes, as given to the pool. */
  readonly baseURL: string;
  /** Sends over this connection. Requests made at the same time go one after the other. */
  readonly client: AxiosInstance;
  private readonly socket: Socket;
  readonly #secrets: readonly string[];
  private inFlight = 0;

  /** @internal */
  constructor(
    socket: Socket,
    settings: HttpSettings,
    private readonly onSpent: (error: Error) => void,
  ) {
    this.socket = socket;
    // A key stands alone in a header, or behind a word such as `Bearer`.
    this.#secrets = Object.values(settings.headers).flatMap((value) => [value, ...value.split(' ')]);
    this.baseURL = textOf(settings.base);
    const isSecure = settings.base.protocol === 'https:';
    const agent = agentFor(socket, isSecure);
    this.client = axios.create({
      baseURL: this.baseURL,
      headers: { ...settings.headers },
      timeout: settings.requestTimeoutMs,
      adapter: this.guarded(axios.getAdapter('http')),
      httpAgent: agent,
      httpsAgent: agent,
      transport: transportFor(isSecure),
      maxRedirects: 0,
      allowAbsoluteUrls: false,
      proxy: false,
      maxContentLength: settings.maxResponseBytes,
      maxBodyLength: settings.maxRequestBytes,
    });
    // Whatever fails outside of the adapter (a body that is no JSON, a cancelled config) leaves as our error too.
    this.client.interceptors.response.use(undefined, (error: unknown) => Promise.reject(this.plainError(error)));
  }

  /** Whether the socket can carry another request: open at both ends and with none on it. No I/O. */
  get isReady(): boolean {
    const { socket } = this;
    return this.inFlight === 0 && !socket.destroyed && socket.writable && !socket.readableEnded;
  }

  /** Tells the pool that nobody else must get this connection. @internal */
  spoil(reason: string): void {
    this.onSpent(new Error(reason));
  }

  /** Asks the server for a sign of life: any answer but a server error is one, for the connection works. @internal */
  async check(method: string, path: string, signal: AbortSignal): Promise<boolean> {
    const { status } = await this.client.request<unknown>({ method, url: path, signal, validateStatus: () => true });
    // 501: the server does not do the method that it was asked by, and says so over a connection that works.
    return status < 500 || status === 501;
  }

  /** Takes what this connection's headers hold out of a text that the server wrote: some quote the key. @internal */
  redact(text: string): string {
    const masked = text.replaceAll(KEY_LIKE, '***');
    return this.#secrets.filter(isSecret).reduce((clean, secret) => clean.replaceAll(secret, '***'), masked);
  }

  /** Closes the socket and resolves when it is closed, at the server's side too where the server is polite. @internal */
  close(): Promise<void> {
    const { socket } = this;
    if (socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const linger = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => {
        clearTimeout(linger);
        resolve();
      });
      if (this.inFlight > 0 || socket.destroyed) socket.destroy();
      else socket.end().resume();
    });
  }

  /** Without headers: they hold keys. */
  [inspect.custom](): string {
    return `HttpConnection ${this.baseURL}`;
  }

  toJSON(): object {
    return { baseURL: this.baseURL };
  }

  private guarded(send: AxiosAdapter): AxiosAdapter {
    return async (config) => {
      const guard = new RequestGuard(config);
      this.inFlight += 1;
      try {
        const response = await send({ ...config, signal: guard.signal, timeout: 0 });
        // The server closes after this answer; whoever comes next must not write into that.
        if (response.request?.shouldKeepAlive === false) this.spoil('the server closes the connection');
        this.whenRead(response, guard);
        return response;
      } catch (error) {
        this.settled(guard);
        throw this.plainError(error, config, guard);
      }
    };
  }

  /** The request is over when its body is: at once, or when a streamed one has ended. */
  private whenRead(response: AxiosResponse<unknown>, guard: RequestGuard): void {
    const { data, config } = response;
    if (config.responseType !== 'stream') return this.settled(guard);
    (data as NodeJS.ReadableStream).once('close', () => this.settled(guard));
  }

  private settled(guard: RequestGuard): void {
    this.inFlight -= 1;
    guard.disarm();
  }

  /** Our error for any of axios': new, with nothing in it that points back to the request. */
  private plainError(error: unknown, config?: RequestConfig, guard?: RequestGuard): unknown {
    if (!(error instanceof AxiosError) && !isCancel(error)) return error;
    const { response, code } = error as AxiosError;
    const asked = config ?? (error as AxiosError).config;
    const status = response?.status;
    const kind = guard?.verdict ?? kindOf(error as AxiosError);
    return new HttpError({
      kind,
      code: CODES[kind] ?? code ?? 'ECONNRESET',
      method: (asked?.method ?? 'get').toUpperCase(),
      url: this.urlOf(asked?.url),
      status: kind === 'status' ? status : undefined,
      requestId: requestIdOf(response?.headers),
      cause: kind === 'aborted' ? asked?.signal && (asked.signal as AbortSignal).reason : undefined,
    });
  }

  private urlOf(url = ''): string {
    const [path = ''] = url.split(/[?#]/, 1);
    return path === '' ? this.baseURL : `${this.baseURL}/${path.replace(/^\/+/, '')}`;
  }
}

/** Keys as the large providers write them; they quote them in part, which no comparison with the whole would find. */
const KEY_LIKE = /\b(?:sk|pk)-[\w*.-]{4,}/g;

/** Short header values are words like `Bearer` or `json`, and would only riddle a message with holes. */
function isSecret(value: string): boolean {
  return value.length >= 8;
}

const CODES: Partial<Record<HttpErrorKind, string>> = {
  timeout: 'HTTP_TIMEOUT',
  aborted: 'HTTP_ABORTED',
  status: 'HTTP_STATUS',
};

function kindOf(error: AxiosError): HttpErrorKind {
  if (isCancel(error)) return 'aborted';
  const { status } = error.response ?? {};
  if (status !== undefined && (status < 200 || status >= 300)) return 'status';
  // axios names a size limit, a body that is no JSON and one that breaks off alike; only the last is worth a retry.
  const isRefused = REFUSED_CODES.has(error.code ?? '') && error.message !== 'stream has been aborted';
  return isRefused ? 'response' : 'connection';
}

const REFUSED_CODES = new Set(['ERR_BAD_RESPONSE', 'ERR_BAD_REQUEST', 'ERR_FR_MAX_BODY_LENGTH_EXCEEDED']);

/**
 * One deadline and the caller's signal, made one signal for the request. axios' own `timeout` is about silence: an answer
 * that trickles never ends it.
 */
class RequestGuard {
  verdict: 'timeout' | 'aborted' | undefined;
  private readonly controller = new AbortController();
  private readonly caller: AbortSignal | undefined;
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(config: RequestConfig) {
    const timeoutMs = config.timeout ?? 0;
    this.caller = config.signal as AbortSignal | undefined;
    if (timeoutMs > 0 && timeoutMs < 2 ** 31) this.timer = setTimeout(() => this.end('timeout'), timeoutMs);
    if (this.caller?.aborted) this.end('aborted');
    else if (this.caller !== undefined) listenToAbort(this.caller, this);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  handleEvent(): void {
    this.end('aborted');
  }

  disarm(): void {
    clearTimeout(this.timer);
    this.caller?.removeEventListener('abort', this);
  }

  private end(verdict: 'timeout' | 'aborted'): void {
    this.verdict ??= verdict;
    this.controller.abort();
  }
}
