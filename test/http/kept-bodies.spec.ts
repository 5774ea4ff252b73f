import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { jest } from '@jest/globals';
import { type HttpPool, httpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import { type AnyServer, type Carrier, CARRIERS, optionsFor, serve } from './any-server.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const MOST_TURNS = 50;

const LARGE = 8 * 2 ** 20;
/** Far less than one body, and far more than all else that a request leaves behind. */
const LITTLE = 2 ** 20;

// A collection of all that other tests of this worker have left behind takes its time.
jest.setTimeout(30_000);

describe.each<Carrier>(CARRIERS)('an idle connection over %s', (carrier) => {
  const answer = Buffer.from(Uint32Array.from({ length: LARGE / 4 }, (_none, nth) => nth).buffer);
  let server: AnyServer;
  let pool: HttpPool;

  function poolAt(baseURL: string, options: Partial<HttpPoolOptions> = {}): HttpPool {
    const definition = httpPool({ baseURL, maxConnections: 1, ...optionsFor(carrier), ...options });
    return (pool = definition.createPool({ name: 'web', factory: definition.factory, ...definition.limits }));
  }

  afterEach(async () => {
    await pool.close({ timeoutMs: 0 });
    await server.stop();
  });

  /** In a function of its own: no variable of the test may hold on to what was sent or what came. */
  async function exchange(body: Buffer | string): Promise<WeakRef<object>[]> {
    const headers = { 'content-type': 'application/octet-stream' };
    const response = await pool.use(({ client }) =>
      client.post<Buffer>('/', body, { responseType: 'arraybuffer', headers, validateStatus: () => true }),
    );
    expect(response.data.equals(answer)).toBe(true);
    const held = [response, response.data, response.config];
    return (typeof body === 'string' ? held : [...held, body]).map((one) => new WeakRef(one));
  }

  /** What is still there when nobody but the connection can hold it. */
  async function left(refs: readonly WeakRef<object>[], before: number): Promise<{ refs: number; bytes: number }> {
    const now = { refs: refs.length, bytes: Infinity };
    for (let turn = 0; turn < MOST_TURNS && (now.refs > 0 || now.bytes > LITTLE); turn += 1) {
      // Memory outside of the heap is freed a moment after its owner.
      await new Promise((resolve) => setTimeout(resolve, 1));
      collectGarbage();
      now.refs = refs.filter((ref) => ref.deref() !== undefined).length;
      now.bytes = bytesHeld() - before;
    }
    return now;
  }

  const bodies: [what: string, body: () => Buffer | string][] = [
    ['a large answer', () => 'short'],
    ['a large request of bytes', () => Buffer.alloc(LARGE, 'y')],
    ['a large request of text', () => 'z'.repeat(LARGE)],
  ];
  it.each(bodies)('keeps nothing of %s', async (_what, body) => {
    server = await serve(carrier, (_path, reply) =>
      reply.onRequestEnd(() => {
        reply.head({ 'content-length': String(LARGE) });
        reply.end(answer);
      }),
    );
    poolAt(server.url, { maxRequestBytes: 2 * LARGE, maxResponseBytes: 2 * LARGE });
    await exchange('the code is loaded and the connection open');
    await left([], Infinity);
    const before = bytesHeld();
    const refs = await exchange(body());
    const now = await left(refs, before);
    expect(now.refs).toBe(0);
    expect(now.bytes).toBeLessThan(LITTLE);
    expect(pool.stats().idleConnections).toBe(1);
    // Over the same connection, which is none the worse.
    await exchange('again');
    expect(server.accepted).toBe(1);
  });
});

/** In buffers, and in the heap, where texts are. */
function bytesHeld(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}
