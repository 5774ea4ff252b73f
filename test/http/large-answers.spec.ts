import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { type HttpError, type HttpPool, httpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { gather, mostGathered } from '../../lib/http/gathered-answer.js';
import { eventually } from '../support/http-server.js';
import { type AnyServer, type Carrier, CARRIERS, optionsFor, type Reply, serve } from './any-server.js';

const KIB = 1024;
const HALF = 'x'.repeat(200 * KIB);
const WHOLE = { 'content-length': String(2 * HALF.length) };

async function failure(work: Promise<unknown>): Promise<HttpError> {
  return work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: HttpError) => error,
  );
}

describe.each<Carrier>(CARRIERS)('a large answer of a known length over %s', (carrier) => {
  let server: AnyServer;
  let pool: HttpPool;

  async function poolOver(
    answer: (reply: Reply, path: string) => void,
    options: Partial<HttpPoolOptions> = {},
  ): Promise<HttpPool> {
    server = await serve(carrier, (path, reply) => answer(reply, path));
    const definition = httpPool({ baseURL: server.url, maxConnections: 1, ...optionsFor(carrier), ...options });
    return (pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits }));
  }

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  it('comes whole, as text and as bytes, and from its compressed form', async () => {
    const bytes = randomBytes(300 * KIB);
    const bodies: Record<string, Buffer> = {
      '/bytes': bytes,
      '/text': Buffer.from(HALF + HALF),
      '/gzip': gzipSync(bytes),
    };
    await poolOver((reply, path) => {
      const encoding: Record<string, string> = path === '/gzip' ? { 'content-encoding': 'gzip' } : {};
      reply.head({ 'content-length': String(bodies[path]!.length), ...encoding });
      reply.end(bodies[path]!);
    });
    await pool.use(async ({ client }) => {
      const asBytes = { responseType: 'arraybuffer' } as const;
      expect((await client.get<Buffer>('/bytes', asBytes)).data.equals(bytes)).toBe(true);
      expect((await client.get<string>('/text')).data).toBe(HALF + HALF);
      expect((await client.get<Buffer>('/gzip', asBytes)).data.equals(bytes)).toBe(true);
      expect((await client.head('/bytes')).data).toBe('');
      expect((await client.get<Buffer>('/bytes', asBytes)).data.equals(bytes)).toBe(true);
    });
    expect(server.accepted).toBe(1);
  });

  it('is refused as soon as more of it has come than may', async () => {
    await poolOver(
      (reply) => {
        reply.head(WHOLE);
        reply.write(HALF);
      },
      { maxResponseBytes: 150 * KIB },
    );
    const error = await failure(pool.use(({ client }) => client.get('/')));
    expect(error).toMatchObject({ kind: 'response', retryable: false });
  });

  it('fails as one of the connection when it breaks off', async () => {
    await poolOver((reply) => {
      reply.head(WHOLE);
      reply.write(HALF);
      setImmediate(() => reply.breakOff());
    });
    const error = await failure(pool.use(({ client }) => client.get('/')));
    expect(error).toMatchObject({ kind: 'connection', retryable: true });
  });

  it('comes piece by piece where a stream of it is wanted, or its progress', async () => {
    let reply: Reply | undefined;
    await poolOver((begun) => {
      reply = begun;
      begun.head(WHOLE);
      begun.write(HALF);
    });
    await pool.use(async ({ client }) => {
      const { data } = await client.get<Readable>('/', { responseType: 'stream' });
      let read = 0;
      data.on('data', (chunk: Buffer) => (read += chunk.length));
      await eventually(() => read === HALF.length, 'the first half is read');
      reply!.end(HALF);
      await eventually(() => read === 2 * HALF.length, 'all is read');
    });
    await pool.use(async ({ client }) => {
      let loaded = 0;
      const asking = client.get<string>('/', { onDownloadProgress: (event) => (loaded = event.loaded) });
      await eventually(() => loaded > 0, 'some of it is told of');
      reply!.end(HALF);
      expect((await asking).data.length).toBe(2 * HALF.length);
    });
  });
});

describe('gathering an answer', () => {
  function answerOf(headers: Record<string, string>): IncomingMessage {
    return Object.assign(new Readable({ read: () => {} }), { headers }) as unknown as IncomingMessage;
  }

  async function chunksRead(headers: Record<string, string>, most = Infinity): Promise<number[]> {
    const answer = answerOf(headers);
    const chunks: number[] = [];
    gather(answer, most);
    answer.on('data', (chunk: Buffer) => chunks.push(chunk.length / KIB));
    await new Promise((resolve) => setImmediate(resolve));
    for (let nth = 0; nth < 4; nth += 1) answer.push(Buffer.alloc(50 * KIB));
    answer.push(null);
    await new Promise((resolve) => answer.once('end', resolve));
    return chunks;
  }

  it('lets it come as one chunk where it is large and its length is told', async () => {
    expect(await chunksRead({ 'content-length': String(200 * KIB) })).toEqual([200]);
  });

  it.each([
    ['whose length nobody told', {}],
    ['that is announced as a small one', { 'content-length': String(50 * KIB) }],
    ['that is compressed', { 'content-length': String(200 * KIB), 'content-encoding': 'gzip' }],
  ])('leaves one alone %s', async (_what, headers) => {
    expect(await chunksRead(headers)).toEqual([50, 50, 50, 50]);
  });

  it('stops where it becomes too large', async () => {
    expect(await chunksRead({ 'content-length': String(200 * KIB) }, 120 * KIB)).toEqual([150, 50]);
  });

  it('is for answers that are wanted whole, up to their limit', () => {
    const most = (config: object): number | undefined => mostGathered(config as Parameters<typeof mostGathered>[0]);
    expect([most({}), most({ maxContentLength: -1 }), most({ maxContentLength: 7 })]).toEqual([Infinity, Infinity, 7]);
    expect([most({ responseType: 'stream' }), most({ onDownloadProgress: () => {} }), most({ maxRate: 1 })]).toEqual(
      Array(3).fill(undefined),
    );
  });
});
