import { inspect } from 'node:util';
import { Injectable } from '@nestjs/common';
import { ConnectionPool, PoolModule } from 'nestjs-pools';
import {
  EmbeddingApiError,
  EmbeddingConnectionError,
  type EmbeddingError,
  EmbeddingInputError,
  EmbeddingModule,
  type EmbeddingOptions,
  EmbeddingResponseError,
  EmbeddingService,
  EmbeddingVectorError,
} from 'nestjs-pools/embedding';
import { httpPool, type HttpPool, type HttpPoolOptions } from 'nestjs-pools/http';
import {
  type EmbeddingUpstream,
  startEmbeddingUpstream,
} from '../../sample-app/embedding-upstream/embedding-upstream.js';
import { CountingServer, eventually } from '../support/http-server.js';
import { boot, closeAll } from '../support/nest-app.js';

const KEY = 'sk-planted-key-4711';
const MODEL = 'local-hash-384';
const TEXTS = ['pools lease connections', 'cats sleep all day', 'shutdown drains the pool'];

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await closeAll();
});

function poolAt(baseURL: string, options: Partial<HttpPoolOptions> = {}): HttpPool {
  const definition = httpPool({ baseURL, headers: { authorization: `Bearer ${KEY}` }, ...options });
  const pool = definition.createPool({ name: 'embeddings', factory: definition.factory, ...definition.limits });
  closers.push(() => pool.close({ timeoutMs: 0 }));
  return pool;
}

async function upstream(): Promise<EmbeddingUpstream> {
  const server = await startEmbeddingUpstream({ apiKey: KEY });
  closers.push(() => server.close());
  return server;
}

type Answer = (texts: string[]) => unknown;

/** A server that answers whatever a test wants: an object as JSON, a text as it is, a number as a bare status. */
async function lying(answer: Answer, status = 200, headers: Record<string, string> = {}): Promise<EmbeddingService> {
  const server = await CountingServer.start((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const made = answer((JSON.parse(body) as { input: string[] }).input);
      response.writeHead(status, headers).end(typeof made === 'string' ? made : JSON.stringify(made));
    });
  });
  closers.push(() => server.stop());
  return once(poolAt(server.url));
}

/** One that asks once: what it does about failures is another spec's. */
function once(pool: HttpPool, options: Partial<EmbeddingOptions> = {}): EmbeddingService {
  return new EmbeddingService(pool, { model: MODEL, retry: false, ...options });
}

const failure = <E = EmbeddingError>(work: Promise<unknown>): Promise<E> =>
  work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: E) => error,
  );

const item = (index: number | undefined, embedding: unknown): object => ({ object: 'embedding', index, embedding });
const base64 = (...numbers: number[]): string => Buffer.from(Float32Array.from(numbers).buffer).toString('base64');

