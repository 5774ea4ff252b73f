import axios, {
  Axios,
  type AxiosAdapter,
  AxiosError,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
} from 'axios';
import type { AnswerWatch, WatchedAdapter } from './answer-watch.js';
import { CollectedAnswer } from './collected-answer.js';
import type { Exchange } from './exchange.js';
import { wireTransport, type WireTransport } from './wire-transport.js';

/** What the exchanges of one connection have in common. @internal */
export interface ExchangeSurroundings {
  /** What the request target begins with: empty, or an origin where a proxy forwards. */
  readonly targetPrefix?: string;
  /** Sent with every request, unless it has its own: `host`, a proxy's authorization. Names in small letters. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * An axios adapter over an exchange, with what a user of axios' own adapter for Node can see.
 *
 * The plain request, a text or bytes sent and a whole answer wanted, takes a short way: it is most of them, and axios' own
 * adapter costs more than the exchange itself. The others (streams, forms, files, progress, rate limits, cancel tokens) go
 * through axios' own adapter, with the exchange in the place of `http.request`; there is one behaviour then, and it is theirs.
 *
 * @internal
 */
export function exchangeAdapter(exchange: Exchange, surroundings: ExchangeSurroundings = {}): WatchedAdapter {
  const { targetPrefix = '', headers = {} } = surroundings;
  const fixed = Object.entries(headers);
  const plain = [...fixed, USER_AGENT, ENCODINGS];
  const plainAndZstd = [...fixed, USER_AGENT, ENCODINGS_AND_ZSTD];
  const pathOf = pathFinder();
  const byAxios = axios.getAdapter('http') as AxiosAdapter;
  const transportOver = (send: Exchange): WireTransport =>
    wireTransport(send, (path, own) => ({ path: targetPrefix + path, headers: wireHeaders(own, fixed) }));
  const transport = transportOver(exchange);

  const sendPlain = (
    config: InternalAxiosRequestConfig,
    watch: AnswerWatch | undefined,
    resolve: (response: AxiosResponse) => void,
    reject: (error: unknown) => void,
  ): void => {
    const body = bytesOf(config.data);
    const { maxBodyLength = -1 } = config;
    if (body !== undefined && maxBodyLength > -1 && body.length > maxBodyLength) {
      const message = 'Request body larger than maxBodyLength limit';
      return reject(new AxiosError(message, AxiosError.ERR_BAD_REQUEST, config));
    }
    const request = {
      method: (config.method ?? 'get').toUpperCase(),
      path: targetPrefix + withParams(pathOf(config.baseURL!, config.url ?? ''), config),
      headers: wireHeaders(
        config.headers,
        config.transitional?.advertiseZstdAcceptEncoding === true ? plainAndZstd : plain,
      ),
      body,
      watch,
    };
    const answer = new CollectedAnswer(config, resolve, reject);
    if (answer.isAwaited) answer.control = exchange(request, answer);
  };

  return (config, watch) => {
    // What throws in there rejects.
    if (isPlain(config)) return new Promise((resolve, reject) => sendPlain(config, watch, resolve, reject));
    // axios hands over nothing of its config: a request that is watched has a transport of its own.
    const own =
      watch === undefined ? transport : transportOver((request, sink) => exchange({ ...request, watch }, sink));
    return sendByAxios(byAxios, config, own);
  };
}

/** Whether nothing is asked for that only axios' own adapter does. */
function isPlain(config: InternalAxiosRequestConfig): boolean {
  const { data, url = '', baseURL } = config;
  return (
    (data === undefined ||
      data === null ||
      typeof data === 'string' ||
      Buffer.isBuffer(data) ||
      data instanceof ArrayBuffer) &&
    config.responseType !== 'stream' &&
    config.onUploadProgress === undefined &&
    config.onDownloadProgress === undefined &&
    config.maxRate === undefined &&
    config.cancelToken === undefined &&
    config.auth === undefined &&
    // Absolute URLs, and what looks like one, have rules of their own.
    baseURL !== undefined &&
    config.allowAbsoluteUrls === false &&
    !/^\s*[a-z][a-z\d+.-]*:/i.test(url)
  );
}

function bytesOf(data: unknown): Buffer | undefined {
  if (typeof data === 'string') return data === '' ? undefined : Buffer.from(data);
  if (data === undefined || data === null) return undefined;
  return Buffer.isBuffer(data) ? data : Buffer.from(data as ArrayBuffer);
}

/** The path below the base URL, remembering the last: one connection is asked for the same few all its life. */
function pathFinder(): (baseURL: string, url: string) => string {
  let last = { baseURL: '', url: '', path: '' };
  return (baseURL, url) => {
    if (last.url === url && last.baseURL === baseURL) return last.path;
    const whole = url === '' ? baseURL : `${baseURL.replace(/\/+$/, '')}/${url.replace(/^\/+/, '')}`;
    const { pathname, search } = new URL(whole);
    last = { baseURL, url, path: pathname + search };
    return last.path;
  };
}

/** Writes parameters as axios does; an instance of its own, so that nobody's global defaults come in. */
const writer = new Axios({});

function withParams(path: string, config: InternalAxiosRequestConfig): string {
  const { params, paramsSerializer } = config;
  if (!params) return path;
  return writer.getUri({ url: path, params, paramsSerializer });
}

const USER_AGENT = ['user-agent', `axios/${axios.VERSION}`] as const;
const ENCODINGS = ['accept-encoding', 'gzip, compress, deflate, br'] as const;
const ENCODINGS_AND_ZSTD = ['accept-encoding', `${ENCODINGS[1]}, zstd`] as const;

/** What must not be in a header's value; axios takes it out rather than fail. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]+/g;
const HAS_NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

type Header = readonly [name: string, value: string];

/** Names and values by turns: the request's own, and the defaults that it does not have. They are not written back to it. */
function wireHeaders(headers: Readonly<Record<string, unknown>>, defaults: readonly Header[]): string[] {
  const wire: string[] = [];
  let withheld: string[] | undefined;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value === undefined || value === null) continue;
    const lower = name.toLowerCase();
    // As axios has it: not sent, and no default in its place either.
    if (value === false) (withheld ??= []).push(lower, '');
    else if (Array.isArray(value)) for (const one of value) wire.push(lower, cleanValue(String(one)));
    else if (!HOPWISE.has(lower)) wire.push(lower, cleanValue(String(value as string)));
  }
  for (const [name, value] of defaults) {
    if (!hasName(wire, name) && (withheld === undefined || !hasName(withheld, name))) wire.push(name, value);
  }
  return wire;
}

/** Not the request's to say: they are about the connection, and the protocol below sees to them. */
const HOPWISE = new Set(['transfer-encoding', 'keep-alive', 'upgrade', 'proxy-connection']);

function hasName(wire: readonly string[], name: string): boolean {
  for (let at = 0; at < wire.length; at += 2) if (wire[at] === name) return true;
  return false;
}

function cleanValue(value: string): string {
  return HAS_NO_VALUE.test(value) ? value.replaceAll(NO_VALUE, '').trim() : value;
}

/** A request that only axios' own adapter can make. The answer has the caller's own config, and nothing of what is below. */
async function sendByAxios(
  send: AxiosAdapter,
  config: InternalAxiosRequestConfig,
  transport: WireTransport,
): Promise<AxiosResponse> {
  const own = { ...config, transport, httpVersion: 1 as const, maxRedirects: 0, proxy: false as const };
  const restore = (response: AxiosResponse): AxiosResponse => {
    response.config = config;
    delete response.request;
    return response;
  };
  try {
    return restore(await send(own));
  } catch (error) {
    if (!(error instanceof AxiosError)) throw error;
    error.config = config;
    delete error.request;
    if (error.response !== undefined) restore(error.response);
    throw error;
  }
}
