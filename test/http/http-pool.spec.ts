import { inspect } from 'node:util';
import type { PoolOptions } from 'nestjs-pools/core';
import { HttpError, httpPool, type HttpConnection, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { makeCertificate } from '../support/certificate.js';
import { CountingServer, eventually } from '../support/http-server.js';

const SECRET = 'sk-planted-key-4711';
const BODY = 'planted body text';

/** Of a server that gives no hint of how long it keeps idle sockets. */
const WARM = { keepAliveMs: 200, healthCheckIntervalMs: 20, minConnections: 1, maxConnections: 1 };

let transport: 'node' | 'undici' = 'node';
let server: CountingServer;
let pool: HttpPool;

function poolOf(options: Partial<HttpPoolOptions> = {}, extra: Partial<PoolOptions<HttpConnection>> = {}): HttpPool {
  const definition = httpPool({
    baseURL: server.url,
    headers: { authorization: `Bearer ${SECRET}` },
    transport,
    ...options,
  });
  pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits, ...extra });
  return pool;
}

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

afterEach(async () => {
  await pool?.close({ timeoutMs: 0 });
  await server?.stop();
});

describe.each(['node', 'undici'] as const)('with the transport %s', (name) => {
  beforeEach(() => {
    transport = name;
  });

  describe('a pooled HTTP connection', () => {
    it('is a real socket that stands before the first request is made', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      const lease = await poolOf().acquire();
      await eventually(() => server.sockets.size === 1, 'the server sees a socket');
      expect(server.requests).toEqual([]);
      expect(lease.connection.baseURL).toBe(server.url);
      lease.release();
    });

    it('carries every request over its one socket, also when they are made at the same time', async () => {
      server = await CountingServer.start((request, response) => response.end(request.url));
      const texts = await poolOf().use(({ client }) => Promise.all(['/a', '/b', '/c'].map((path) => client.get(path))));
      expect(texts.map((answer) => answer.data)).toEqual(['/a', '/b', '/c']);
      expect(server.accepted).toBe(1);
    });

    it('is one of at most maxConnections at the server, whatever the load', async () => {
      server = await CountingServer.start((_request, response) => setImmediate(() => response.end('ok')));
      poolOf({ maxConnections: 4 });
      await Promise.all(Array.from({ length: 200 }, () => pool.use(({ client }) => client.get('/'))));
      expect(server.requests).toHaveLength(200);
      expect(server.mostSockets).toBeLessThanOrEqual(4);
      expect(server.accepted).toBe(4);
    });

    it('is retired at once when the server closes it while it is idle', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      poolOf();
      await pool.use(({ client }) => client.get('/'));
      for (const socket of server.sockets) socket.end();
      await eventually(() => pool.stats().totalConnections === 0, 'the connection is gone');
      expect(pool.stats().destroyed.broken).toBe(1);
      await pool.use(({ client }) => client.get('/'));
      expect(server.accepted).toBe(2);
    });

    it('is retired when the server closes one that has never carried a request', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      poolOf({ minConnections: 1 });
      await pool.ready();
      await eventually(() => server.sockets.size === 1, 'the server sees it');
      for (const socket of server.sockets) socket.end();
      await eventually(() => pool.stats().destroyed.broken === 1, 'the connection is retired');
      await eventually(() => pool.stats().idleConnections === 1, 'the minimum is restored');
    });

    it('is not used again after an answer with which the server announces to close it', async () => {
      server = await CountingServer.start((_request, response) => response.setHeader('connection', 'close').end('ok'));
      poolOf({ maxConnections: 1 });
      for (let round = 0; round < 20; round += 1) await pool.use(({ client }) => client.get('/'));
      expect(server.accepted).toBe(20);
    });

    it('is destroyed when it comes back with a request on it', async () => {
      server = await CountingServer.start(() => {});
      poolOf();
      const lease = await pool.acquire();
      const abandoned = failure(lease.connection.client.get('/'));
      await eventually(() => server.requests.length === 1, 'the request has arrived');
      lease.release();
      expect(await abandoned).toMatchObject({ kind: 'connection' });
      expect(pool.stats().destroyed.broken).toBe(1);
    });

    it('tells the borrower when it dies under a lease', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      const lease = await poolOf().acquire();
      await eventually(() => server.sockets.size === 1, 'the server sees it');
      for (const socket of server.sockets) socket.destroy();
      await eventually(() => lease.signal.aborted, 'the lease is told');
      expect(lease.signal.reason).toMatchObject({ code: 'POOL_CONNECTION_LOST' });
      lease.release();
      expect(pool.stats().destroyed.broken).toBe(1);
    });

    it('reports a refused connection at once, with the cause', async () => {
      server = await CountingServer.start(() => {});
      poolOf();
      await server.stop();
      const error = await failure(pool.acquire());
      expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code: 'ECONNREFUSED' } });
      expect(error.message).toContain('ECONNREFUSED');
    });

    it('speaks TLS to a server whose authority it was given, and to no other', async () => {
      const { ca, key, cert } = makeCertificate();
      server = await CountingServer.start((_request, response) => response.end('safe'), { key, cert });
      poolOf({ tls: { ca, port: 1, host: 'elsewhere.invalid' } });
      expect((await pool.use(({ client }) => client.get('/'))).data).toBe('safe');
      await pool.close();
      poolOf();
      expect(await failure(pool.acquire())).toMatchObject({ cause: { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' } });
    });
  });

  describe('the background check of an idle connection', () => {
    const answers: [status: number, isAlive: boolean][] = [
      [200, true],
      [404, true],
      [405, true],
      [501, true],
      [500, false],
      [503, false],
    ];
    it.each(answers)('takes status %i for alive: %s', async (status, isAlive) => {
      server = await CountingServer.start((_request, response) => response.writeHead(status).end());
      server.keepAliveTimeout = 0;
      poolOf({ ...WARM, baseURL: `${server.url}/v1` });
      await pool.ready();
      await eventually(() => server.requests.length > 1, 'the check is made');
      expect(server.requests[0]).toBe('HEAD /v1');
      if (isAlive) expect(pool.stats().destroyed.unhealthy).toBe(0);
      else await eventually(() => pool.stats().destroyed.unhealthy > 0, 'the connection is retired');
    });

    it('keeps the connection that it checks, although Node takes an answer to HEAD without a length for its end', async () => {
      server = await CountingServer.start((_request, response) => response.end());
      server.keepAliveTimeout = 0;
      poolOf(WARM);
      await pool.ready();
      await eventually(() => server.requests.length > 4, 'several checks are made');
      expect(server.accepted).toBe(1);
    });

    it('gives a connection up that the server closes after the check', async () => {
      server = await CountingServer.start((_request, response) => response.setHeader('connection', 'close').end());
      poolOf(WARM);
      await pool.ready();
      await eventually(() => server.accepted > 1, 'another one is opened');
      expect(pool.stats().destroyed.unhealthy).toBe(0);
    });

    it('asks the path and with the method that it was told to', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      poolOf({ ...WARM, healthCheck: { method: 'GET', path: '/health' } });
      await pool.ready();
      await eventually(() => server.requests.length > 0, 'the check is made');
      expect(server.requests[0]).toBe('GET /health');
    });
  });

  describe('the client of a connection', () => {
    it('follows no redirect', async () => {
      server = await CountingServer.start((_request, response) =>
        response.writeHead(307, { location: '/elsewhere' }).end(),
      );
      const error = await failure(poolOf().use(({ client }) => client.post('/from', BODY)));
      expect(error).toMatchObject({ kind: 'status', status: 307 });
      expect(server.requests).toEqual(['POST /from']);
    });

    it('stays at its server when it is given an absolute URL', async () => {
      server = await CountingServer.start((_request, response) => response.end('mine'));
      const other = await CountingServer.start((_request, response) => response.end('not mine'));
      try {
        await poolOf().use(({ client }) => client.get(`${other.url}/steal`));
        expect(other.requests).toEqual([]);
      } finally {
        await other.stop();
      }
    });

    it('ends a request at its deadline although the answer keeps trickling', async () => {
      let ticking: NodeJS.Timeout | undefined;
      server = await CountingServer.start((_request, response) => {
        ticking = setInterval(() => response.write('.'), 5);
        response.once('close', () => clearInterval(ticking));
      });
      const error = await failure(poolOf({ requestTimeoutMs: 60 }).use(({ client }) => client.get('/')));
      expect(error).toMatchObject({ kind: 'timeout', code: 'HTTP_TIMEOUT', retryable: true });
      await eventually(() => pool.stats().totalConnections === 0, 'the half-read connection is gone');
    });

    it("ends a request when the caller's signal says so, with the caller's reason", async () => {
      server = await CountingServer.start(() => {});
      const controller = new AbortController();
      const reason = new Error('changed my mind');
      const asking = failure(poolOf().use(({ client }) => client.get('/', { signal: controller.signal })));
      await eventually(() => server.requests.length === 1, 'the request has arrived');
      controller.abort(reason);
      expect(await asking).toMatchObject({ kind: 'aborted', cause: reason, retryable: false });
    });

    it('ends the connection of a request that its caller ended, without calling that a fault', async () => {
      server = await CountingServer.start(() => {});
      const faults: unknown[] = [];
      poolOf().on('hookError', (fault) => faults.push(fault));
      await failure(pool.use(({ client }) => client.get('/', { signal: AbortSignal.abort() })));
      const controller = new AbortController();
      const asking = failure(pool.use(({ client }) => client.get('/', { signal: controller.signal })));
      await eventually(() => server.requests.length === 1, 'the request has arrived');
      controller.abort();
      await asking;
      await eventually(() => pool.stats().totalConnections <= 1, 'its connection is gone');
      expect(faults).toEqual([]);
    });

    it('refuses an answer above its size', async () => {
      server = await CountingServer.start((_request, response) => response.end('x'.repeat(2_000)));
      const error = await failure(poolOf({ maxResponseBytes: 1_000 }).use(({ client }) => client.get('/')));
      expect(error).toMatchObject({ kind: 'response', retryable: false });
      expect(error).toBeInstanceOf(HttpError);
    });

    it('refuses a request above its size', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      const tooMuch = { text: 'x'.repeat(2_000) };
      const error = await failure(poolOf({ maxRequestBytes: 1_000 }).use(({ client }) => client.post('/', tooMuch)));
      expect(error).toMatchObject({ kind: 'response', retryable: false });
    });

    it('takes an answer that breaks off for a lost connection, not for an answer', async () => {
      server = await CountingServer.start((_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half of it', () => response.destroy());
      });
      expect(await failure(poolOf().use(({ client }) => client.get('/')))).toMatchObject({
        kind: 'connection',
        status: undefined,
        retryable: true,
      });
    });

    it('fails with errors that hold the status and the request id, and no header, key, query or body', async () => {
      server = await CountingServer.start((_request, response) =>
        response.writeHead(401, { 'x-request-id': 'req-17' }).end(`{"error":"wrong key ${SECRET}"}`),
      );
      const error = await failure(
        poolOf().use(({ client }) => client.post(`/embeddings?key=${SECRET}`, { text: BODY })),
      );
      expect(error).toMatchObject({ kind: 'status', status: 401, requestId: 'req-17', retryable: false });
      expect(error.message).toBe(`POST ${server.url}/embeddings failed: status 401`);
      const views = [
        error.message,
        error.stack,
        JSON.stringify(error),
        inspect(error, { depth: Infinity, showHidden: true }),
      ];
      for (const view of [...views, inspect(Object.assign({}, error), { depth: Infinity })]) {
        expect(view).not.toContain(SECRET);
        expect(view).not.toContain(BODY);
      }
    });

    it('shows no key when a pool, a definition or a connection is printed', async () => {
      server = await CountingServer.start((_request, response) => response.end('ok'));
      const definition = httpPool({ baseURL: server.url, headers: { authorization: SECRET } });
      const lease = await poolOf().acquire();
      const views = [
        inspect(pool, { depth: Infinity }),
        inspect(definition, { depth: Infinity }),
        definition.describe(),
      ];
      for (const view of [...views, inspect(lease.connection, { depth: Infinity }), JSON.stringify(lease.connection)]) {
        expect(view).not.toContain(SECRET);
      }
      lease.release();
    });
  });
});

