import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { PoolOptions } from 'nestjs-pools/core';
import { HttpError, httpPool, type HttpConnection, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { makeCertificate } from '../support/certificate.js';
import { CountingServer, eventually as soon } from '../support/http-server.js';
import { CountingH2Server, reply, SilentPath } from './h2-server.js';

let server: CountingH2Server;
let pool: HttpPool;
let cleanups: (() => Promise<unknown>)[] = [];

function poolOf(options: Partial<HttpPoolOptions> = {}, extra: Partial<PoolOptions<HttpConnection>> = {}): HttpPool {
  const definition = httpPool({ baseURL: server.url, protocol: 'h2', ...options });
  pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits, ...extra });
  const made = pool;
  cleanups.push(() => made.close({ timeoutMs: 0 }));
  return made;
}

async function serve(...args: Parameters<typeof CountingH2Server.start>): Promise<CountingH2Server> {
  server = await CountingH2Server.start(...args);
  const started = server;
  cleanups.push(() => started.stop());
  return server;
}

/** As {@link soon}, for what takes a while. */
async function eventually(condition: () => boolean, what: string, ms = 2_000): Promise<void> {
  const end = performance.now() + ms - 2_000;
  while (performance.now() < end && !condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  await soon(condition, what);
}

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

const get = (path = '/'): Promise<string> => pool.use(async ({ client }) => (await client.get<string>(path)).data);
const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

afterEach(async () => {
  // The pool first, then what it talks to.
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});

describe('a session', () => {
  it('is shared by connections that are leased at the same time, and opened once for all of them', async () => {
    await serve((stream) => void setImmediate(() => reply(stream)));
    poolOf({ maxConnections: 20 });
    expect(new Set(await times(200, () => get()))).toEqual(new Set(['ok']));
    expect(server.accepted).toBe(1);
    expect(server.mostStreams).toBeLessThanOrEqual(20);
    expect(pool.stats().totalConnections).toBeGreaterThan(1);
  });

  it('is joined by another one only when it has no place left, and carries no more streams than its server allows', async () => {
    await serve((stream) => void setImmediate(() => reply(stream)), { maxConcurrentStreams: 3 });
    poolOf({ maxConnections: 8, h2: { maxSessions: 5 } });
    const leases = await times(3, () => pool.acquire());
    expect(server.accepted).toBe(1);
    leases.push(...(await times(5, () => pool.acquire())));
    expect(server.accepted).toBe(3);
    for (const lease of leases) lease.release();
    await times(300, () => get());
    expect(server.mostSessions).toBe(3);
    expect(server.mostStreams).toBeLessThanOrEqual(8);
  });

  it('is never one more than maxSessions: requests wait for a stream instead', async () => {
    const open: ServerHttp2Stream[] = [];
    await serve((stream) => void open.push(stream), { maxConcurrentStreams: 2 });
    poolOf({ maxConnections: 7, h2: { maxSessions: 2 } });
    const asking = times(7, () => get());
    await eventually(() => open.length === 4, 'as many as the server allows are on their way');
    while (server.requests.length < 7 || open.length > 0) {
      expect(server.openStreams).toBeLessThanOrEqual(4);
      const stream = open.shift();
      if (stream !== undefined) reply(stream);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await asking).toEqual(Array.from({ length: 7 }, () => 'ok'));
    expect(server.mostSessions).toBe(2);
    expect(server.mostStreams).toBe(4);
  });

  it('lets a request go that is given up while it waits for a stream', async () => {
    const open: ServerHttp2Stream[] = [];
    await serve((stream) => void open.push(stream), { maxConcurrentStreams: 1 });
    poolOf({ maxConnections: 2, h2: { maxSessions: 1 } });
    const first = get('/first');
    await eventually(() => open.length === 1, 'the first is on its way');
    const controller = new AbortController();
    const second = failure(pool.use(({ client }) => client.get('/second', { signal: controller.signal })));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect(await second).toMatchObject({ kind: 'aborted' });
    reply(open[0]!);
    expect(await first).toBe('ok');
    expect(server.paths).toEqual(['/first']);
    expect(pool.stats().destroyed.broken).toBe(0);
  });

  it('follows its server when it changes the number of streams that it allows', async () => {
    const open: ServerHttp2Stream[] = [];
    await serve((stream) => void open.push(stream), { maxConcurrentStreams: 1 });
    poolOf({ maxConnections: 4, h2: { maxSessions: 1 } });
    const asking = times(4, () => get());
    await eventually(() => open.length === 1, 'one is on its way');
    server.sessions[0]!.settings({ maxConcurrentStreams: 3 });
    await eventually(() => open.length === 3, 'two more are');
    server.sessions[0]!.settings({ maxConcurrentStreams: 1 });
    for (const stream of open.splice(0)) reply(stream);
    await eventually(() => open.length === 1, 'the last one is');
    expect(server.mostStreams).toBe(3);
    reply(open[0]!);
    await asking;
  });

  it('closes with the last of its connections', async () => {
    await serve((stream) => reply(stream));
    poolOf();
    await times(5, () => get());
    expect(server.sessions).toHaveLength(1);
    pool.evict();
    await eventually(() => server.sessions.length === 0, 'the session is closed');
    expect(await get()).toBe('ok');
    await pool.close();
    await eventually(() => server.sessions.length === 0, 'so is the other one');
  });

  it('is not kept when whoever wanted it has gone before it was there', async () => {
    // Accepts, and says nothing.
    const silent = createTcpServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => silent.close(resolve)));
    server = { url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` } as CountingH2Server;
    poolOf({ createTimeoutMs: 50 });
    expect(await failure(pool.acquire())).toMatchObject({ code: 'POOL_CREATE_FAILED' });
    await pool.close();
    await eventually(() => {
      let count = -1;
      silent.getConnections((_error, connections) => (count = connections));
      return count <= 0;
    }, 'its socket is closed');
  });

  it('is given up for another one when it is older than maxLifetimeMs', async () => {
    await serve((stream) => reply(stream));
    poolOf({ maxLifetimeMs: 60, maxConnections: 3 });
    await get();
    const until = performance.now() + 400;
    while (performance.now() < until) await get();
    expect(server.accepted).toBeGreaterThan(3);
    expect(server.accepted).toBeLessThan(20);
  });

  it('does not keep an idle process alive, and is refused together with undici', async () => {
    expect(() => httpPool({ baseURL: 'http://host', protocol: 'h2', transport: 'undici' })).toThrow(/transport: /);
    await serve((stream) => reply(stream));
    poolOf();
    await get();
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    await eventually(() => sockets() === 1, 'only the server holds the process');
  });
});

describe('a connection that is a place on a session', () => {
  it('sends one request at a time, the next when the one before is answered', async () => {
    await serve((stream) => void setImmediate(() => reply(stream)));
    await poolOf().use(({ client }) => times(5, () => client.get('/')));
    expect(server.requests).toHaveLength(5);
    expect(server.mostStreams).toBe(1);
  });

  it('survives a request that its caller ends, and so does the session', async () => {
    await serve((stream, headers) => (headers[':path'] === '/hang' ? undefined : reply(stream)));
    poolOf({ maxConnections: 1 });
    await get();
    const controller = new AbortController();
    const asking = failure(pool.use(({ client }) => client.get('/hang', { signal: controller.signal })));
    await eventually(() => server.requests.length === 2, 'it has arrived');
    controller.abort(new Error('changed my mind'));
    expect(await asking).toMatchObject({ kind: 'aborted', cause: { message: 'changed my mind' } });
    await eventually(() => server.resets.includes(constants.NGHTTP2_CANCEL), 'the server is told');
    expect(await get()).toBe('ok');
    expect(server.accepted).toBe(1);
    expect(pool.stats().created).toBe(1);
  });

  it('survives a deadline, when the session gives a sign of life', async () => {
    await serve((stream, headers) => (headers[':path'] === '/hang' ? undefined : reply(stream)));
    poolOf({ maxConnections: 1 });
    await get();
    const asking = pool.use(({ client }) => client.get('/hang', { timeout: 40 }));
    expect(await failure(asking)).toMatchObject({ kind: 'timeout', code: 'HTTP_TIMEOUT' });
    expect(await get()).toBe('ok');
    expect(server.accepted).toBe(1);
  });

  it('is destroyed when it comes back with a request on it, without the session', async () => {
    await serve((stream, headers) => (headers[':path'] === '/hang' ? undefined : reply(stream)));
    poolOf();
    const other = await pool.acquire();
    const lease = await pool.acquire();
    const abandoned = failure(lease.connection.client.get('/hang'));
    await eventually(() => server.requests.length === 1, 'the request has arrived');
    lease.release();
    expect(await abandoned).toMatchObject({ kind: 'connection' });
    await eventually(() => pool.stats().destroyed.broken === 1, 'it is destroyed');
    expect((await other.connection.client.get('/')).data).toBe('ok');
    expect(server.accepted).toBe(1);
    other.release();
  });

  it('dies with its session at once, idle or leased', async () => {
    await serve((stream) => reply(stream));
    poolOf();
    const leased = await pool.acquire();
    const idle = await pool.acquire();
    idle.release();
    server.sessions[0]!.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR);
    await eventually(() => pool.stats().destroyed.broken === 1, 'the idle one is retired');
    await eventually(() => leased.signal.aborted, 'the borrower of the other one is told');
    expect(leased.signal.reason).toMatchObject({ code: 'POOL_CONNECTION_LOST' });
    leased.release();
    expect(await get()).toBe('ok');
    expect(server.accepted).toBe(2);
  });

  it('fails what is on it when its socket dies, and repeats what may be repeated', async () => {
    let isToDie = true;
    await serve((stream, headers) => {
      if (headers[':path'] === '/first' || !isToDie) return reply(stream);
      isToDie = false;
      stream.session!.destroy();
    });
    poolOf({ maxConnections: 1 });
    await get('/first');
    expect(await get('/get')).toBe('ok');
    expect(server.paths).toEqual(['/first', '/get', '/get']);
    isToDie = true;
    expect(await failure(pool.use(({ client }) => client.post('/post', { a: 1 })))).toMatchObject({
      kind: 'connection',
      code: 'ECONNRESET',
      retryable: true,
    });
    await get('/first');
    isToDie = true;
    await pool.use(({ client }) => client.post('/pure', { a: 1 }, { replay: true }));
    expect(server.paths.filter((path) => path === '/pure')).toHaveLength(2);
  });
});

describe('a server that goes away politely', () => {
  it('finishes what is on the session, and gets the next request on another one', async () => {
    const open: ServerHttp2Stream[] = [];
    await serve((stream, headers) => void (headers[':path'] === '/slow' ? open.push(stream) : reply(stream)));
    poolOf();
    const slow = get('/slow');
    await eventually(() => open.length === 1, 'the slow one has arrived');
    server.sessions[0]!.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    server.sessions[0]!.close();
    await eventually(() => pool.stats().totalConnections === 1, 'only the busy one is left');
    expect(await get('/next')).toBe('ok');
    expect(server.accepted).toBe(2);
    reply(open[0]!, 'at last');
    expect(await slow).toBe('at last');
    await eventually(() => server.sessions.length === 1, 'the old session is closed');
  });

  it('does not hurt a borrower between two requests', async () => {
    await serve((stream) => reply(stream));
    const { sessions } = server;
    await poolOf().use(async ({ client }) => {
      await client.post('/one', {});
      sessions[0]!.close();
      await eventually(() => server.sessions.length === 0, 'the session is gone');
      expect((await client.post('/two', {})).data).toBe('ok');
    });
    expect(server.accepted).toBe(2);
  });

  it('does not hurt a borrower with several requests at a time, and leaves no session behind', async () => {
    await serve((stream) => void setImmediate(() => reply(stream)));
    await poolOf().use(async ({ client }) => {
      await client.get('/first');
      const asking = times(5, (index) => client.post(`/${index}`, {}));
      const [old] = server.sessions;
      old!.goaway(constants.NGHTTP2_NO_ERROR, 1);
      for (const { data } of await asking) expect(data).toBe('ok');
      old!.close();
    });
    await pool.close();
    await eventually(() => server.sessions.length === 0, 'all sessions are closed');
  });

  it('has requests repeated that it has not looked at, whatever their method', async () => {
    let isLeaving = true;
    await serve((stream, headers) => {
      if (headers[':path'] === '/first' || !isLeaving) return reply(stream);
      isLeaving = false;
      // It names the stream before this one as the last that it has looked at.
      stream.session!.goaway(constants.NGHTTP2_NO_ERROR, 1);
    });
    poolOf();
    await get('/first');
    expect((await pool.use(({ client }) => client.post('/pay', { cents: 5 }))).data).toBe('ok');
    expect(server.paths).toEqual(['/first', '/pay', '/pay']);
    expect(server.accepted).toBe(2);
  });

  it('has a refused stream repeated once, on another session', async () => {
    let refusals = 1;
    const accepted: unknown[] = [];
    await serve((stream) => {
      accepted.push(stream.session);
      if (refusals-- > 0) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else reply(stream);
    });
    poolOf();
    expect((await pool.use(({ client }) => client.post('/pay', { cents: 5 }))).data).toBe('ok');
    expect(accepted).toHaveLength(2);
    expect(accepted[0]).not.toBe(accepted[1]);
    refusals = 2;
    expect(await failure(pool.use(({ client }) => client.post('/pay', {})))).toMatchObject({
      kind: 'connection',
      code: 'HTTP2_REFUSED_STREAM',
      retryable: true,
    });
  });

  it('does not have a request repeated that it has begun to look at', async () => {
    await serve((stream, headers) => {
      if (headers[':path'] === '/first') reply(stream);
      else stream.destroy(new Error('a bug'));
    });
    poolOf();
    await get('/first');
    expect(await failure(get('/get'))).toMatchObject({ kind: 'connection', code: 'HTTP2_INTERNAL_ERROR' });
    expect(server.paths).toEqual(['/first', '/get']);
    expect(server.accepted).toBe(1);
  });

  it('does not have a stream repeated that was read to be sent', async () => {
    await serve((stream) => void stream.resume().once('end', () => stream.close(constants.NGHTTP2_REFUSED_STREAM)));
    const body = Readable.from([Buffer.from('once')]);
    expect(await failure(poolOf().use(({ client }) => client.post('/', body)))).toMatchObject({
      code: 'HTTP2_REFUSED_STREAM',
    });
    expect(server.requests).toHaveLength(1);
  });

  it('that asks for calm is given it', async () => {
    let isCalm = false;
    await serve((stream) => {
      if (isCalm) return reply(stream);
      isCalm = true;
      stream.session!.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
    poolOf();
    const error = await failure(pool.use(({ client }) => client.post('/', {})));
    expect(error).toMatchObject({ kind: 'connection', code: 'HTTP2_ENHANCE_YOUR_CALM' });
    expect(server.requests).toHaveLength(1);
    const askedAt = performance.now();
    expect(await get()).toBe('ok');
    expect(performance.now() - askedAt).toBeGreaterThan(500);
  });
});

describe('the background check of a session', () => {
  it('is one ping for all connections on it', async () => {
    await serve((stream) => reply(stream));
    poolOf({ healthCheckIntervalMs: 300, minConnections: 5 });
    await pool.ready();
    await eventually(() => server.pings > 0, 'it is pinged', 3_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.pings).toBe(1);
    expect(server.requests).toEqual([]);
    expect(pool.stats().destroyed.unhealthy).toBe(0);
  });

  it('ends a session, and all on it, whose server is silent', async () => {
    await serve((stream) => reply(stream));
    const path = await SilentPath.to(server.port);
    cleanups.push(() => path.stop());
    poolOf({ baseURL: path.url, healthCheckIntervalMs: 400, healthCheckTimeoutMs: 100, maxConnections: 5 });
    await times(5, () => get());
    const { totalConnections } = pool.stats();
    path.isSilent = true;
    await eventually(() => pool.stats().totalConnections === 0, 'all are gone', 4_000);
    const { broken, unhealthy } = pool.stats().destroyed;
    expect(broken + unhealthy).toBe(totalConnections);
    path.isSilent = false;
    expect(await get()).toBe('ok');
  });

  it('is made when a request was given up that the server had not answered with a byte', async () => {
    await serve((stream) => reply(stream));
    const path = await SilentPath.to(server.port);
    cleanups.push(() => path.stop());
    poolOf({ baseURL: path.url, maxConnections: 2 });
    await get();
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    path.isSilent = true;
    expect(await failure(pool.use(({ client }) => client.get('/', { timeout: 50 })))).toMatchObject({
      kind: 'timeout',
    });
    expect(pool.stats().totalConnections).toBe(1);
    await eventually(() => pool.stats().destroyed.broken === 1, 'the session is found dead', 4_000);
  }, 10_000);
});

describe('what goes over a session', () => {
  it('are pseudo headers, the own ones, and none that are about a connection', async () => {
    await serve((stream) => reply(stream));
    poolOf({ headers: { authorization: 'Bearer key' } });
    const headers = {
      'X-Own': 'a',
      connection: 'close',
      'keep-alive': 'timeout=5',
      te: 'gzip',
      host: 'virtual.example',
      cookie: 'a=1; b=2',
    };
    await pool.use(({ client }) => client.post('/path', { a: 'ü' }, { headers, params: { q: 1 } }));
    const [seen] = server.requests;
    expect(seen).toMatchObject({
      ':method': 'POST',
      ':path': '/path?q=1',
      ':scheme': 'http',
      ':authority': 'virtual.example',
      'x-own': 'a',
      authorization: 'Bearer key',
      cookie: 'a=1; b=2',
      'content-type': 'application/json',
      'content-length': '10',
    });
    for (const name of ['connection', 'keep-alive', 'te', 'host']) expect(seen).not.toHaveProperty(name);
  });

  it('are answers of every kind', async () => {
    await serve((stream, headers) => {
      switch (headers[':path']) {
        case '/cookies':
          stream.respond({ ':status': 200, 'set-cookie': ['a=1', 'b=2'], 'x-many': 'c' });
          return stream.end('{"a":1}');
        case '/early':
          stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
          return reply(stream, 'after 103');
        case '/none':
          stream.respond({ ':status': 204 });
          return stream.end();
        case '/zipped':
          stream.respond({ ':status': 200, 'content-encoding': 'gzip' });
          return stream.end(gzipSync('zipped'));
        case '/trailers':
          stream.respond({ ':status': 200 }, { waitForTrailers: true });
          stream.once('wantTrailers', () => stream.sendTrailers({ 'x-sum': '5' }));
          return stream.end('with trailers');
        case '/missing':
          stream.respond({ ':status': 404, 'x-request-id': 'req-17' });
          return stream.end('no');
        default:
          stream.respond({ ':status': 200, 'content-length': '5' });
          return stream.end(headers[':method'] === 'HEAD' ? undefined : 'plain');
      }
    });
    await poolOf().use(async ({ client }) => {
      const cookies = await client.get('/cookies');
      expect(cookies).toMatchObject({ status: 200, statusText: 'OK', data: { a: 1 } });
      expect(cookies.headers['set-cookie']).toEqual(['a=1', 'b=2']);
      expect(Object.keys(cookies.headers).filter((name) => name.startsWith(':'))).toEqual([]);
      expect((await client.get('/early')).data).toBe('after 103');
      expect(await client.get('/none')).toMatchObject({ status: 204, data: '' });
      expect((await client.get('/zipped')).data).toBe('zipped');
      expect((await client.get('/trailers')).data).toBe('with trailers');
      expect((await client.get('/plain')).data).toBe('plain');
      expect(await client.head('/plain')).toMatchObject({ status: 200, data: '' });
      expect(await failure(client.get('/missing'))).toMatchObject({
        kind: 'status',
        status: 404,
        requestId: 'req-17',
      });
    });
    expect(server.accepted).toBe(1);
  });

  it('are streams both ways, with no more held than the reader reads', async () => {
    const total = 24 * 1024 * 1024;
    let sent = 0;
    await serve((stream) => {
      stream.respond({ ':status': 200 });
      const piece = Buffer.alloc(256 * 1024, 'x');
      const pieces = (function* () {
        for (; sent < total; sent += piece.length) yield piece;
      })();
      Readable.from(pieces).pipe(stream);
    });
    poolOf({ maxConnections: 2 });
    await pool.use(async ({ client }) => {
      const { data } = await client.get<Readable>('/', { responseType: 'stream' });
      // Another one is not stopped by it.
      expect((await pool.use((other) => other.client.get('/other', { responseType: 'arraybuffer' }))).status).toBe(200);
      const held = sent;
      expect(held).toBeGreaterThanOrEqual(total);
      let read = 0;
      for await (const chunk of data) read += (chunk as Buffer).length;
      expect(read).toBeGreaterThan(0);
    });
  });

  it('is a body that is a stream, answered with what was sent', async () => {
    await serve((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const body = Readable.from(Array.from({ length: 300 }, (_, index) => Buffer.from(`line ${index}\n`.padEnd(1_000))));
    const { data } = await poolOf().use(({ client }) => client.post<string>('/', body));
    expect(data).toHaveLength(300_000);
    expect(data).toContain('line 299');
  });

  it('does not wait for the end of a body when the answer is there before', async () => {
    await serve((stream) => reply(stream, 'enough'));
    let isDestroyed = false;
    const endless = new Readable({
      read() {
        setImmediate(() => this.push(Buffer.alloc(16 * 1024)));
      },
      destroy: (error, done) => {
        isDestroyed = true;
        done(error);
      },
    });
    poolOf({ maxConnections: 1 });
    const asking = pool.use(({ client }) => client.post('/', endless, { maxBodyLength: -1 }));
    expect((await asking).data).toBe('enough');
    await eventually(() => server.openStreams === 0, 'the stream is closed');
    expect(await get()).toBe('enough');
    endless.destroy();
    expect(isDestroyed).toBe(true);
  });

  it('fails when it breaks off, and is not taken for an answer', async () => {
    await serve((stream, headers) => {
      stream.respond({ ':status': 200, ...(headers[':path'] === '/known' ? { 'content-length': '100' } : {}) });
      stream.write('half of it', () => {
        if (headers[':path'] === '/reset') stream.destroy(new Error('stop'));
        else stream.session!.destroy();
      });
    });
    poolOf();
    for (const path of ['/known', '/unknown', '/reset']) {
      const error = await failure(pool.use(({ client }) => client.get(path)));
      expect(error).toMatchObject({ kind: 'connection', retryable: true });
      expect(error).toBeInstanceOf(HttpError);
    }
    const { data } = await pool.use(({ client }) => client.get<Readable>('/known', { responseType: 'stream' }));
    expect(await failure(text(data))).toMatchObject({ kind: 'connection' });
  });

  it('is refused above its size, at the cost of a stream and not of the session', async () => {
    await serve((stream, headers) => reply(stream, headers[':path'] === '/big' ? 'x'.repeat(2_000) : 'ok'));
    poolOf({ maxResponseBytes: 1_000, maxConnections: 1 });
    expect(await failure(get('/big'))).toMatchObject({ kind: 'response', retryable: false });
    expect(await get('/small')).toBe('ok');
    expect(server.accepted).toBe(1);
  });
});

describe('HTTP/2 over TLS', () => {
  const { ca, key, cert } = makeCertificate();

  it('is agreed on while TLS is set up', async () => {
    await serve((stream) => reply(stream), { tls: { key, cert } });
    poolOf({ tls: { ca } });
    expect(await get()).toBe('ok');
    expect(server.requests[0]).toMatchObject({ ':scheme': 'https' });
    expect(server.sessions[0]!.alpnProtocol).toBe('h2');
  });

  it('fails at once with a server that offers another protocol, or none', async () => {
    const plain = await CountingServer.start((_request, response) => response.end('ok'), { key, cert });
    cleanups.push(() => plain.stop());
    server = { url: plain.url } as CountingH2Server;
    const refused = await failure(poolOf({ tls: { ca } }).acquire());
    expect(refused).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { message: expect.stringContaining('TLS') } });

    const simple = createTlsServer({ key, cert }, (socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => simple.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => simple.close(resolve)));
    server = { url: `https://127.0.0.1:${(simple.address() as AddressInfo).port}` } as CountingH2Server;
    const error = await failure(poolOf({ tls: { ca } }).acquire());
    expect(error).toMatchObject({ code: 'POOL_CREATE_FAILED', cause: { code: 'HTTP2_NOT_OFFERED' } });
    expect(String((error as Error).cause)).toContain("protocol: 'http/1.1'");
  });

  it('fails with a server that speaks HTTP/1.1 without TLS', async () => {
    const plain = await CountingServer.start((_request, response) => response.end('ok'));
    cleanups.push(() => plain.stop());
    server = { url: plain.url } as CountingH2Server;
    expect(await failure(poolOf().acquire())).toMatchObject({
      code: 'POOL_CREATE_FAILED',
      cause: { message: expect.stringContaining('no HTTP/2 session') },
    });
  });
});