describe('EmbeddingService against a real server', () => {
  it('embeds one text as a Float32Array', async () => {
    const service = new EmbeddingService(poolAt((await upstream()).url), { model: MODEL });
    const vector = await service.embed(TEXTS[0]!);
    expect(vector).toBeInstanceOf(Float32Array);
    expect(vector).toHaveLength(384);
  });

  it('embeds many in batches, in their order, and tells how far it is', async () => {
    const server = await upstream();
    const service = new EmbeddingService(poolAt(server.url), { model: MODEL, batchSize: 10 });
    const texts = Array.from({ length: 95 }, (_none, index) => `text number ${index}`);
    const seen: string[] = [];
    const vectors = await service.embedMany(texts, { onProgress: (done, total) => seen.push(`${done}/${total}`) });
    expect(vectors).toHaveLength(95);
    expect(seen).toHaveLength(10);
    expect(seen.at(-1)).toBe('95/95');
    for (const index of [0, 9, 10, 94])
      expect(vectors[index]).toEqual(await service.embed(texts[index]!, { cache: false }));
    expect(server.stats().requests).toBe(14);
  });

  it('makes as many requests at once as the pool has connections, and no more', async () => {
    const server = await upstream();
    const service = new EmbeddingService(poolAt(server.url, { maxConnections: 3 }), { model: MODEL, batchSize: 1 });
    await service.embedMany(Array.from({ length: 60 }, (_none, index) => `text ${index}`));
    expect(server.stats().maxConnections).toBe(3);
  });

  it('asks for the dimensions that it was told', async () => {
    const service = new EmbeddingService(poolAt((await upstream()).url), { model: MODEL, dimensions: 64 });
    expect(await service.embed('short vectors')).toHaveLength(64);
  });

  it('embeds nothing for no texts, without a request', async () => {
    const server = await upstream();
    const service = new EmbeddingService(poolAt(server.url), { model: MODEL });
    expect(await service.embedMany([])).toEqual([]);
    expect(server.stats().requests).toBe(0);
  });

  it('is injectable, over the pool of that name', async () => {
    @Injectable()
    class Search {
      constructor(readonly embeddings: EmbeddingService) {}
    }
    const { url } = await upstream();
    const pools = { embeddings: httpPool({ baseURL: url, headers: { authorization: `Bearer ${KEY}` } }) };
    for (const embeddingModule of [
      EmbeddingModule.forRoot({ pool: 'embeddings', model: MODEL }),
      EmbeddingModule.forRootAsync({ pool: 'embeddings', useFactory: async () => ({ model: MODEL }) }),
    ]) {
      const app = await boot({ imports: [PoolModule.forRoot({ pools }), embeddingModule], providers: [Search] });
      expect(await app.get(Search).embeddings.embed('hello')).toHaveLength(384);
      await app.close();
    }
  });
});

