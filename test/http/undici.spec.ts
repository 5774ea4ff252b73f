import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type HttpError, httpPool, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { loadUndici, undiciLoader, undiciTransport } from '../../lib/http/undici-transport.js';
import { CountingServer, eventually } from '../support/http-server.js';

let cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});

function poolOf(options: HttpPoolOptions): HttpPool {
  const definition = httpPool({ transport: 'undici', ...options });
  const pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits });
  cleanups.push(() => pool.close({ timeoutMs: 0 }));
  return pool;
}

async function serve(...args: Parameters<typeof CountingServer.start>): Promise<CountingServer> {
  const server = await CountingServer.start(...args);
  cleanups.push(() => server.stop());
  return server;
}

/** A server that answers each request as it is told to, byte by byte. */
async function rawServer(answer: (socket: Socket, request: string) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.on('data', (chunk) => answer(socket, chunk.toString('latin1')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('the transport by undici', () => {
  it('says what to do when undici is not installed', async () => {
    const missing = Object.assign(new Error("Cannot find package 'undici'"), { code: 'ERR_MODULE_NOT_FOUND' });
    let isInstalled = false;
    const load = undiciLoader(() => (isInstalled ? import('undici') : Promise.reject(missing)));
    const error = await failure(load());
    expect(error).toMatchObject({ code: 'ERR_UNDICI_MISSING', retryable: false, cause: missing });
    expect(error.message).toContain('npm install undici@7');
    isInstalled = true;
    expect(await load()).toHaveProperty('Client');
  });

  const kept: [what: string, ask: (client: Client) => Promise<unknown>][] = [
    ['HEAD', (client) => client.head('/')],
    ['DELETE with a body', (client) => client.delete('/', { data: { a: 1 } })],
    ['GET with a body', (client) => client.get('/', { data: { a: 1 } })],
    ['an answer without a length', (client) => client.get('/')],
    ['a request that fails by its status', (client) => failure(client.get('/missing'))],
    ['a request that is refused before it is sent', (client) => failure(client.post('/', 'x', { maxBodyLength: 0 }))],
    ['a request with a host of its own', (client) => client.get('/', { headers: { host: 'virtual.example' } })],
  ];
  it.each(kept)('keeps its connection after %s', async (_what, ask) => {
    const server = await serve((request, response) => {
      response.writeHead(request.url === '/missing' ? 404 : 200).end(request.method === 'HEAD' ? undefined : 'ok');
    });
    const pool = poolOf({ baseURL: server.url, maxConnections: 1 });
    for (let round = 0; round < 3; round += 1) await pool.use(({ client }) => ask(client));
    expect(server.accepted).toBe(1);
    expect(pool.stats().destroyed.broken).toBe(0);
  });

  it('ends its connection when the request says so', async () => {
    const server = await serve((_request, response) => response.end('ok'));
    const pool = poolOf({ baseURL: server.url, maxConnections: 1 });
    const headers = { connection: 'close' };
    for (let round = 0; round < 3; round += 1) await pool.use(({ client }) => client.get('/', { headers }));
    expect(server.accepted).toBe(3);
  });

  it('does not give up a connection by itself, whatever the server says of keeping it', async () => {
    const url = await rawServer((socket) => {
      socket.write(`${OK}connection: keep-alive\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok`);
    });
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    const { adapter } = undiciTransport(await loadUndici(), socket, new URL(url));
    const { default: axios } = await import('axios');
    const client = axios.create({ baseURL: url, adapter, allowAbsoluteUrls: false });
    expect((await client.get('/')).data).toBe('ok');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect((await client.get('/')).data).toBe('ok');
    socket.destroy();
    const error = await failure(client.get('/'));
    expect(error.code).toBe('ECONNRESET');
  });

  it('takes early hints for what they are', async () => {
    const url = await rawServer((socket) => {
      socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n${OK}content-length: 2\r\n\r\nok`);
    });
    const answer = await poolOf({ baseURL: url }).use(({ client }) => client.get<string>('/'));
    expect(answer).toMatchObject({ status: 200, data: 'ok' });
    expect(answer.headers).not.toHaveProperty('link');
  });

  it('asks a forwarding proxy for the whole URL, with what the proxy wants to be told', async () => {
    const requests: string[] = [];
    const url = await rawServer((socket, request) => {
      requests.push(request);
      socket.write(`${OK}content-length: 2\r\n\r\nok`);
    });
    const proxy = url.replace('//', '//me:secret@');
    const pool = poolOf({ baseURL: 'http://api.example/v1', proxy });
    expect((await pool.use(({ client }) => client.get<string>('/a?b=c'))).data).toBe('ok');
    expect(requests[0]).toContain('GET http://api.example/v1/a?b=c HTTP/1.1');
    expect(requests[0]).toMatch(/^host: api\.example\r$/im);
    expect(requests[0]).toMatch(/^proxy-authorization: Basic /im);
  });

  it('holds the process as long as a request is on its way, and no longer', async () => {
    const server = await serve((request, response) => {
      if (request.url !== '/hang') response.end('ok');
    });
    const pool = poolOf({ baseURL: server.url, maxConnections: 1 });
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    await pool.use(({ client }) => client.get('/'));
    await eventually(() => sockets() === 1, 'only the server holds the process');
    const asking = failure(pool.use(({ client }) => client.get('/hang', { timeout: 50 })));
    await eventually(() => sockets() === 2, 'the request holds it too');
    await asking;
  });
});

describe('a request by undici fails as one by Node’s own client does', () => {
  const answers: [what: string, answer: (socket: Socket) => unknown][] = [
    ['when its connection is closed without an answer', (socket) => socket.end()],
    ['when its connection is reset without an answer', (socket) => socket.resetAndDestroy()],
    ['when its connection is closed within the head', (socket) => socket.end(`${OK}content-le`)],
    [
      'when its connection is closed within a body of a known length',
      (socket) => socket.end(`${OK}content-length: 100\r\n\r\nhalf`),
    ],
    [
      'when its connection is closed within the last body that it carries',
      (socket) => socket.end(`${OK}connection: close\r\ncontent-length: 100\r\n\r\nhalf`),
    ],
    [
      'when its connection is closed within a body in pieces',
      (socket) => socket.end(`${OK}transfer-encoding: chunked\r\n\r\n5\r\nhalf`),
    ],
    [
      'when its connection is reset within a body',
      (socket) => socket.write(`${OK}content-length: 100\r\n\r\nhalf`, () => socket.resetAndDestroy()),
    ],
    ['when the answer is none', (socket) => socket.end('SMTP ready\r\n')],
    ['when the head is too long', (socket) => socket.end(`${OK}x: ${'y'.repeat(20_000)}\r\n\r\n`)],
    ['when the answer is a refusal', (socket) => socket.write('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n')],
    [
      'when the answer is encoded badly',
      (socket) => socket.write(`${OK}content-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone`),
    ],
  ];
  it.each(answers)('%s', async (_what, answer) => {
    const url = await rawServer((socket) => answer(socket));
    const told = await Promise.all(
      (['node', 'undici'] as const).map(async (transport) => {
        const pool = poolOf({ baseURL: url, transport });
        const { name, kind, code, status, retryable, message } = await failure(
          pool.use(({ client }) => client.post('/', { a: 1 })),
        );
        const streamed = await pool
          .use(async ({ client }) => {
            const { data } = await client.get<Readable>('/', { responseType: 'stream', replay: false });
            return await text(data);
          })
          .catch((error: HttpError) => ({ kind: error.kind, code: error.code, status: error.status }));
        return { name, kind, code, status, retryable, message, streamed };
      }),
    );
    expect(told[1]).toEqual(told[0]);
  });
});

type Client = Parameters<Parameters<HttpPool['use']>[0]>[0]['client'];
