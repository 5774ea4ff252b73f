import { Readable } from 'node:stream';
import type { AxiosInstance } from 'axios';
import { type HttpError, type HttpPool, httpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { eventually } from '../support/http-server.js';
import { answerOf, type ScriptedRequest, ScriptedServer } from './scripted-server.js';

let transport: 'node' | 'undici';
let server: ScriptedServer;
let pool: HttpPool;

async function poolAt(
  answer: (request: ScriptedRequest) => void,
  options: Partial<HttpPoolOptions> = {},
): Promise<HttpPool> {
  server = await ScriptedServer.start(answer);
  const definition = httpPool({ baseURL: server.url, transport, maxConnections: 1, ...options });
  pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits });
  return pool;
}

/** Answers the first request on every socket, and hangs up on the second one of the first socket. */
function hangUpOnReuse({ socket, nth, nthOfSocket }: ScriptedRequest): void {
  if (nthOfSocket === 2 && nth === 2) socket.resetAndDestroy();
  else socket.write(answerOf(`answer ${nth}`));
}

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

describe.each(['node', 'undici'] as const)('a request over %s whose reused socket turns out to be closed', (name) => {
  beforeEach(() => {
    transport = name;
  });

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  const asked: [what: string, ask: (client: AxiosInstance) => Promise<{ data: unknown }>, isReplayed: boolean][] = [
    ['a GET', (client) => client.get('/x'), true],
    ['a PUT', (client) => client.put('/x', 'text'), true],
    ['a DELETE', (client) => client.delete('/x'), true],
    ['a POST', (client) => client.post('/x', 'text'), false],
    ['a PATCH', (client) => client.patch('/x', 'text'), false],
    ['a POST with a key', (client) => client.post('/x', 'text', { headers: { 'Idempotency-Key': '1' } }), true],
    ['a POST that may be sent twice', (client) => client.post('/x', { a: 1 }, { replay: true }), true],
    ['a GET that may not', (client) => client.get('/x', { replay: false }), false],
    ['a PUT of a stream', (client) => client.put('/x', Readable.from(['text']), { replay: true }), false],
  ];
  it.each(asked)('%s: is sent once more over a fresh one, or not', async (_what, ask, isReplayed) => {
    await poolAt(hangUpOnReuse);
    const lost: unknown[] = [];
    pool.on('broken', (event) => lost.push(event));
    await pool.use(async ({ client }, lease) => {
      await client.get('/first');
      if (!isReplayed) {
        expect(await failure(ask(client))).toMatchObject({ kind: 'connection', code: 'ECONNRESET', retryable: true });
        return;
      }
      expect((await ask(client)).data).toBe('answer 3');
      expect(lease.signal.aborted).toBe(false);
    });
    expect(server.accepted).toBe(isReplayed ? 2 : 1);
    expect(server.mostSockets).toBe(1);
    // A connection that went on over another socket is the same one still.
    expect([pool.stats().created, lost.length]).toEqual([1, isReplayed ? 0 : 1]);
    if (isReplayed) {
      expect(server.requests[2]!.body).toBe(server.requests[1]!.body);
      expect((await pool.use(({ client }) => client.get('/y'))).data).toBe('answer 4');
      expect(server.accepted).toBe(2);
    }
  });

  it('is sent once more whatever it is, where the pool says always; never, where it says never', async () => {
    await poolAt(hangUpOnReuse, { replay: 'always' });
    const twice = await pool.use(async ({ client }) => {
      await client.get('/first');
      return client.post('/x', 'text');
    });
    expect(twice.data).toBe('answer 3');
    await pool.close();
    await server.stop();
    await poolAt(hangUpOnReuse, { replay: 'never' });
    await pool.use(async ({ client }) => {
      await client.get('/first');
      expect(await failure(client.get('/x'))).toMatchObject({ kind: 'connection' });
      expect(server.requests).toHaveLength(2);
    });
  });

  it('fails when the fresh socket is closed too: once is enough', async () => {
    await poolAt(({ socket, nth }) => (nth === 1 ? socket.write(answerOf('ok')) : socket.resetAndDestroy()));
    await pool.use(async ({ client }) => {
      await client.get('/first');
      expect(await failure(client.get('/x'))).toMatchObject({ kind: 'connection', code: 'ECONNRESET' });
    });
    expect(server.lines).toEqual(['GET /first', 'GET /x', 'GET /x']);
    await eventually(() => pool.stats().totalConnections === 0, 'the connection is gone');
    expect(pool.stats().destroyed.broken).toBe(1);
  });

  it('is not sent again over a socket that was fresh', async () => {
    await poolAt(({ socket }) => socket.resetAndDestroy());
    expect(await failure(pool.use(({ client }) => client.get('/x')))).toMatchObject({ kind: 'connection' });
    expect(server.requests).toHaveLength(1);
  });

  it('is not sent again when the server has begun to answer', async () => {
    await poolAt(({ socket, nth }) => {
      if (nth === 1) socket.write(answerOf('ok'));
      else socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => socket.resetAndDestroy());
    });
    await pool.use(async ({ client }) => {
      await client.get('/first');
      expect(await failure(client.get('/x'))).toMatchObject({ kind: 'connection', retryable: true });
    });
    expect(server.requests).toHaveLength(2);
  });

  it('has one deadline over both attempts', async () => {
    await poolAt(({ socket, nth }) => {
      if (nth === 1) socket.write(answerOf('ok'));
      if (nth === 2) socket.resetAndDestroy();
    });
    await pool.use(async ({ client }) => {
      await client.get('/first');
      const error = await failure(client.get('/x', { timeout: 60 }));
      expect(error).toMatchObject({ kind: 'timeout' });
      expect(error.durationMs).toBeGreaterThanOrEqual(59);
    });
    expect(server.requests).toHaveLength(3);
  });

  it('fails with the cause when no fresh socket can be had, and the slot is free again', async () => {
    await poolAt(({ socket, nth }) => {
      if (nth === 1) return socket.write(answerOf('ok'));
      void server.stop();
      return socket.resetAndDestroy();
    });
    await pool.use(async ({ client }) => {
      await client.get('/first');
      expect(await failure(client.get('/x'))).toMatchObject({ kind: 'connection', code: 'ECONNREFUSED' });
    });
    await eventually(() => pool.stats().totalConnections === 0, 'the connection is gone');
    server = await ScriptedServer.start(() => {});
  });

  it('is ended by its caller while a fresh socket is opened', async () => {
    await poolAt(({ socket, nth }) => (nth === 1 ? socket.write(answerOf('ok')) : socket.resetAndDestroy()));
    const controller = new AbortController();
    await pool.use(async ({ client }) => {
      await client.get('/first');
      const asking = failure(client.get('/x', { signal: controller.signal }));
      await eventually(() => server.requests.length === 2, 'the request has arrived');
      controller.abort(new Error('enough'));
      expect(await asking).toMatchObject({ kind: 'aborted', cause: new Error('enough') });
    });
    await eventually(() => pool.stats().totalConnections === 0, 'the connection is gone');
  });
});

describe.each(['node', 'undici'] as const)('a request over %s whose socket was closed before it was sent', (name) => {
  beforeEach(() => {
    transport = name;
  });

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  it('goes over a fresh one within the same lease, whatever its method', async () => {
    await poolAt(({ socket, nth }) => socket.end(answerOf(`answer ${nth}`)));
    await pool.use(async ({ client }) => {
      await client.get('/first');
      await eventually(() => server.sockets.size === 0, 'the server has closed it');
      expect((await client.post('/second', Readable.from(['text']))).data).toBe('answer 2');
    });
    expect(server.mostSockets).toBe(1);
    expect(pool.stats()).toMatchObject({ created: 1 });
  });

  it('is told by the lease that the connection will not be lent again', async () => {
    await poolAt(({ socket }) => socket.write(answerOf('ok', 'connection: close\r\n'), () => socket.end()));
    const lease = await pool.acquire();
    await lease.connection.client.get('/');
    await eventually(() => lease.signal.aborted, 'the lease is told');
    lease.release();
    expect(pool.stats().destroyed.broken).toBe(1);
  });
});
