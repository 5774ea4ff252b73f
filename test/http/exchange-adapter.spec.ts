import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import * as zlib from 'node:zlib';
import axios, { type AxiosError, type AxiosInstance, type AxiosProgressEvent, type AxiosResponse } from 'axios';
import { loadUndici, undiciTransport } from '../../lib/http/undici-transport.js';
import { eventually } from '../support/http-server.js';

/** What reaches the server, as far as it does not name the socket or the moment. */
interface Seen {
  method: string | undefined;
  url: string | undefined;
  headers: Record<string, unknown>;
  body: string;
}

let server: Server;
let base: string;
let socket: Socket;
let ours: AxiosInstance;
let theirs: AxiosInstance;
let seen: Seen[];
let answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

const DEFAULTS = { maxRedirects: 0, allowAbsoluteUrls: false, proxy: false, maxContentLength: 5_000 } as const;

beforeEach(async () => {
  seen = [];
  answer = (_request, response) => response.end('ok');
  server = createServer((request, response) => {
    void buffer(request).then(
      (body) => {
        const { method, url, headers } = request;
        seen.push({ method, url, headers: { ...headers }, body: body.toString('latin1') });
        answer(request, response, body);
      },
      () => {},
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  const { adapter } = undiciTransport(await loadUndici(), socket, new URL(base));
  ours = axios.create({ ...DEFAULTS, baseURL: base, adapter });
  theirs = axios.create({ ...DEFAULTS, baseURL: base, adapter: 'http' });
});

afterEach(async () => {
  socket.destroy();
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
});

type Ask = (client: AxiosInstance) => Promise<AxiosResponse>;

/** What a caller can see of an answer or of a failure. */
async function outcomeOf(client: AxiosInstance, ask: Ask): Promise<unknown> {
  const plain = async ({ status, statusText, headers, data }: AxiosResponse<unknown>): Promise<unknown> => ({
    status,
    statusText,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'date')),
    data: data instanceof Readable ? await text(data) : data,
  });
  try {
    return await plain(await ask(client));
  } catch (thrown) {
    const { name, code, message, response } = thrown as AxiosError;
    return { name, code, message, response: response && (await plain(response)) };
  }
}

/** Asks by both, and compares what the callers see and what the server saw. */
async function compare(ask: Ask): Promise<{ outcome: Record<string, unknown>; request: Seen | undefined }> {
  const outcome = await outcomeOf(ours, ask);
  const request = seen.pop();
  const expected = await outcomeOf(theirs, ask);
  expect(outcome).toEqual(expected);
  expect(withoutChance(request)).toEqual(withoutChance(seen.pop()));
  return { outcome: outcome as Record<string, unknown>, request };
}

/** Without the boundaries of forms, which are drawn, and without how a stream's end is told, which is free. */
function withoutChance(request: Seen | undefined): unknown {
  if (request === undefined) return undefined;
  const { 'content-length': _length, 'transfer-encoding': _encoding, ...headers } = request.headers;
  const [, boundary = '-'] = /boundary=(.+)/.exec(String(headers['content-type'])) ?? [];
  const isStream = headers['content-type'] === 'application/x-www-form-urlencoded';
  const compared = { ...request, headers: isStream ? headers : request.headers };
  return JSON.parse(JSON.stringify(compared).replaceAll(boundary, 'boundary'));
}

describe('the exchange adapter does what axios’ own does', () => {
  const sent: [what: string, ask: Ask][] = [
    ['an object', (client) => client.post('/a', { text: 'ü', list: [1, null] })],
    ['a text', (client) => client.post('/a', 'plain ü')],
    ['an empty text', (client) => client.post('/a', '')],
    ['nothing', (client) => client.post('/a')],
    ['nothing by GET', (client) => client.get('/a')],
    ['a Buffer', (client) => client.put('/a', Buffer.from([0, 255, 7]))],
    ['an ArrayBuffer', (client) => client.patch('/a', new Uint8Array([1, 2]).buffer)],
    ['a typed array', (client) => client.post('/a', new Float32Array([1.5]))],
    ['URL parameters as a form', (client) => client.post('/a', new URLSearchParams({ a: '1 2', b: 'ü' }))],
    ['an object as a form', (client) => client.postForm('/a', { a: 'x', b: 'y' })],
    ['a form with a file', (client) => client.post('/a', formWithFile())],
    ['a Blob', (client) => client.post('/a', new Blob(['blob'], { type: 'text/x-blob' }))],
    ['a stream', (client) => client.post('/a', Readable.from([Buffer.from('one '), Buffer.from('two')]))],
    [
      'a stream of a known length',
      (client) => client.post('/a', Readable.from([Buffer.from('12345')]), { headers: { 'content-length': '5' } }),
    ],
    ['a body with DELETE', (client) => client.delete('/a', { data: { gone: true } })],
    ['a number where bytes are due', (client) => client.post('/a', 5, { transformRequest: (data: unknown) => data })],
    ['more than it may', (client) => client.post('/a', 'x'.repeat(20), { maxBodyLength: 10 })],
    [
      'a stream of more than it may',
      (client) => client.post('/a', Readable.from([Buffer.alloc(20)]), { maxBodyLength: 10 }),
    ],
  ];
  it.each(sent)('sending %s', async (what, ask) => {
    const { outcome } = await compare(ask);
    if (!/more than|number/.test(what)) expect(outcome).toMatchObject({ status: 200, data: 'ok' });
    if (what === 'a stream of more than it may') return;
    // Whatever it was, the connection is none the worse.
    expect(await outcomeOf(ours, (client) => client.get('/again'))).toMatchObject({ status: 200 });
  });

  const addressed: [what: string, ask: Ask, url: string][] = [
    ['a path', (client) => client.get('/a/b?c=d'), '/v1/a/b?c=d'],
    ['no path', (client) => client.get(''), '/v1'],
    ['a path without a slash', (client) => client.get('a'), '/v1/a'],
    ['letters to be escaped', (client) => client.get('/ü a'), '/v1/%C3%BC%20a'],
    ['a fragment', (client) => client.get('/a#part'), '/v1/a'],
    ['an absolute URL', (client) => client.get('http://elsewhere.invalid/x'), '/v1/http://elsewhere.invalid/x'],
    ['parameters', (client) => client.get('/a', { params: { b: [1, 2], c: { d: 'ü' } } }), ''],
    ['parameters beside a query', (client) => client.get('/a?x=1', { params: { b: '2' } }), '/v1/a?x=1&b=2'],
    [
      'parameters written by hand',
      (client) => client.get('/a', { params: { b: 2 }, paramsSerializer: () => 'by=hand' }),
      '/v1/a?by=hand',
    ],
    ['another base URL', (client) => client.get('/a', { baseURL: base.replace('v1', 'v2') }), '/v2/a'],
  ];
  it.each(addressed)('asking for %s', async (_what, ask, url) => {
    const { request } = await compare(ask);
    if (url !== '') expect(request!.url).toBe(url);
  });

  const headed: [what: string, headers: Record<string, string | string[] | false | number>][] = [
    ['of its own', { 'X-Own': 'a', accept: 'text/plain' }],
    ['in place of the defaults', { 'user-agent': 'me/1', 'ACCEPT-ENCODING': 'identity' }],
    ['withheld', { 'User-Agent': false, Accept: false }],
    ['more than once', { 'x-many': ['a', 'b'] }],
    ['with letters that no header may hold', { 'x-odd': 'a\u0007b\u2028c ü' }],
    ['with a host', { host: 'virtual.example' }],
  ];
  it.each(headed)('sending headers %s', async (_what, headers) => {
    await compare((client) => client.post('/a', { a: 1 }, { headers: headers as Record<string, string> }));
  });

  it('sending a user and a password', async () => {
    const auth = { username: 'me', password: 'pass:wörd' };
    const { request } = await compare((client) => client.get('/a', { auth, headers: { authorization: 'Bearer no' } }));
    expect(request!.headers['authorization']).toBe(`Basic ${Buffer.from('me:pass:wörd').toString('base64')}`);
  });

  const JSON_TEXT = '{"a":[1,"ü"]}';
  const read: [what: string, body: string | Buffer, headers: Record<string, string>, ask: Ask][] = [
    ['JSON', JSON_TEXT, { 'content-type': 'application/json' }, (client) => client.get('/')],
    ['JSON, when asked for JSON', JSON_TEXT, {}, (client) => client.get('/', { responseType: 'json' })],
    ['no JSON, when asked for JSON', '{"a', {}, strictly],
    ['what looks like no JSON', '{"a', {}, (client) => client.get('/')],
    ['nothing', '', {}, (client) => client.get('/')],
    ['a text with a byte order mark', '\uFEFFtext', {}, (client) => client.get('/', { responseType: 'text' })],
    ['bytes', Buffer.from([0, 255]), {}, (client) => client.get('/', { responseType: 'arraybuffer' })],
    ['a stream', 'streamed', {}, (client) => client.get('/', { responseType: 'stream' })],
    [
      'latin letters',
      Buffer.from('ü', 'latin1'),
      {},
      (client) => client.get('/', { responseType: 'text', responseEncoding: 'latin1' }),
    ],
    ['a blob, which is a text', 'text', {}, (client) => client.get('/', { responseType: 'blob' })],
    ['what a transformer makes of it', 'abc', {}, (client) => client.get('/', { transformResponse: upperCase })],
  ];
  it.each(read)('reading %s', async (_what, body, headers, ask) => {
    answer = (_request, response) => response.writeHead(200, { 'x-a': 'b', ...headers }).end(body);
    await compare(ask);
  });

  const LONG = JSON.stringify({ text: 'word '.repeat(300) });
  const encoded: [encoding: string, body: Buffer][] = [
    ['gzip', zlib.gzipSync(LONG)],
    ['x-gzip', zlib.gzipSync(LONG)],
    ['GZIP', zlib.gzipSync(LONG)],
    ['deflate', zlib.deflateSync(LONG)],
    ['br', zlib.brotliCompressSync(LONG)],
    ['zstd', 'zstdCompressSync' in zlib ? (zlib.zstdCompressSync as (text: string) => Buffer)(LONG) : Buffer.from('z')],
    ['unheard-of', Buffer.from('as it is')],
  ];
  describe.each(encoded)('reading an answer encoded by %s', (encoding, body) => {
    beforeEach(() => {
      answer = (_request, response) => response.writeHead(200, { 'content-encoding': encoding }).end(body);
    });

    it.each(['json', 'stream'] as const)('as %s', (responseType) =>
      compare((client) => client.get('/', { responseType })),
    );
    it('as it came', () => compare((client) => client.get('/', { decompress: false, responseType: 'arraybuffer' })));
    it('in answer to HEAD', () => compare((client) => client.head('/')));
  });

  it('reading an encoded answer that was cut short by its server', async () => {
    const half = zlib.gzipSync(Buffer.from(Array.from({ length: 3_000 }, (_, i) => i % 251))).subarray(0, 200);
    answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(half);
    await compare((client) => client.get('/', { responseType: 'arraybuffer' }));
  });

  it('reading an encoded answer that is none', async () => {
    answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('not at all');
    const { outcome } = await compare((client) => client.get('/'));
    expect(outcome['code']).toBe('Z_DATA_ERROR');
  });

  const tooLong: [what: string, headers: Record<string, string>, body: Buffer][] = [
    ['an answer above its size', {}, Buffer.alloc(5_001, 'x')],
    ['a small answer that unfolds above its size', { 'content-encoding': 'gzip' }, zlib.gzipSync('x'.repeat(50_000))],
    ['an encoded answer above its size', { 'content-encoding': 'gzip' }, Buffer.alloc(9_000, 'x')],
  ];
  describe.each(tooLong)('refusing %s', (what, headers, body) => {
    it.each(['json', 'stream'] as const)('as %s', async (responseType) => {
      answer = (_request, response) => response.writeHead(200, headers).end(body);
      if (responseType === 'stream') {
        const { data } = await ours.get<Readable>('/', { responseType });
        await expect(text(data)).rejects.toMatchObject({
          code: what.startsWith('an encoded') ? 'Z_DATA_ERROR' : 'ERR_BAD_RESPONSE',
        });
      } else if (what.startsWith('an encoded')) {
        // axios comes upon the bad bytes first.
        expect(await outcomeOf(ours, (client) => client.get('/'))).toMatchObject({ code: 'ERR_BAD_RESPONSE' });
      } else {
        const { outcome } = await compare((client) => client.get('/'));
        expect(outcome).toMatchObject({ code: 'ERR_BAD_RESPONSE' });
      }
    });
  });

  it('accepts an answer of just its size', async () => {
    answer = (_request, response) => response.end(Buffer.alloc(5_000, 'x'));
    await compare((client) => client.get('/'));
    answer = (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(zlib.gzipSync('x'.repeat(5_000)));
    await compare((client) => client.get('/'));
  });

  it.each([201, 204, 304, 307, 400, 404, 500, 503])('settling an answer of status %i', async (status) => {
    answer = (_request, response) => response.writeHead(status, { location: '/elsewhere' }).end();
    await compare((client) => client.get('/'));
    await compare((client) => client.post('/', { a: 1 }, { responseType: 'stream' }));
    await compare((client) => client.get('/', { validateStatus: () => true }));
    await compare((client) => client.get('/', { validateStatus: null }));
  });

  it('reading headers that come more than once', async () => {
    answer = (_request, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.setHeader('X-Many', ['a', 'b']);
      response.setHeader('ETag', 'one');
      response.end('ok');
    };
    const { outcome } = await compare((client) => client.get('/'));
    expect(outcome['headers']).toMatchObject({ 'set-cookie': ['a=1', 'b=2'], 'x-many': 'a, b' });
  });

  it('reading headers whose names are words of JavaScript', async () => {
    const names = ['normalize', 'constructor', 'set', 'get', '__proto__', 'toString', 'hasOwnProperty'];
    answer = (_request, response) => {
      for (const name of names) response.setHeader(name, 'x');
      response.end('ok');
    };
    const { headers } = await ours.get('/', { transformResponse: [upperCase, upperCase] });
    for (const name of names) expect((headers as { get(name: string): unknown }).get(name)).toBe('x');
    const stillHeaders = headers as { set(name: string, value: string): void; get(name: string): unknown };
    stillHeaders.set('X-Later', 'y');
    expect(stillHeaders.get('x-later')).toBe('y');
  });

  it('telling of the progress of an upload and of a download', async () => {
    answer = (_request, response) => response.writeHead(200, { 'content-length': 4_000 }).end(Buffer.alloc(4_000, 'x'));
    const up: number[] = [];
    const down: number[] = [];
    const note =
      (list: number[]) =>
      ({ loaded }: AxiosProgressEvent) =>
        list.push(loaded);
    await ours.post('/', 'x'.repeat(100), { onUploadProgress: note(up), onDownloadProgress: note(down) });
    await eventually(() => up.at(-1) === 100 && down.at(-1) === 4_000, 'both are told to the end');
  });

  it('saying how long it took, with the config that was given, and no request of Node’s', async () => {
    for (const responseType of ['json', 'stream'] as const) {
      const response = await ours.get<unknown>('/', { responseType });
      expect(response).toMatchObject({ duration: expect.any(Number), config: { url: '/', responseType } });
      expect(response.request).toBeUndefined();
      expect(response.config).not.toHaveProperty('transport');
      if (responseType === 'stream') await text(response.data as Readable);
    }
  });
});

describe('a request that its caller ends', () => {
  it('is not sent when it was ended before', async () => {
    for (const responseType of ['json', 'stream'] as const) {
      await compare((client) => client.get('/', { signal: AbortSignal.abort(), responseType }));
    }
    expect(seen).toEqual([]);
  });

  it('ends while it waits for an answer', async () => {
    answer = () => {};
    const controller = new AbortController();
    const asking = outcomeOf(ours, (client) => client.get('/', { signal: controller.signal }));
    await eventually(() => seen.length === 1, 'it has arrived');
    controller.abort();
    expect(await asking).toMatchObject({ name: 'CanceledError', code: 'ERR_CANCELED' });
    await eventually(() => socket.destroyed, 'the answer is not waited for');
  });

  it('ends while the answer comes', async () => {
    answer = (_request, response) => response.writeHead(200).write('half');
    const controller = new AbortController();
    const asking = outcomeOf(ours, (client) => client.get('/', { signal: controller.signal }));
    await eventually(() => socket.bytesRead > 0, 'the answer has begun');
    controller.abort();
    expect(await asking).toMatchObject({ code: 'ERR_CANCELED' });
    await eventually(() => socket.destroyed, 'the rest is not waited for');
  });

  it('ends while it is sent as a stream, and the stream with it', async () => {
    const endless = new PassThrough();
    endless.write('begun');
    const controller = new AbortController();
    const asking = outcomeOf(ours, (client) => client.post('/', endless, { signal: controller.signal }));
    await eventually(() => socket.bytesWritten > 0, 'it has begun');
    controller.abort();
    expect(await asking).toMatchObject({ code: 'ERR_CANCELED' });
    await eventually(() => socket.destroyed, 'the connection is gone');
    endless.destroy();
  });

  it('ends while it waits for another one on the same connection, which goes on', async () => {
    const answers: (() => void)[] = [];
    answer = (_request, response) => answers.push(() => response.end('first'));
    const first = ours.get('/first');
    await eventually(() => answers.length === 1, 'the first has arrived');
    const controller = new AbortController();
    const second = outcomeOf(ours, (client) => client.get('/second', { signal: controller.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect(await second).toMatchObject({ code: 'ERR_CANCELED' });
    answers[0]!();
    expect((await first).data).toBe('first');
    answer = (_request, response) => response.end('third');
    expect((await ours.get('/third')).data).toBe('third');
    expect(seen.map(({ url }) => url)).toEqual(['/v1/first', '/v1/third']);
  });

  it('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const counted = new Proxy(signal, {
      get(target, name) {
        if (name === 'addEventListener') listeners += 1;
        if (name === 'removeEventListener') listeners -= 1;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    await ours.get('/', { signal: counted });
    answer = (_request, response) => response.writeHead(500).end();
    await outcomeOf(ours, (client) => client.get('/', { signal: counted }));
    expect(listeners).toBe(0);
  });
});

describe('a streamed answer', () => {
  it('is not read faster than its reader reads it', async () => {
    const total = 20 * 1024 * 1024;
    answer = (_request, response) => void Readable.from(pieces(total)).pipe(response);
    const { data } = await ours.get<Readable>('/', { responseType: 'stream', maxContentLength: -1 });
    let before = -1;
    await eventually(() => {
      const isStill = socket.bytesRead === before && before > 0;
      before = socket.bytesRead;
      return isStill;
    }, 'it stands still');
    expect(socket.bytesRead).toBeLessThan(total / 2);
    let read = 0;
    for await (const chunk of data) read += (chunk as Buffer).length;
    expect(read).toBe(total);
  });

  it('that its reader gives up ends the request', async () => {
    answer = (_request, response) => response.writeHead(200).write('begun');
    const { data } = await ours.get<Readable>('/', { responseType: 'stream', maxContentLength: -1 });
    data.destroy();
    await eventually(() => socket.destroyed, 'the connection is gone');
  });

  it('that breaks off fails for its reader, and for nobody else', async () => {
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => request.socket.destroy());
    };
    const { data } = await ours.get<Readable>('/', { responseType: 'stream' });
    await expect(text(data)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

function strictly(client: AxiosInstance): Promise<AxiosResponse> {
  return client.get('/', { responseType: 'json', transitional: { silentJSONParsing: false } });
}

function upperCase(data: unknown): unknown {
  return typeof data === 'string' ? data.toUpperCase() : data;
}

function formWithFile(): FormData {
  const form = new FormData();
  form.append('a', 'text');
  form.append('file', new Blob(['content']), 'name.txt');
  return form;
}

function* pieces(total: number): Generator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let sent = 0; sent < total; sent += piece.length) yield piece;
}
