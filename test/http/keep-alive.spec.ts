import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type LookupFunction, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { type HttpPool, httpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import type { PoolOptions } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import { KeepAlive } from '../../lib/http/keep-alive.js';
import { PooledSocket } from '../../lib/http/pooled-socket.js';
import { CountingServer, eventually } from '../support/http-server.js';
import { answerOf, type ScriptedRequest, ScriptedServer } from './scripted-server.js';

let transport: 'node' | 'undici' = 'node';
let pool: HttpPool | undefined;
let server: { stop(): Promise<void> } | undefined;

function poolOf(
  baseURL: string,
  options: Partial<HttpPoolOptions> = {},
  extra: Partial<PoolOptions<never>> = {},
): HttpPool {
  const definition = httpPool({ baseURL, transport, ...options });
  return (pool = definition.createPool({
    name: 'web',
    factory: definition.factory,
    ...definition.limits,
    ...(extra as object),
  }));
}

/** Opens so many connections, each used once. */
async function open(many: HttpPool, count: number): Promise<void> {
  const leases = await Promise.all(Array.from({ length: count }, () => many.acquire()));
  await Promise.all(leases.map(({ connection }) => connection.client.post('/', 'the end')));
  for (const lease of leases) lease.release();
}

afterEach(async () => {
  await pool?.close({ timeoutMs: 0 });
  await server?.stop();
  pool = server = undefined;
});

describe('the time that a socket may lie idle', () => {
  const hints: [header: string | undefined, limitMs: number][] = [
    [undefined, 4_000],
    ['timeout=5', 3_000],
    ['timeout=75, max=1000', 73_000],
    ['max=1000, timeout=75', 73_000],
    ['max=1000; Timeout = "20"', 18_000],
    ['timeout=3', 1_500],
    ['timeout=2', 1_000],
    ['timeout=1', 500],
    ['timeout=0', 0],
    ['timeout=100000', 600_000],
    ['max=5', 4_000],
    ['timeout=', 4_000],
    ['notimeout=9', 4_000],
  ];
  it.each(hints)('is, with the hint %s, %i ms', (header, limitMs) => {
    const keepAlive = new KeepAlive(4_000);
    keepAlive.hinted(header);
    expect(keepAlive.limitMs).toBe(limitMs);
  });

  it('is half of what a socket had been idle for that was reset, a second at least, and never more than the hint', () => {
    const keepAlive = new KeepAlive(4_000);
    keepAlive.reset(3_000);
    expect(keepAlive.limitMs).toBe(1_500);
    keepAlive.reset(3_000);
    expect(keepAlive.limitMs).toBe(1_500);
    keepAlive.reset(300);
    expect(keepAlive.limitMs).toBe(1_000);
    keepAlive.hinted('timeout=75');
    expect(keepAlive.limitMs).toBe(1_000);
    keepAlive.hinted('timeout=1');
    expect(keepAlive.limitMs).toBe(500);
  });

  it('grows again, by a tenth with every hundred reuses in a row without a reset, to what it was', () => {
    const keepAlive = new KeepAlive(1_300);
    const reuse = (times: number): number => {
      for (let time = 0; time < times; time += 1) keepAlive.reused();
      return keepAlive.limitMs;
    };
    keepAlive.reset(100);
    expect(reuse(99)).toBe(1_000);
    expect(reuse(1)).toBe(1_100);
    expect(reuse(99)).toBe(1_100);
    keepAlive.reset(5_000);
    expect(reuse(99)).toBe(1_100);
    expect(reuse(1)).toBeCloseTo(1_210);
    expect(reuse(1_000)).toBe(1_300);
  });
});

describe.each(['node', 'undici'] as const)('an idle socket of the transport %s', (name) => {
  beforeEach(() => {
    transport = name;
  });

  async function scripted(
    answer: (request: ScriptedRequest) => void,
    onConnection?: (socket: Socket) => void,
  ): Promise<ScriptedServer> {
    const started = await ScriptedServer.start(answer, onConnection);
    server = started;
    return started;
  }

  it('is closed by us when its server has kept it long enough, and that is no fault', async () => {
    const started = await scripted(({ socket }) => socket.write(answerOf('ok', 'keep-alive: max=9, timeout=1\r\n')));
    const told: string[] = [];
    poolOf(started.url).on('broken', () => told.push('broken'));
    await open(pool!, 3);
    expect(pool!.stats().idleConnections).toBe(3);
    await eventually(() => pool!.stats().totalConnections === 0, 'they are closed');
    expect(started.sockets.size).toBe(0);
    expect(told).toEqual([]);
    expect(pool!.stats().destroyed).toMatchObject({ evicted: 3, broken: 0, unhealthy: 0 });
    expect(started.requests).toHaveLength(3);
  });

  it('is kept while it is in use, and for as long as the server says', async () => {
    const started = await scripted(({ socket }) => socket.write(answerOf('ok', 'keep-alive: timeout=60\r\n')));
    poolOf(started.url, { keepAliveMs: 30 });
    await open(pool!, 1);
    const until = performance.now() + 120;
    await eventually(() => performance.now() > until, 'a while has passed');
    expect(pool!.stats().idleConnections).toBe(1);
    await open(pool!, 1);
    expect(started.accepted).toBe(1);
  });

  it('is replaced when its borrower comes back to it too late', async () => {
    const started = await scripted(({ socket, nth }) => socket.write(answerOf(`answer ${nth}`)));
    await poolOf(started.url, { keepAliveMs: 40 }).use(async ({ client }, lease) => {
      await client.get('/first');
      const until = performance.now() + 50;
      await eventually(() => performance.now() > until, 'a while has passed');
      expect((await client.post('/second', 'text')).data).toBe('answer 2');
      expect(lease.signal.aborted).toBe(false);
    });
    expect([started.accepted, started.mostSockets, pool!.stats().created]).toEqual([2, 1, 1]);
  });

  const unsolicited: [what: string, text: string][] = [
    ['a 200', answerOf('not for you')],
    ['a 408', answerOf('', 'connection: close\r\n', '408 Request Timeout')],
    ['half a line', 'HTTP/1.1 2'],
  ];
  it.each(unsolicited)(
    'is closed at once when its server sends %s unasked, and nobody gets that',
    async (_what, text) => {
      const started = await scripted(({ socket, nth }) => socket.write(answerOf(`answer ${nth}`)));
      await open(poolOf(started.url, { maxConnections: 1 }), 1);
      for (const socket of started.sockets) socket.write(text);
      await eventually(() => pool!.stats().totalConnections === 0, 'it is closed');
      expect(pool!.stats().destroyed.broken).toBe(1);
      expect((await pool!.use(({ client }) => client.get('/'))).data).toBe('answer 2');
    },
  );

  it('is not lent when something unasked has been read that nobody has looked at yet', async () => {
    const started = await scripted(
      () => {},
      (socket) => socket.write('something'),
    );
    const socket = connect(Number(new URL(started.url).port), '127.0.0.1');
    const pooled = new PooledSocket(socket, { adapter: () => Promise.reject(new Error('unused')), close: () => {} });
    socket.pause();
    await once(socket, 'connect');
    expect(pooled.isOpen).toBe(true);
    await eventually(() => socket.bytesRead > 0, 'it has been read');
    expect(pooled.isOpen).toBe(false);
    const { idleMs } = pooled;
    // A request was given up before it was sent.
    pooled.rest();
    expect(pooled.isOpen).toBe(false);
    expect(pooled.idleMs).toBeGreaterThanOrEqual(idleMs);
    await pooled.close();
  });

  it('is closed too when it has never carried a request', async () => {
    const started = await scripted(
      ({ socket, nth }) => socket.write(answerOf(`answer ${nth}`)),
      (socket) => {
        if (started.accepted === 1) socket.write(answerOf('hello'));
      },
    );
    poolOf(started.url, { minConnections: 1, maxConnections: 1 });
    await pool!.ready();
    await eventually(() => pool!.stats().destroyed.broken === 1, 'it is closed');
    expect((await pool!.use(({ client }) => client.get('/'))).data).toBe('answer 1');
  });

  it('is not lent again when something came behind the answer', async () => {
    const started = await scripted(({ socket, nth }) => socket.write(answerOf(`answer ${nth}`) + answerOf('more')));
    poolOf(started.url, { maxConnections: 1 });
    expect((await pool!.use(({ client }) => client.get('/'))).data).toBe('answer 1');
    expect((await pool!.use(({ client }) => client.get('/'))).data).toBe('answer 2');
    expect(started.accepted).toBe(2);
  });
});

describe('the sockets of a minimum', () => {
  const WARM = { keepAliveMs: 600, healthCheckIntervalMs: 50, maxConnections: 5 };

  async function plain(): Promise<CountingServer> {
    const started = await CountingServer.start((_request, response) => response.end('ok'));
    started.keepAliveTimeout = 0;
    server = started;
    return started;
  }

  it('are kept warm by requests, and those above it are not asked but closed', async () => {
    const started = await plain();
    poolOf(started.url, { ...WARM, minConnections: 2 });
    await open(pool!, 5);
    expect(pool!.stats().idleConnections).toBe(5);
    await eventually(() => pool!.stats().totalConnections === 2, 'the others are closed');
    const until = performance.now() + 900;
    await eventually(() => performance.now() > until, 'a while has passed');
    expect(pool!.stats()).toMatchObject({ totalConnections: 2, created: 5, destroyed: { unhealthy: 0 } });
    expect(started.accepted).toBe(5);
    const checks = started.requests.filter((request) => request.startsWith('HEAD'));
    // Each of the two about every 300 ms, however often the pool looks.
    expect(checks.length).toBeGreaterThanOrEqual(4);
    expect(checks.length).toBeLessThanOrEqual(14);
  });

  it('are none where there is no minimum: then nothing is asked', async () => {
    const started = await plain();
    poolOf(started.url, WARM);
    await open(pool!, 3);
    await eventually(() => pool!.stats().totalConnections === 0, 'all are closed');
    expect(started.requests).toEqual(['POST /', 'POST /', 'POST /']);
  });

  it('are kept warm also when the pool was given its minimum later', async () => {
    const started = await plain();
    poolOf(started.url, WARM);
    await open(pool!, 1);
    pool!.resize({ minConnections: 1 });
    await eventually(() => started.requests.includes('HEAD /'), 'it is asked');
    await eventually(() => pool!.stats().idleConnections === 1, 'the check has passed');
    expect(pool!.stats().created).toBe(1);
  });
});

describe.each(['node', 'undici'] as const)('after a stall of the event loop, over %s', (name) => {
  const SOCKETS = 40;
  const cases: [what: string, options: { hint: string; closeAfterMs: number; stallMs: number }][] = [
    ['with a hint', { hint: 'keep-alive: timeout=1\r\n', closeAfterMs: 900, stallMs: 1_500 }],
    ['without a hint', { hint: '', closeAfterMs: 300, stallMs: 1_000 }],
  ];
  it.each(cases)('no POST fails whose server has closed the socket meanwhile, %s', async (_what, options) => {
    transport = name;
    const worker = new Worker(new URL('./closing-server.mjs', import.meta.url), { workerData: options });
    server = { stop: async () => void (await worker.terminate()) };
    const [port] = (await once(worker, 'message')) as [number];
    const counts = async (): Promise<Record<string, number>> => {
      worker.postMessage('counts');
      return ((await once(worker, 'message')) as [Record<string, number>])[0];
    };
    poolOf(`http://127.0.0.1:${port}`, { maxConnections: SOCKETS });
    await open(pool!, SOCKETS);
    expect(await counts()).toMatchObject({ accepted: SOCKETS, closed: 0 });

    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.stallMs);
    const ask = (): Promise<unknown> => pool!.use(({ client }) => client.post('/', 'the end'));
    const outcomes = await Promise.allSettled(Array.from({ length: SOCKETS }, ask));

    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
    const { accepted, requests, mostOpen } = await counts();
    expect(accepted).toBeGreaterThan(SOCKETS);
    expect(requests).toBe(2 * SOCKETS);
    expect(mostOpen).toBeLessThanOrEqual(SOCKETS);
  });
});

