import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { AxiosRequestConfig } from 'axios';
import { HttpError, type HttpPool, httpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { eventually } from '../support/http-server.js';
import { type AnyServer, CARRIERS, optionsFor, type Reply, serve } from './any-server.js';
import { answerOf, ScriptedServer } from './scripted-server.js';

const HEADER = { kind: 'timeout', code: 'HTTP_HEADER_TIMEOUT', phase: 'header', retryable: true };
const BODY = { kind: 'timeout', code: 'HTTP_BODY_TIMEOUT', phase: 'body', retryable: true };

let server: AnyServer;
let pool: HttpPool;

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

/** Begins an answer, and writes a letter of it at a pace, for as long as somebody listens. */
function drip(reply: Reply, everyMs: number): void {
  reply.head();
  const dripping = setInterval(() => reply.write('.'), everyMs);
  reply.onClose(() => clearInterval(dripping));
}

/** Does something later, unless the answer is over by then. */
function after(delayMs: number, reply: Reply, then: () => void): void {
  const timer = setTimeout(then, delayMs);
  reply.onClose(() => clearTimeout(timer));
}

/** Takes much longer to unpack than to come. */
const ZIPPED = gzipSync(Buffer.alloc(60_000_000));

/** What the server answers, by its path. */
const ANSWERS: Record<string, (reply: Reply) => void> = {
  '/ok': (reply) => reply.end('ok'),
  '/never': () => {},
  '/head': (reply) => reply.head(),
  '/half': (reply) => {
    reply.head();
    reply.write('half');
  },
  '/slow-drip': (reply) => drip(reply, 300),
  '/fast-drip': (reply) => drip(reply, 5),
  '/late': (reply) => after(120, reply, () => reply.end('late')),
  '/late-rest': (reply) => {
    reply.head();
    reply.write('late');
    after(120, reply, () => reply.end(' rest'));
  },
  '/announced': (reply) => {
    reply.announce();
    after(120, reply, () => reply.end('announced'));
  },
  '/zipped': (reply) => {
    reply.head({ 'content-encoding': 'gzip' });
    reply.end(ZIPPED);
  },
  '/much': (reply) => reply.end('x'.repeat(8_000_000)),
};

describe.each(CARRIERS)('the limits on silence over %s', (carrier) => {
  function poolOf(options: Partial<HttpPoolOptions> = {}): HttpPool {
    const definition = httpPool({ baseURL: server.url, maxConnections: 1, ...optionsFor(carrier), ...options });
    return (pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits }));
  }

  const ask = (path: string, config: AxiosRequestConfig = {}): Promise<string> =>
    pool.use(async ({ client }) => (await client.get<string>(path, config)).data);

  /** As {@link ask}, by a stream that is read as it comes. */
  const read = (path: string, config: AxiosRequestConfig = {}): Promise<string> =>
    pool.use(async ({ client }) =>
      text((await client.get<Readable>(path, { ...config, responseType: 'stream' })).data),
    );

  beforeEach(async () => {
    server = await serve(carrier, (path, reply) => ANSWERS[path]!(reply));
    poolOf();
  });

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  /** That nothing of a failed request is left, at either side, and the next one is served. */
  async function expectRecovery(): Promise<void> {
    await eventually(() => server.open === 0, 'the server sees that the request is given up');
    expect(await ask('/ok')).toBe('ok');
    // One stream of a session ends without the others.
    expect(server.accepted).toBe(carrier === 'h2' ? 1 : 2);
  }

  describe.each([
    ['whole', ask],
    ['as a stream', read],
  ])('of an answer that is wanted %s', (_how, get) => {
    it('end a request that the server never answers, and its connection', async () => {
      const error = await failure(get('/never', { headerTimeoutMs: 40, bodyIdleTimeoutMs: 10 }));
      expect(error).toBeInstanceOf(HttpError);
      expect(error).toMatchObject(HEADER);
      expect(error.message).toBe(`GET ${server.url}/never failed: HTTP_HEADER_TIMEOUT`);
      expect(error.durationMs).toBeGreaterThanOrEqual(39);
      await expectRecovery();
    });

    it.each(['/head', '/half', '/slow-drip'])('end an answer in which the server falls silent: %s', async (path) => {
      expect(await failure(get(path, { headerTimeoutMs: 60_000, bodyIdleTimeoutMs: 40 }))).toMatchObject(BODY);
      await expectRecovery();
    });

    it('let an answer that trickles fast enough go on until the deadline', async () => {
      const error = await failure(get('/fast-drip', { bodyIdleTimeoutMs: 100, timeout: 300 }));
      expect(error).toMatchObject({ kind: 'timeout', code: 'HTTP_TIMEOUT', phase: 'whole' });
      expect(error.durationMs).toBeGreaterThanOrEqual(299);
      await expectRecovery();
    });

    it('hold each in its own part of an answer only', async () => {
      expect(await get('/late', { bodyIdleTimeoutMs: 40 })).toBe('late');
      expect(await get('/late-rest', { headerTimeoutMs: 40 })).toBe('late rest');
      expect(server.accepted).toBe(1);
    });

    it('leave an answer alone that comes in time', async () => {
      for (let round = 0; round < 3; round += 1) {
        expect(await get('/ok', { headerTimeoutMs: 60_000, bodyIdleTimeoutMs: 60_000 })).toBe('ok');
        expect(await get('/ok', { headerTimeoutMs: 60_000 })).toBe('ok');
        expect(await get('/ok', { bodyIdleTimeoutMs: 60_000 })).toBe('ok');
      }
      expect(server.accepted).toBe(1);
    });

    it('take an announcement for the first byte', async () => {
      expect(await get('/announced', { headerTimeoutMs: 40 })).toBe('announced');
      expect(await failure(get('/announced', { headerTimeoutMs: 60_000, bodyIdleTimeoutMs: 40 }))).toMatchObject(BODY);
    });
  });

  it('count from a request’s turn on its connection', async () => {
    const answers = await pool.use(({ client }) =>
      Promise.all([client.get('/late'), client.get('/late'), client.get('/ok', { headerTimeoutMs: 100 })]),
    );
    expect(answers.map(({ data }) => data as string)).toEqual(['late', 'late', 'ok']);
  });

  it('hold for requests that only axios itself can send', async () => {
    const form = new FormData();
    form.append('field', 'value');
    const post = (path: string): Promise<unknown> =>
      pool.use(({ client }) => client.post(path, form, { headerTimeoutMs: 40, bodyIdleTimeoutMs: 40 }));
    expect(await failure(post('/never'))).toMatchObject(HEADER);
    expect(await failure(post('/half'))).toMatchObject(BODY);
  });

  it('do not count what it takes to unpack an answer', async () => {
    const config = { responseType: 'arraybuffer', bodyIdleTimeoutMs: 20 } as const;
    const { data } = await pool.use(({ client }) => client.get<Buffer>('/zipped', config));
    expect(data.length).toBe(60_000_000);
    // Nor is the connection lost to it.
    expect(await ask('/ok')).toBe('ok');
    expect(pool.stats().created).toBe(1);
  });

  it('blame no server for a stream that its borrower does not read', async () => {
    const length = await pool.use(async ({ client }) => {
      const { data } = await client.get<Readable>('/much', { responseType: 'stream', bodyIdleTimeoutMs: 40 });
      await pause(120);
      let bytes = 0;
      for await (const chunk of data) {
        // And one that stops in the middle.
        if (bytes === 0) await pause(120);
        bytes += (chunk as Buffer).length;
      }
      return bytes;
    });
    expect(length).toBe(8_000_000);
    expect(server.accepted).toBe(1);
  });

  it('count from where a stream is read again', async () => {
    const error = await pool.use(async ({ client }) => {
      const { data } = await client.get<Readable>('/half', { responseType: 'stream', bodyIdleTimeoutMs: 80 });
      await pause(160);
      const resumedAt = performance.now();
      const thrown = await failure(text(data));
      expect(performance.now() - resumedAt).toBeGreaterThanOrEqual(78);
      return thrown;
    });
    expect(error).toMatchObject(BODY);
  });

  it('are the pool’s, unless a request has its own', async () => {
    await pool.close();
    poolOf({ headerTimeoutMs: 40, bodyIdleTimeoutMs: 40 });
    expect(await failure(ask('/never'))).toMatchObject(HEADER);
    expect(await failure(ask('/half'))).toMatchObject(BODY);
    expect(await ask('/late', { headerTimeoutMs: 10_000 })).toBe('late');
    expect(await ask('/late-rest', { bodyIdleTimeoutMs: Infinity })).toBe('late rest');
    expect(await ask('/late', { headerTimeoutMs: 2 ** 31 })).toBe('late');
  });

  it('leave no timer behind when something else ends the request', async () => {
    const limits = { headerTimeoutMs: 60_000, bodyIdleTimeoutMs: 60_000 };
    for (const path of ['/never', '/half']) {
      expect(await failure(ask(path, { ...limits, timeout: 40 }))).toMatchObject({ phase: 'whole' });
      expect(await failure(read(path, { ...limits, signal: AbortSignal.timeout(40) }))).toMatchObject({
        kind: 'aborted',
        phase: undefined,
      });
    }
  });

  it('are refused by their names when they are none, and nothing is sent', async () => {
    const wrong = { headerTimeoutMs: 0, bodyIdleTimeoutMs: NaN };
    const error = await failure(ask('/ok', wrong));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(
      'headerTimeoutMs: expected a number of milliseconds above 0, or Infinity, got another number; ' +
        'bodyIdleTimeoutMs: expected a number of milliseconds above 0, or Infinity, got NaN',
    );
    expect(() => poolOf(wrong)).toThrow(/headerTimeoutMs: expected .* bodyIdleTimeoutMs: expected/s);
    // The connection is as good as it was.
    expect(await ask('/ok')).toBe('ok');
    expect(pool.stats().created).toBe(1);
  });
});

