import { format, inspect } from 'node:util';
import { Logger, type LoggerService } from '@nestjs/common';
import { getPoolToken, PoolModule } from 'nestjs-pools';
import { EmbeddingModule, type EmbeddingOptions, EmbeddingService, type VectorCache } from 'nestjs-pools/embedding';
import { httpPool, type HttpPool } from 'nestjs-pools/http';
import { type DialectName, DIALECTS, EmbeddingServer, type Reply, type Script } from '../support/embedding-server.js';
import { boot, closeAll } from '../support/nest-app.js';

/** What must not be seen anywhere: the key, the texts, any part of them that can be told. */
const KEY = 'sk-planted-key-4711-abcdef';
const TEXT = 'planted text one: what the patient told the doctor in confidence';
const OTHER = 'planted text two: "quoted"\nand broken over lines, with ümlauts';
const FIELD = 'planted-user-4713';
const SECRETS = [KEY, 'sk-planted', 'patient told', 'planted text', 'broken over lines', FIELD];

const servers: EmbeddingServer[] = [];
const logged: string[] = [];
const logger: LoggerService = {
  log: (...args: unknown[]) => void logged.push(format(...args)),
  warn: (...args: unknown[]) => void logged.push(format(...args)),
  error: (...args: unknown[]) => void logged.push(format(...args)),
  debug: (...args: unknown[]) => void logged.push(format(...args)),
  verbose: (...args: unknown[]) => void logged.push(format(...args)),
};