describe('a change of address', () => {
  // Other systems have only one address of their own that a server can listen on without being set up for it.
  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('is followed by the time that connections live', async () => {
    const servers = [0, 1].map((nth) => createServer((_request, response) => response.end(`server ${nth + 1}`)));
    const listen = async (nth: number, port: number): Promise<number> => {
      servers[nth]!.listen(port, `127.0.0.${nth + 1}`);
      await once(servers[nth]!, 'listening');
      return (servers[nth]!.address() as { port: number }).port;
    };
    const port = await listen(0, 0);
    await listen(1, port);
    server = { stop: async () => void (await Promise.all(servers.map((one) => once(one.close(), 'close')))) };
    let address = '127.0.0.1';
    const lookup: LookupFunction = (_host, { all }, callback) =>
      all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4);
    const clock = new ManualClock();
    poolOf(`http://upstream.test:${port}`, { network: { lookup } }, { clock });
    const ask = async (): Promise<unknown> => (await pool!.use(({ client }) => client.get('/'))).data;
    expect(await ask()).toBe('server 1');
    address = '127.0.0.2';
    await clock.advance(500_000);
    expect(await ask()).toBe('server 1');
    await clock.advance(100_000);
    expect(await ask()).toBe('server 2');
    expect(pool!.stats().destroyed.lifetime).toBe(1);
  });
});