describe.each(['node', 'undici'] as const)('a silence over %s', (carrier) => {
  it('is counted anew when the request goes over a fresh connection', async () => {
    const scripted = await ScriptedServer.start(({ socket, nth }) => {
      if (nth === 1) socket.write(answerOf('first'));
      else setTimeout(() => (nth === 2 ? socket.resetAndDestroy() : socket.write(answerOf('again'))), 120);
    });
    const definition = httpPool({ baseURL: scripted.url, ...optionsFor(carrier), headerTimeoutMs: 200 });
    pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits });
    const data = await pool.use(async ({ client }) => {
      await client.get('/');
      return (await client.get<string>('/')).data;
    });
    expect(data).toBe('again');
    expect(scripted.requests).toHaveLength(3);
    await pool.close();
    await scripted.stop();
  });

  it('is none when the answer came while the process was busy with something else', async () => {
    server = await serve(carrier, (_path, reply) => {
      reply.head();
      reply.write('one ');
      after(20, reply, () => {
        reply.end('two');
        const busyUntil = performance.now() + 100;
        while (performance.now() < busyUntil);
      });
    });
    const definition = httpPool({ baseURL: server.url, ...optionsFor(carrier), bodyIdleTimeoutMs: 60 });
    pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits });
    const answer = await pool.use(({ client }) => client.get<string>('/'));
    expect(answer.data).toBe('one two');
    await pool.close();
    await server.stop();
  });
});