describe('the options of httpPool', () => {
  const wrong: [string, Record<string, unknown>, string][] = [
    ['a missing base URL', { baseURL: undefined }, 'baseURL: expected a URL'],
    ['another protocol', { baseURL: 'ftp://host/' }, 'baseURL: expected a URL'],
    ['a password in the URL', { baseURL: `http://user:${SECRET}@host/` }, 'baseURL: must hold no user or password'],
    ['a query in the URL', { baseURL: `http://host/?key=${SECRET}` }, 'baseURL: must hold no query'],
    ['a slip of the keyboard', { baseUrl: 'http://host' }, 'baseUrl: no such option (did you mean baseURL?)'],
    ['another transport', { transport: 'fetch' }, "transport: expected 'node' or 'undici'"],
    ['another protocol of HTTP', { protocol: 'h3' }, "protocol: expected 'http/1.1' or 'h2'"],
    ['a replay that is none', { replay: true }, "replay: expected 'idempotent' or 'always' or 'never'"],
    ['no time to be idle', { keepAliveMs: 0 }, 'keepAliveMs: expected a number of milliseconds above 0'],
    [
      'undici with HTTP/2',
      { transport: 'undici', protocol: 'h2' },
      "transport: must not be 'undici' with protocol 'h2'",
    ],
    ['a wrong limit of HTTP/2', { h2: { maxSessions: 0 } }, 'h2.maxSessions: expected a whole number from 1'],
    ['an unknown key', { timeout: 5 }, 'timeout: no such option'],
    ['a header that is no text', { headers: { key: 5 } }, 'headers.key: expected a text'],
    ['a header with a line break', { headers: { key: `${SECRET}\n` } }, 'headers.key: must not hold line breaks'],
    ['a misspelt check', { healthCheck: { url: '/' } }, 'healthCheck.url: no such option'],
    ['a size that is none', { maxResponseBytes: '1' }, 'maxResponseBytes: expected a number above 0'],
    ['a wrong limit', { maxConnections: 0 }, 'maxConnections: expected a whole number from 1'],
  ];
  it.each(wrong)('refuses %s by its name, without its value', (_what, options, message) => {
    const make = (): unknown => httpPool({ baseURL: 'http://host', ...options } as HttpPoolOptions);
    expect(make).toThrow(message);
    expect(make).not.toThrow(SECRET);
  });
});
