import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { type HttpError, type HttpPool, httpPool, type HttpPoolOptions, isHttpError } from 'nestjs-pools/http';
import { CountingServer, eventually } from '../support/http-server.js';
import { answerOf, type ScriptedRequest, ScriptedServer } from './scripted-server.js';

const SECRET = 'sk-planted-key-4711';

let pool: HttpPool;
let server: { stop(): Promise<void> };

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

describe.each(['node', 'undici'] as const)('an exchange over %s', (transport) => {
  function poolAt(baseURL: string, options: Partial<HttpPoolOptions> = {}): HttpPool {
    const headers = { authorization: `Bearer ${SECRET}` };
    const definition = httpPool({ baseURL, headers, transport, maxConnections: 1, ...options });
    return (pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits }));
  }

  async function scripted(answer: (request: ScriptedRequest) => void): Promise<ScriptedServer> {
    return (server = await ScriptedServer.start(answer)) as ScriptedServer;
  }

  async function real(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<CountingServer> {
    return (server = await CountingServer.start(answer)) as CountingServer;
  }

  /** Whether the connection that was used goes on to serve the next borrower. */
  async function isKept(): Promise<boolean> {
    const { created } = pool.stats();
    await pool.use(({ client }) => client.get('/next'));
    return pool.stats().created === created;
  }

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  describe('with a streamed answer', () => {
    const stream = { responseType: 'stream' } as const;

    it('is over when the stream has been read, and its connection is kept', async () => {
      const { url } = await real((_request, response) => {
        response.write('one ');
        setImmediate(() => response.end('two'));
      });
      const text = await poolAt(url).use(async ({ client }) => textOf((await client.get<Readable>('/', stream)).data));
      expect(text).toBe('one two');
      expect(await isKept()).toBe(true);
    });

    it('has the connection to itself until then', async () => {
      const { url } = await real((request, response) => response.end(request.url!.repeat(50_000)));
      const lease = await poolAt(url).acquire();
      const { client } = lease.connection;
      const first = await client.get<Readable>('/a', stream);
      const second = client.get<string>('/b');
      expect((await textOf(first.data)).length).toBe(100_000);
      expect((await second).data.length).toBe(100_000);
      lease.release();
      expect(await isKept()).toBe(true);
    });

    it('is ended with its connection when the borrower leaves it unread', async () => {
      const { url } = await real((_request, response) => response.end('x'.repeat(2_000_000)));
      await poolAt(url).use(({ client }) => client.get('/', stream));
      expect(pool.stats().destroyed.broken).toBe(1);
      expect(await isKept()).toBe(false);
    });

    it('is ended with its connection when the borrower destroys it half read', async () => {
      const started = await real((_request, response) => response.write('half'));
      await poolAt(started.url).use(async ({ client }, lease) => {
        const { data } = await client.get<Readable>('/', stream);
        await once(data, 'data');
        data.destroy();
        await eventually(() => lease.signal.aborted, 'the lease is told');
      });
      await eventually(() => started.sockets.size === 0, 'the server sees it');
    });

    it('fails at its deadline, and at its size, with errors that hold nothing of the request', async () => {
      const { url } = await real((request, response) => {
        response.write('x'.repeat(2_000));
        if (request.url === '/whole') response.end();
      });
      poolAt(url, { maxResponseBytes: 1_000, requestTimeoutMs: 100 });
      const read = (path: string, options = {}): Promise<HttpError> =>
        failure(
          pool.use(async ({ client }) =>
            textOf((await client.post<Readable>(path, { text: SECRET }, { ...stream, ...options })).data),
          ),
        );
      const tooLate = await read('/slow', { maxContentLength: -1 });
      expect(tooLate).toMatchObject({ kind: 'timeout', code: 'HTTP_TIMEOUT' });
      const tooLarge = await read('/whole');
      expect(tooLarge).toMatchObject({ kind: 'response', retryable: false });
      for (const error of [tooLate, tooLarge]) {
        expect(isHttpError(error)).toBe(true);
        expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(SECRET);
      }
    });

    it('fails when it breaks off', async () => {
      const { url } = await real((_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => response.destroy());
      });
      const reading = poolAt(url).use(async ({ client }) => textOf((await client.get<Readable>('/', stream)).data));
      expect(await failure(reading)).toMatchObject({ kind: 'connection', retryable: true });
    });

    it('of an error status fails like any other, and its connection is kept', async () => {
      const { url } = await real((request, response) => {
        response.statusCode = request.url === '/no' ? 404 : 200;
        response.end('x'.repeat(300_000));
      });
      const asking = failure(poolAt(url).use(({ client }) => client.get('/no', stream)));
      expect(await asking).toMatchObject({ kind: 'status', status: 404 });
      expect(await isKept()).toBe(true);
    });
  });

  const bodiless: [what: string, method: string, answer: (response: ServerResponse) => void, status: number][] = [
    ['204', 'GET', (response) => response.writeHead(204).end(), 204],
    ['304', 'GET', (response) => response.writeHead(304, { etag: '"1"' }).end(), 304],
    ['HEAD without a length', 'HEAD', (response) => response.end(), 200],
    ['HEAD with a length', 'HEAD', (response) => response.writeHead(200, { 'content-length': '99' }).end(), 200],
    ['100, then 200', 'POST', (response) => (response.writeContinue(), response.end('ok')), 200],
    [
      '103, then 200',
      'GET',
      (response) => (response.writeEarlyHints({ link: '</x>; rel=preload' }), response.end('ok')),
      200,
    ],
  ];
  // undici refuses a 100 that nobody asked for, as it refuses to ask.
  const expected = bodiless.filter(([what]) => transport === 'node' || !what.startsWith('100'));
  it.each(expected)('keeps its connection with %s', async (_what, method, answer, status) => {
    const { url } = await real((request, response) => {
      if (request.url === '/next') response.end('ok');
      else answer(response);
    });
    const ask = poolAt(url).use(({ client }) => client.request({ url: '/', method, validateStatus: () => true }));
    expect((await ask).status).toBe(status);
    expect(await isKept()).toBe(true);
  });

  it('ends with its connection where the server speaks HTTP/1.0', async () => {
    const started = await scripted(({ socket, nth }) => socket.end(`HTTP/1.0 200 OK\r\n\r\nanswer ${nth}`));
    poolAt(started.url);
    expect((await pool.use(({ client }) => client.get('/'))).data).toBe('answer 1');
    expect((await pool.use(({ client }) => client.post('/', 'text'))).data).toBe('answer 2');
    expect([started.accepted, started.mostSockets]).toEqual([2, 1]);
    expect(pool.stats().created).toBe(2);
  });

  it('goes on over a fresh socket within a lease where the server speaks HTTP/1.0', async () => {
    const started = await scripted(({ socket, nth }) => socket.end(`HTTP/1.0 200 OK\r\n\r\nanswer ${nth}`));
    const answers = await poolAt(started.url).use(async ({ client }) => [
      (await client.post('/', 'one')).data,
      (await client.post('/', 'two')).data,
    ]);
    expect(answers).toEqual(['answer 1', 'answer 2']);
    expect(started.mostSockets).toBe(1);
  });

  it('does not lend a connection again on which the rest of a request is still to be written', async () => {
    const started = await scripted(() => {});
    const first = once(started.listener, 'connection') as Promise<[Socket]>;
    poolAt(started.url);
    const asking = pool.use(({ client }) =>
      client.post('/', Readable.from(endless()), { maxBodyLength: Infinity, validateStatus: () => true }),
    );
    const [socket] = await first;
    socket.once('data', () => {
      socket.pause();
      socket.write(answerOf('too large', '', '413 Content Too Large'));
    });
    expect((await asking).status).toBe(413);
    await eventually(() => pool.stats().totalConnections === 0, 'its connection is gone');
  });

  it('has no more than one request on its connection at a time, and each gets its own answer', async () => {
    let open = 0;
    let most = 0;
    const { url } = await real((request, response) => {
      most = Math.max(most, (open += 1));
      setImmediate(() => {
        open -= 1;
        response.end(request.url);
      });
    });
    const paths = Array.from({ length: 20 }, (_none, nth) => `/${nth}`);
    const answers = await poolAt(url).use(({ client }) => Promise.all(paths.map((path) => client.get<string>(path))));
    expect(answers.map(({ data }) => data)).toEqual(paths);
    expect(most).toBe(1);
  });

  it('can be given up while it waits for the one before it, which is not disturbed', async () => {
    let answer: (() => void) | undefined;
    const started = await real((_request, response) => (answer = () => response.end('ok')));
    const controller = new AbortController();
    await poolAt(started.url).use(async ({ client }) => {
      const first = client.get('/first');
      const second = failure(client.get('/second', { signal: controller.signal }));
      const third = failure(client.get('/third', { timeout: 20 }));
      await eventually(() => answer !== undefined, 'the first has arrived');
      controller.abort(new Error('enough'));
      expect(await second).toMatchObject({ kind: 'aborted', cause: new Error('enough') });
      expect(await third).toMatchObject({ kind: 'timeout' });
      answer!();
      expect((await first).data).toBe('ok');
    });
    expect(started.requests).toEqual(['GET /first']);
    expect(pool.stats().idleConnections).toBe(1);
  });

  it('tells in its error how long it took', async () => {
    const { url } = await real(() => {});
    const error = await failure(poolAt(url, { requestTimeoutMs: 50 }).use(({ client }) => client.get('/')));
    expect(error.durationMs).toBeGreaterThanOrEqual(49);
    expect(error.durationMs).toBeLessThan(5_000);
  });
});

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(64 * 1024);
}
