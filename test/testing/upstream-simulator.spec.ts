import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { startUpstreamSimulator, type UpstreamSettings, type UpstreamSimulator } from 'nestjs-pools/testing';
import { eventually } from '../support/http-server.js';

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let upstream: UpstreamSimulator;
let agent: Agent;
const clients: Socket[] = [];

async function start(settings: UpstreamSettings = {}): Promise<UpstreamSimulator> {
  return (upstream = await startUpstreamSimulator(settings));
}

/** A request on the kept connection; resolves with the head, to see what comes of the body. */
async function ask(path = '/', { method = 'GET', body = '' } = {}): Promise<IncomingMessage> {
  const request = httpRequest(upstream.url + path, { agent, method });
  // A reset amid the body is told twice, to the request too.
  request.on('error', () => undefined).end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

async function bodyOf(response: IncomingMessage, onData = (_text: string): void => undefined): Promise<string> {
  let body = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    body += chunk as string;
    onData(body);
  }
  return body;
}

async function get(path = '/', options: { method?: string; body?: string } = {}): Promise<Answer> {
  const response = await ask(path, options);
  return { status: response.statusCode, headers: response.headers, body: await bodyOf(response) };
}

async function code(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it did not fail',
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

/** A bare connection, for what an HTTP client would not do. */
async function dial(): Promise<Socket> {
  const socket = connect({ port: upstream.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  clients.push(socket);
  await once(socket, 'connect');
  return socket;
}

beforeEach(() => {
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
});
afterEach(async () => {
  agent.destroy();
  for (const socket of clients.splice(0)) socket.destroy();
  await upstream?.close();
});

describe('an upstream simulator', () => {
  it('answers 200 with the method and the path, unless it is told otherwise', async () => {
    await start();
    const { status, headers, body } = await get('/v1/models?limit=2', { method: 'POST', body: 'x' });
    expect([status, headers['content-type'], JSON.parse(body)]).toEqual([
      200,
      'application/json',
      { method: 'POST', path: '/v1/models?limit=2' },
    ]);
    expect(upstream.url).toBe(`http://127.0.0.1:${upstream.port}`);
  });

  it('answers what its settings say, and by others from the next request on', async () => {
    await start({ status: 429, headers: { 'retry-after': '2' }, body: 'slow down' });
    const first = await get();
    upstream.set({ status: 200, body: { ok: true } });
    const second = await get();
    upstream.set({ body: undefined, headers: undefined });
    const third = await get('/echo');
    expect([first, second, third].map(({ status, headers, body }) => [status, headers['retry-after'], body])).toEqual([
      [429, '2', 'slow down'],
      [200, '2', '{"ok":true}'],
      [200, undefined, '{"method":"GET","path":"/echo"}'],
    ]);
  });

  it('answers what its handler makes of the request, and the settings where that says nothing', async () => {
    await start({
      status: 201,
      handler: async ({ path, body }) => (path === '/shout' ? { body: body.toUpperCase() } : undefined),
    });
    const shouted = await get('/shout', { method: 'POST', body: 'pool' });
    const other = await get('/other');
    expect([shouted.status, shouted.body, other.status, other.body]).toEqual([
      201,
      'POOL',
      201,
      '{"method":"GET","path":"/other"}',
    ]);
  });

  it.each([
    ['throws', () => Promise.reject(new Error('no such row')), 'the handler failed: no such row'],
    [
      'answers what it cannot',
      () => ({ status: 42 }),
      'the handler failed: status: expected a whole number from 200 to 599, got another number',
    ],
  ])('answers 500 with the reason when its handler %s', async (_what, handler, error) => {
    await start({ handler });
    const { status, body } = await get();
    expect([status, JSON.parse(body)]).toEqual([500, { error }]);
  });

  it('lists the requests in the order in which they came', async () => {
    await start();
    const before = performance.now();
    await get('/a', { method: 'PUT', body: 'text' });
    await get('/b');
    expect(upstream.requests).toMatchObject([
      { method: 'PUT', path: '/a', body: 'text', headers: { host: `127.0.0.1:${upstream.port}` } },
      { method: 'GET', path: '/b', body: '' },
    ]);
    expect(upstream.requests[0]!.at).toBeGreaterThanOrEqual(before);
    expect(upstream.requests[1]!.at).toBeGreaterThanOrEqual(upstream.requests[0]!.at);
  });

  it('counts connections: those open now, the most at once, and all', async () => {
    await start();
    await get();
    await get();
    const one = await dial();
    await eventually(() => upstream.connections === 2, 'it sees both');
    one.destroy();
    await eventually(() => upstream.connections === 1, 'it sees one leave');
    await dial();
    await eventually(() => upstream.accepted === 3, 'it sees another');
    expect([upstream.connections, upstream.mostConnections, upstream.accepted]).toEqual([2, 2, 3]);
  });

  it('takes its time to answer, and as little as it is told to from then on', async () => {
    await start({ latencyMs: 30 });
    const before = performance.now();
    await get();
    // Timers may come a fraction early on the finer clock.
    expect(performance.now() - before).toBeGreaterThan(28);
    upstream.set({ latencyMs: Infinity });
    const never = code(ask('/never'));
    await eventually(() => upstream.requests.length === 2, 'the request has arrived');
    agent.destroy();
    expect(await never).toBe('ECONNRESET');
  });

  it('sends a body as slowly as it is told to', async () => {
    await start({ body: 'abc', bytesPerSecond: 50 });
    const seen: string[] = [];
    await bodyOf(await ask(), (text) => seen.push(text));
    expect(seen).toEqual(['a', 'ab', 'abc']);
  });

  it('fails the share of requests that it is told to', async () => {
    const numbers = [0.1, 0.9, 0.3, 0.29];
    await start({ failureRate: 0.3, failureStatus: 502, random: () => numbers.shift()! });
    const statuses: unknown[] = [];
    for (let round = 0; round < 4; round += 1) statuses.push((await get()).status);
    expect(statuses).toEqual([502, 200, 200, 502]);
  });

  it('keeps a connection for the next request, and tells nobody for how long', async () => {
    await start({ keepAliveMs: 60_000 });
    const { headers } = await get();
    await get();
    expect([headers.connection, headers['keep-alive'], upstream.accepted]).toEqual(['keep-alive', undefined, 1]);
  });

  it('closes an idle connection after its time', async () => {
    await start({ keepAliveMs: 20 });
    await get();
    expect(upstream.connections).toBe(1);
    await eventually(() => upstream.connections === 0, 'the connection is closed');
  });

  it('takes no connection for idle that waits for an answer', async () => {
    const slowly = () => new Promise<void>((resolve) => setTimeout(resolve, 40));
    await start({ keepAliveMs: 5, handler: ({ path }) => (path === '/slow' ? slowly() : undefined) });
    const socket = await dial();
    let arrived = '';
    socket.on('data', (chunk: Buffer) => (arrived += chunk.toString()));
    socket.write('GET /fast HTTP/1.1\r\nhost: a\r\n\r\nGET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(socket, 'end');
    expect(arrived).toMatch(/"\/fast"(.|\n|\r)*"\/slow"/);
  });

  it('closes a connection after each answer when it is to keep none', async () => {
    await start({ keepAliveMs: 0 });
    const { headers } = await get();
    await get();
    expect([headers.connection, upstream.accepted]).toEqual(['close', 2]);
  });

  it('refuses settings that cannot work, all of them by name, and changes nothing then', async () => {
    const wrong = { latency: 5, latencyMs: -1, status: 99, headers: { a: 'b\n' }, random: 4, body: () => 1 };
    expect(await startUpstreamSimulator(wrong as never).catch((error: Error) => error)).toEqual(
      new TypeError(`upstream simulator: wrong settings:
  - latency: no such option (did you mean latencyMs?)
  - latencyMs: expected a number of milliseconds from 0 to 2147483647, or Infinity, got a negative number
  - status: expected a whole number from 200 to 599, got another number
  - headers: expected an object of valid names and texts, got a value of type object
  - random: expected a function that draws a number, got another number
  - body: expected a text, bytes, or what JSON can hold, got a value of type function`),
    );
    await start();
    expect(() => upstream.set({ status: 503, failureRate: 2 })).toThrow(
      'upstream simulator: failureRate: expected a number from 0 to 1, got another number',
    );
    expect(() => upstream.resetNext(-1)).toThrow('resetNext: expected a whole number from 0, or Infinity');
    expect((await get()).status).toBe(200);
  });
});

describe('an upstream simulator that hangs up', () => {
  it('resets every open connection', async () => {
    await start({ latencyMs: Infinity });
    const asked = code(ask());
    const idle = await dial();
    const idleEnded = once(idle, 'error') as Promise<[NodeJS.ErrnoException]>;
    await eventually(() => upstream.requests.length === 1 && upstream.connections === 2, 'both are there');
    expect(upstream.resetConnections()).toBe(2);
    expect([await asked, (await idleEnded)[0].code]).toEqual(['ECONNRESET', 'ECONNRESET']);
    expect([upstream.connections, upstream.resets]).toEqual([0, 2]);
  });

  it('answers the next requests by a reset before any byte, and no more than it is told to', async () => {
    await start();
    await get();
    upstream.resetNext(2);
    expect([await code(get('/1')), await code(get('/2')), (await get('/3')).status]).toEqual([
      'ECONNRESET',
      'ECONNRESET',
      200,
    ]);
    expect([upstream.resets, upstream.requests.length]).toEqual([2, 4]);
  });

  it('resets no request when that is taken back', async () => {
    await start();
    upstream.resetNext();
    upstream.resetNext(0);
    expect((await get()).status).toBe(200);
  });

  it('cuts the next answer in the middle of its body', async () => {
    await start({ body: '0123456789' });
    upstream.cutNext();
    const response = await ask();
    let arrived = '';
    expect(await code(bodyOf(response, (text) => (arrived = text)))).toBe('ECONNRESET');
    expect([response.statusCode, response.headers['content-length'], arrived]).toEqual([200, '10', '01234']);
    expect((await get()).body).toBe('0123456789');
  });

  it('cuts an answer whose body is empty, too', async () => {
    await start({ body: '' });
    upstream.cutNext();
    expect(await code(get())).toBe('ECONNRESET');
  });
});

describe('an upstream simulator that is half open', () => {
  it('accepts connections and reads requests, and answers nothing', async () => {
    let handled = 0;
    await start({ handler: () => void (handled += 1) });
    upstream.goHalfOpen();
    upstream.resetNext();
    const bytes: Buffer[] = [];
    const socket = (await dial()).on('data', (chunk: Buffer) => bytes.push(chunk));
    socket.write('GET /void HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => upstream.requests.length === 1, 'the request is read');
    socket.write('POST /large HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx');
    await eventually(() => upstream.requests.length === 2, 'another is read');
    socket.write('GARBAGE\r\n\r\n');
    upstream.recover();
    // That one, the first that is answered at all, is the next.
    expect(await code(get())).toBe('ECONNRESET');
    expect((await get()).status).toBe(200);
    expect([bytes, handled, socket.destroyed, upstream.connections]).toEqual([[], 1, false, 2]);
  });

  it('sends no more of an answer that had begun', async () => {
    await start({ body: 'abc', bytesPerSecond: 50 });
    const socket = await dial();
    let arrived = '';
    socket.on('data', (chunk: Buffer) => {
      arrived += chunk.toString();
      if (arrived.endsWith('\na')) upstream.goHalfOpen();
    });
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => arrived.endsWith('\na'), 'the first byte is there');
    upstream.recover();
    // Begun later and as slow, so that all of the other had come.
    expect((await get()).body).toBe('abc');
    expect(arrived).toMatch(/\na$/);
  });

  it('neither answers nor resets what it had read before', async () => {
    await start({ latencyMs: 20 });
    upstream.resetNext();
    const bytes: Buffer[] = [];
    const socket = (await dial()).on('data', (chunk: Buffer) => bytes.push(chunk));
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => upstream.requests.length === 1, 'the request is read');
    upstream.goHalfOpen();
    upstream.recover();
    // Answered after as long a time, on a connection that is not lost.
    expect((await get()).status).toBe(200);
    expect([bytes, socket.destroyed, upstream.resets]).toEqual([[], false, 0]);
  });

  it('neither answers the end of a connection nor notices it', async () => {
    await start();
    const kept = await dial();
    const left = await dial();
    await eventually(() => upstream.connections === 2, 'it sees both');
    upstream.goHalfOpen();
    let ended = 0;
    kept.on('end', () => (ended += 1)).resume();
    kept.end();
    left.resetAndDestroy();
    // What comes after both on other connections has been read, so theirs have been too.
    const later = await dial();
    later.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => upstream.requests.length === 1, 'a later request is read');
    expect([ended, upstream.connections]).toEqual([0, 3]);
  });

  it('serves new connections once it has recovered, and leaves those silent that it vanished from', async () => {
    await start();
    await get();
    upstream.goHalfOpen();
    upstream.recover();
    const lost = code(ask('/lost'));
    await eventually(() => upstream.requests.length === 2, 'the request is read');
    const other = new Agent();
    const fresh = httpRequest(upstream.url, { agent: other }).end();
    const [response] = (await once(fresh, 'response')) as [IncomingMessage];
    expect(await bodyOf(response)).toContain('GET');
    expect(upstream.resetConnections()).toBeGreaterThan(0);
    expect(await lost).toBe('ECONNRESET');
    other.destroy();
  });
});

describe('an upstream simulator that stops', () => {
  it('refuses connections, ends those it had, and takes the same port when it starts again', async () => {
    await start();
    await get();
    const { url } = upstream;
    await upstream.stop();
    expect([await code(dial()), upstream.connections]).toEqual(['ECONNREFUSED', 0]);
    await upstream.start();
    agent = new Agent();
    expect([(await get()).status, upstream.url]).toEqual([200, url]);
  });

  it('takes stops and starts in any order, the last of them counts', async () => {
    await start();
    await Promise.all([upstream.stop(), upstream.start(), upstream.start(), upstream.stop(), upstream.stop()]);
    expect(await code(dial())).toBe('ECONNREFUSED');
    await Promise.all([upstream.start(), upstream.stop(), upstream.start()]);
    expect((await get()).status).toBe(200);
  });

  it('closes at once, whatever its clients and its settings are', async () => {
    await start({ latencyMs: 60_000, keepAliveMs: Infinity });
    const late = code(ask());
    await eventually(() => upstream.requests.length === 1, 'one waits for its answer');
    const idle = await dial();
    const unfinished = await dial();
    unfinished.write('POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc');
    await eventually(() => upstream.connections === 3, 'all are there');
    upstream.goHalfOpen();
    idle.pause();
    const before = performance.now();
    await upstream.close();
    expect(performance.now() - before).toBeLessThan(1_000);
    expect([await late, upstream.connections]).toEqual(['ECONNRESET', 0]);
    await upstream.close();
    await expect(upstream.start()).rejects.toThrow('it is closed; start another one');
  });

  it('is closed by the end of its block', async () => {
    {
      await using scoped = await startUpstreamSimulator();
      upstream = scoped;
      expect((await get()).status).toBe(200);
    }
    expect(await code(dial())).toBe('ECONNREFUSED');
  });

  it('minds no handler that answers after its client has left', async () => {
    let answer: (() => void) | undefined;
    await start({ handler: () => new Promise((resolve) => (answer = () => resolve({ body: 'late' }))) });
    const asked = code(ask());
    await eventually(() => answer !== undefined, 'the handler has it');
    agent.destroy();
    expect(await asked).toBe('ECONNRESET');
    await eventually(() => upstream.connections === 0, 'the client has left');
    answer!();
    agent = new Agent();
    upstream.set({ handler: undefined });
    expect((await get()).status).toBe(200);
  });

  it('minds no client that speaks no HTTP', async () => {
    await start();
    const socket = await dial();
    socket.write('GARBAGE\r\n\r\n');
    await eventually(() => upstream.connections === 0, 'it has hung up');
    expect(upstream.requests).toEqual([]);
  });
});