describe('what comes back for each text', () => {
  it('is its own vector, whatever the order of the answer', async () => {
    const service = await lying((texts) => ({ data: texts.map((_text, index) => item(index, [index, 1])).reverse() }));
    expect(await service.embedMany(['a', 'b', 'c'])).toEqual([0, 1, 2].map((first) => Float32Array.of(first, 1)));
  });

  it('is its own by position where no item has an index', async () => {
    const service = await lying((texts) => ({ data: texts.map((_text, index) => item(undefined, [index, 1])) }));
    expect(await service.embedMany(['a', 'b'])).toEqual([Float32Array.of(0, 1), Float32Array.of(1, 1)]);
  });

  it('is the same from numbers as from base64', async () => {
    const service = await lying(() => ({ data: [item(0, [0.5, -2, 3.25]), item(1, base64(0.5, -2, 3.25))] }));
    const [fromNumbers, fromBase64] = await service.embedMany(['a', 'b']);
    expect(fromNumbers).toEqual(fromBase64);
    expect(fromBase64).toEqual(Float32Array.of(0.5, -2, 3.25));
  });

  const wrong: [string, Answer, string][] = [
    ['no vectors at all', () => ({ data: [] }), '0 vectors came back for'],
    ['an error with status 200', () => ({ error: { message: 'overloaded' } }), 'it holds an error in place of vectors'],
    ['a page of HTML', () => '<html></html>', 'it is no JSON'],
    ['JSON of another shape', () => ({ embeddings: [] }), 'it holds no list of vectors'],
  ];
  it.each(wrong)('is an error for %s', async (_what, answer, message) => {
    const service = await lying(answer, 200, { 'x-request-id': 'req-5' });
    const error = await failure(service.embedMany(['a', 'b']));
    expect(error).toBeInstanceOf(EmbeddingResponseError);
    expect(error.message).toContain(message);
    expect(error.requestId).toBe('req-5');
  });

  const muddled: [string, Answer][] = [
    ['fewer vectors than texts', () => ({ data: [item(0, [1])] })],
    ['more vectors than texts', () => ({ data: [item(0, [1]), item(1, [1]), item(2, [1])] })],
    ['an index twice', () => ({ data: [item(0, [1]), item(0, [2])] })],
    ['an index out of range', () => ({ data: [item(0, [1]), item(2, [2])] })],
    ['an index on some only', () => ({ data: [item(0, [1]), item(undefined, [2])] })],
  ];
  it.each(muddled)('is asked for again, each text alone, after %s', async (_what, muddle) => {
    const asked: string[][] = [];
    const service = await lying((texts) => {
      asked.push(texts);
      return texts.length > 1 ? muddle(texts) : { data: [item(0, [texts[0] === 'a' ? 7 : 8])] };
    });
    expect(await service.embedMany(['a', 'b'])).toEqual([Float32Array.of(7), Float32Array.of(8)]);
    expect(asked).toEqual([['a', 'b'], ['a'], ['b']]);
  });

  it('is an error where the index of a text alone is not the first', async () => {
    const service = await lying(() => ({ data: [item(1, [1])] }));
    const error = await failure(service.embed('a'));
    expect(error).toBeInstanceOf(EmbeddingResponseError);
    expect(error.message).toContain('its indexes do not name every text once');
  });

  const odd: [string, Answer, string, string][] = [
    ['null for a number', () => ({ data: [item(0, [1]), item(1, [null])] }), 'not-finite', 'cannot be right'],
    ['a number that is not finite', () => ({ data: [item(0, base64(1)), item(1, base64(NaN))] }), 'not-finite', ''],
    ['half a float', () => ({ data: [item(0, [1]), item(1, 'AAAAAAA=')] }), 'encoding', 'not whole 32-bit floats'],
    ['an empty vector', () => ({ data: [item(0, [1]), item(1, [])] }), 'missing', ''],
    ['something else for a vector', () => ({ data: [item(0, [1]), item(1, { a: 1 })] }), 'encoding', ''],
    ['zeros', () => ({ data: [item(0, [1, 2]), item(1, [0, 0])] }), 'zero', ''],
  ];
  it.each(odd)('is an error for %s, of that text alone', async (_what, answer, problem, message) => {
    const service = await lying(answer, 200, { 'x-request-id': 'req-5' });
    const error = await failure<EmbeddingVectorError>(service.embedMany(['a', 'b']));
    expect(error).toBeInstanceOf(EmbeddingVectorError);
    expect(error).toMatchObject({ problem, requestId: 'req-5' });
    expect(error.message).toContain(message);
    const [first, second] = await service.embedMany(['a', 'b'], { settle: true, cache: false });
    expect(first).toMatchObject({ ok: true });
    expect(second).toMatchObject({ ok: false, error: { problem } });
  });

  it('is an error for each of two vectors of different lengths: which is right cannot be told', async () => {
    const service = await lying(() => ({ data: [item(0, [1, 2]), item(1, [1])] }));
    for (const outcome of await service.embedMany(['a', 'b'], { settle: true })) {
      expect(outcome).toMatchObject({ ok: false, error: { problem: 'dimensions' } });
    }
  });

  it('has the dimensions that the first answer had, from then on', async () => {
    let length = 3;
    const service = await lying(() => ({
      data: [
        item(
          0,
          Array.from({ length }, () => 1),
        ),
      ],
    }));
    await service.embed('a');
    length = 4;
    expect((await failure(service.embed('b'))).message).toContain('it has 4 dimensions, not 3');
  });
});