beforeAll(() => Logger.overrideLogger(logger));
afterEach(async () => {
  await closeAll();
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => Logger.overrideLogger(true));

/** All that can be seen of a value. */
function viewsOf(value: unknown): string[] {
  const views = [inspect(value, { depth: Infinity, showHidden: true, getters: true }), String(value)];
  if (typeof value !== 'object' || value === null) return views;
  const { message, stack, cause } = value as Error;
  views.push(String(message), String(stack), inspect({ ...value }, { depth: Infinity }));
  try {
    views.push(JSON.stringify(value), JSON.stringify(value, Object.getOwnPropertyNames(value)));
  } catch {
    // What holds a circle is not written as JSON by anybody.
  }
  return cause === undefined ? views : [...views, ...viewsOf(cause)];
}

function expectClean(value: unknown): void {
  for (const view of viewsOf(value)) for (const secret of SECRETS) expect(view).not.toContain(secret);
}

async function app(dialect: DialectName, script: Script | undefined, options: Partial<EmbeddingOptions> = {}) {
  const server = await EmbeddingServer.start(dialect, script);
  servers.push(server);
  const pools = {
    embeddings: httpPool({
      baseURL: `${server.url}?token=${KEY}`.replace(/\?.*$/, ''),
      headers: { authorization: `Bearer ${KEY}`, 'api-key': KEY },
      maxConnections: 2,
    }),
  };
  const settings = {
    model: 'm',
    bodyIdleTimeoutMs: 100,
    profile: dialect,
    retry: false as const,
    extraBody: { user: FIELD },
    ...options,
  };
  const module = EmbeddingModule.forRoot({ pool: 'embeddings', ...settings } as never);
  const nest = await boot({ imports: [PoolModule.forRoot({ pools }), module] });
  return {
    service: nest.get(EmbeddingService),
    pool: nest.get<HttpPool>(getPoolToken('embeddings')),
    server,
    nest,
  };
}

/** The other dialects are those of servers that no profile is for. */
const PROFILED = new Set<string>([
  'openai',
  'azure',
  'tei',
  'ollama',
  'vllm',
  'litellm',
  'voyage',
  'mistral',
  'cohere',
  'jina',
  'gemini',
  'bedrock',
]);

const quote = `cannot embed ${JSON.stringify(TEXT)} nor ${JSON.stringify(OTHER)} of ${FIELD} with Bearer ${KEY} (sk-pla***cdef)`;
const ROWS: [string, (right: () => object) => Reply][] = [
  ['a 400 that quotes', () => ({ error: [400, quote] })],
  ['a 401 that quotes', () => ({ error: [401, quote, 'invalid_api_key'] })],
  ['a 413 that quotes', () => ({ error: [413, quote] })],
  ['a 429 that quotes', () => ({ error: [429, quote, 'rate_limit_exceeded'], headers: { 'retry-after': '90' } })],
  ['a quota that is used up', () => ({ error: [429, quote, 'insufficient_quota'] })],
  ['a 500 that quotes', () => ({ error: [500, quote] })],
  ['a page that quotes', () => ({ raw: `<html>${quote}</html>`, status: 502 })],
  ['a 200 with an error that quotes', () => ({ json: { error: { message: quote, code: quote } } })],
  ['a 200 with another thing', () => ({ json: { echo: [TEXT, OTHER], key: KEY } })],
  ['a model that quotes', (right) => ({ json: { ...right(), model: `m ${KEY}` } })],
  ['no JSON', () => ({ raw: `${TEXT} ${KEY}` })],
  ['a cut answer', () => ({ take: (response) => void response.writeHead(200, { 'content-length': '999' }).end(TEXT) })],
  ['a reset', () => ({ take: (response) => void response.destroy() })],
  ['a request id that quotes', () => ({ error: [400, 'no'], headers: { 'x-request-id': KEY } })],
];

describe('What is seen of a service whose server misbehaves', () => {
  it.each(ROWS)('holds no key and no text after %s', async (_what, reply) => {
    const { service, pool } = await app('openai', (_request, right) => reply(right));
    const single = await service.embed(TEXT).catch((error: unknown) => error);
    const many = await service.embedMany([TEXT, OTHER]).catch((error: unknown) => error);
    const settled = await service.embedMany([OTHER, TEXT], { settle: true }).catch((error: unknown) => error);
    for (const value of [single, many, settled, service, service.stats(), service.costs(), pool.stats()]) {
      expectClean(value);
    }
    expectClean(logged.splice(0));
  });

  it.each(Object.keys(DIALECTS) as DialectName[])('holds none after an error of the dialect %s', async (dialect) => {
    const { service } = await app(dialect, () => ({ error: [400, quote] }), {
      profile: PROFILED.has(dialect) ? dialect : 'unknown',
    });
    const texts = dialect === 'bedrock' ? [TEXT] : [TEXT, OTHER];
    expectClean(await service.embedMany(texts).catch((error: unknown) => error));
    expectClean(await service.embedMany(texts, { settle: true }).catch((error: unknown) => error));
  });
});

describe('What is seen of a service at work', () => {
  it('holds no key and no text while requests are under way and others wait', async () => {
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => (answer = resolve));
    const { service, pool, server } = await app('openai', () => held.then(() => undefined));
    const calls = [TEXT, OTHER, `${TEXT} again`].map((text) => service.embed(text, { tenant: FIELD, extraBody: {} }));
    while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const value of [service, service.stats(), pool.stats()]) expectClean(value);
    answer();
    await Promise.all(calls);
    for (const value of [service, pool, service.stats()]) expectClean(value);
    for (const value of [service, service.stats()]) expectClean(value);
  });

  it('holds none in a cache store, where keys are hashes and values are numbers', async () => {
    const kept = new Map<string, Uint8Array>();
    const store: VectorCache = {
      getMany: async (keys) => keys.map((key) => kept.get(key)),
      setMany: async (entries) => entries.forEach(([key, value]) => kept.set(key, value)),
    };
    const { service } = await app('openai', undefined, { cache: { store } });
    await service.embedMany([TEXT, OTHER], { tenant: FIELD });
    await service.close();
    expect(kept.size).toBe(2);
    expectClean([...kept.keys()]);
    expectClean([...kept.values()].map((value) => Buffer.from(value).toString('latin1')));
  });

  it('holds none when a text, an option or a whole configuration is wrong', async () => {
    const { service } = await app('openai', undefined);
    const wrong = [
      () => service.embedMany([TEXT, { secret: TEXT } as unknown as string]),
      () => service.embedMany(TEXT as unknown as string[]),
      () => service.embed(TEXT, { dimensions: KEY as unknown as number }),
      () => service.embed(TEXT, { [KEY]: TEXT } as object),
      async () => new EmbeddingService({ name: 'p' } as HttpPool, { model: 'm', batchSize: KEY as unknown as number }),
    ];
    for (const call of wrong.filter((_call, index) => index !== 3)) {
      const error: unknown = await call().catch((failure: unknown) => failure);
      expect(error).toBeInstanceOf(Error);
      expectClean(error);
    }
  });

  it('holds none when the deadline comes, or the caller leaves', async () => {
    const { service } = await app('openai', () => new Promise(() => {}));
    const late: unknown = await service.embed(TEXT, { deadlineMs: 30 }).catch((error: unknown) => error);
    const left: unknown = await service
      .embed(TEXT, { signal: AbortSignal.timeout(30) })
      .catch((error: unknown) => error);
    expect([late, left]).toMatchObject([{ code: 'EMBEDDING_TIMEOUT' }, { code: 'EMBEDDING_ABORTED' }]);
    for (const error of [late, left]) expectClean(error);
  });
});