describe('what a caller is told', () => {
  it('names the text that is blank, before anything is sent', async () => {
    const server = await upstream();
    const service = new EmbeddingService(poolAt(server.url), { model: MODEL });
    for (const blank of ['', ' \n\t', undefined as unknown as string]) {
      const error = await failure<EmbeddingInputError>(service.embedMany(['fine', blank]));
      expect([error.code, error.index]).toEqual(['EMBEDDING_INPUT', 1]);
    }
    await expect(service.embedMany('one text' as unknown as string[])).rejects.toThrow('expected an array of texts');
    expect(server.stats().requests).toBe(0);
  });

  it('is the status, the code and the request id of an API error, and no key', async () => {
    const { url } = await upstream();
    const service = new EmbeddingService(poolAt(url, { headers: { authorization: 'Bearer sk-another-key' } }), {
      model: MODEL,
    });
    const error = await failure<EmbeddingApiError>(service.embed('hello'));
    expect(error).toBeInstanceOf(EmbeddingApiError);
    expect(error).toMatchObject({ status: 401, apiCode: 'invalid_api_key', retryable: false });
    expect(error.requestId).toEqual(expect.any(String));
    expect(inspect(error, { depth: Infinity })).not.toMatch(/another-key|planted/);
  });

  it('holds neither the key nor the text, even where the server quotes them', async () => {
    const text = 'a private thought that must not be logged';
    for (const quote of [`bad key ${KEY}`, `cannot embed "${text}"`, 'wrong key sk-pla***4711']) {
      const service = await lying(() => ({ error: { message: quote } }), 400);
      const error = await failure(service.embed(text));
      const views = [error.message, error.stack, JSON.stringify(error), inspect(error, { depth: Infinity })];
      for (const view of views) expect(view).not.toMatch(/planted-key|sk-pla|private thought/);
    }
  });

  const retryable: [number, object, boolean][] = [
    [429, { error: { message: 'slow down', code: 'rate_limit_exceeded' } }, true],
    [429, { error: { message: 'pay up', type: 'insufficient_quota' } }, false],
    [503, { message: 'overloaded', type: 'overloaded' }, true],
    [500, { error: 'flat', error_type: 'backend' }, true],
    [404, { error: { message: 'no such model', code: 'model_not_found' } }, false],
    [409, {}, true],
    [501, {}, false],
  ];
  it.each(retryable)('says whether status %i %j is worth another try: %s', async (status, body, expected) => {
    const service = await lying(() => body, status);
    expect(await failure(service.embed('hello'))).toMatchObject({ code: 'EMBEDDING_API', status, retryable: expected });
  });

  it('is a connection error when the server goes away, and the pool recovers', async () => {
    let isBroken = true;
    const server = await CountingServer.start((request, response) => {
      if (isBroken) request.socket.destroy();
      else response.end(JSON.stringify({ data: [item(0, [1])] }));
    });
    closers.push(() => server.stop());
    const service = once(poolAt(server.url));
    const error = await failure(service.embed('hello'));
    expect(error).toBeInstanceOf(EmbeddingConnectionError);
    expect(error.retryable).toBe(true);
    isBroken = false;
    expect(await service.embed('hello')).toEqual(Float32Array.of(1));
  });

  it('is a pool error when no connection can be had', async () => {
    const server = await CountingServer.start(() => {});
    const service = once(poolAt(server.url));
    await server.stop();
    expect(await failure(service.embed('hello'))).toMatchObject({ code: 'POOL_CREATE_FAILED' });
  });

  it('ends when the caller says so: in a request, and in the queue for a connection', async () => {
    const server = await CountingServer.start(() => {});
    closers.push(() => server.stop());
    const pool = poolAt(server.url, { maxConnections: 1 });
    const service = new EmbeddingService(pool, { model: MODEL });
    const controller = new AbortController();
    const first = failure(service.embed('in the request', { signal: controller.signal }));
    const second = failure(service.embed('in the queue', { signal: controller.signal }));
    await eventually(() => server.requests.length === 1, 'the request has arrived');
    controller.abort(new Error('enough'));
    expect(await first).toMatchObject({ code: 'EMBEDDING_ABORTED', cause: { message: 'enough' } });
    expect(await second).toMatchObject({ code: 'EMBEDDING_ABORTED', cause: { message: 'enough' } });
    await eventually(() => pool.stats().activeConnections === 0, 'the connection is back');
    expect(pool.stats().waiting).toBe(0);
    expect(service.stats().pendingCalls).toBe(0);
  });

  it('is the first failure of many batches, and the others are stopped', async () => {
    const server = await CountingServer.start((_request, response) => response.writeHead(500).end('{}'));
    closers.push(() => server.stop());
    const error = await failure(
      once(poolAt(server.url), { batchSize: 1 }).embedMany(
        Array.from({ length: 50 }, (_none, index) => `text ${index}`),
      ),
    );
    expect(error).toMatchObject({ code: 'EMBEDDING_API', status: 500 });
    expect(server.requests.length).toBeLessThan(50);
  });

  it('names wrong options', () => {
    const pool = new ConnectionPool({ name: 'embeddings', factory: { create: () => ({}) } }) as unknown as HttpPool;
    const make = (options: object) => () => new EmbeddingService(pool, options as { model: string });
    expect(make({})).toThrow("model: expected the model's name");
    expect(make({ model: MODEL, dimension: 3 })).toThrow('dimension: no such option');
    expect(make({ model: MODEL, dimensions: 0, batchSize: 5_000 })).toThrow(/dimensions: .*\n.*batchSize: /);
  });
});
