import { createOpenAI } from '@ai-sdk/openai';
import { OpenAIEmbeddings } from '@langchain/openai';
import { embedMany } from 'ai';
import { type EmbeddingOptions, EmbeddingService } from 'nestjs-pools/embedding';
import { httpPool, type HttpPool } from 'nestjs-pools/http';
import OpenAI from 'openai';
import { eventually } from '../../support/http-server.js';
import { vectorOf } from '../../support/embedding-server.js';
import { Recorder, type RecorderAnswer } from './recorder.js';

const KEY = 'sk-wire-4711';
const MODEL = 'text-embedding-3-small';
const TEXTS = ['first', 'second 😀', '"third"\n', ' fourth '];

let recorder: Recorder;
let pool: HttpPool;
let service: EmbeddingService;
beforeEach(async () => {
  recorder = await Recorder.start();
  const definition = httpPool({ baseURL: recorder.url, headers: { authorization: `Bearer ${KEY}` } });
  pool = definition.createPool({ name: 'openai', factory: definition.factory, ...definition.limits });
  service = ours();
});
afterEach(async () => {
  await service.close();
  await pool.close({ timeoutMs: 0 });
  await recorder.stop();
});

const ours = (options: Partial<EmbeddingOptions> = {}): EmbeddingService =>
  new EmbeddingService(pool, { model: MODEL, profile: 'openai', cache: false, ...options }, { random: () => 0 });

const sdk = (maxRetries = 0): OpenAI => new OpenAI({ apiKey: KEY, baseURL: recorder.url, maxRetries });

type Asked = Omit<OpenAI.EmbeddingCreateParams, 'model'>;

/** The vectors that each of the two comes to, and the one request of each. */
async function both(asked: Asked, embed: () => Promise<(Float32Array | number[])[]>) {
  const from = recorder.requests.length;
  const { data } = await sdk().embeddings.create({ model: MODEL, ...asked });
  const vectors = await embed();
  const [theirs, own, ...others] = recorder.requests.slice(from);
  expect(others).toEqual([]);
  return {
    theirs: theirs!,
    own: own!,
    theirVectors: data.map(({ embedding }) => embedding),
    vectors: vectors.map((vector) => Array.from(vector)),
  };
}

describe('a request as the openai package 6.49 makes it', () => {
  const same: [string, Asked, () => Promise<(Float32Array | number[])[]>][] = [
    ['one text in a list', { input: ['first'] }, async () => [await service.embed('first')]],
    ['many texts', { input: TEXTS }, () => service.embedMany(TEXTS)],
    ['dimensions', { input: TEXTS, dimensions: 5 }, () => service.embedMany(TEXTS, { dimensions: 5 })],
    ['a user', { input: TEXTS, user: 'u-1' }, () => service.embedMany(TEXTS, { extraBody: { user: 'u-1' } })],
    [
      'a field that neither of the two knows',
      { input: TEXTS, truncate_prompt_tokens: -1 } as Asked,
      () => service.embedMany(TEXTS, { extraBody: { truncate_prompt_tokens: -1 } }),
    ],
    [
      'floats where they are asked for',
      { input: TEXTS, encoding_format: 'float' },
      () => service.embedMany(TEXTS, { extraBody: { encoding_format: 'float' } }),
    ],
  ];
  it.each(same)('is ours too, and the same numbers come of it: %s', async (_what, asked, embed) => {
    const { theirs, own, theirVectors, vectors } = await both(asked, embed);
    expect([own.method, own.path]).toEqual([theirs.method, theirs.path]);
    expect([own.method, own.path]).toEqual(['POST', '/v1/embeddings']);
    expect(own.body).toEqual(theirs.body);
    for (const header of ['authorization', 'content-type'] as const) {
      expect(own.headers[header]).toBe(theirs.headers[header]);
    }
    expect(vectors).toEqual(theirVectors);
    const wanted = (asked.input as string[]).map((text) => Array.from(vectorOf(text, asked.dimensions ?? 8)));
    expect(vectors).toEqual(wanted);
  });

  it('asks for base64 by default, as ours does', async () => {
    const { theirs, own } = await both({ input: TEXTS }, () => service.embedMany(TEXTS));
    expect([theirs.body['encoding_format'], own.body['encoding_format']]).toEqual(['base64', 'base64']);
  });

  it('differs on purpose: a single text is a list of one in ours, for it may share its request', async () => {
    const { theirs, own, theirVectors, vectors } = await both({ input: 'first' }, async () => [
      await service.embed('first'),
    ]);
    expect([theirs.body['input'], own.body['input']]).toEqual(['first', ['first']]);
    expect(vectors).toEqual(theirVectors);
  });

  it('differs on purpose: ours asks for no compression, and tells nothing of the process by x-stainless headers', async () => {
    const { theirs, own } = await both({ input: TEXTS }, () => service.embedMany(TEXTS));
    expect(theirs.headers['accept-encoding']).toMatch(/gzip/);
    expect(own.headers['accept-encoding']).toBe('identity');
    const told = (headers: object): string[] => Object.keys(headers).filter((name) => name.startsWith('x-stainless'));
    expect(told(theirs.headers).length).toBeGreaterThan(3);
    expect(told(own.headers)).toEqual([]);
  });

  it('says how long its body is, in bytes, and takes JSON, as ours does', async () => {
    const { theirs, own } = await both({ input: TEXTS }, () => service.embedMany(TEXTS));
    expect(own.headers['content-length']).toBe(String(Buffer.byteLength(JSON.stringify(own.body))));
    expect(theirs.headers['content-length']).toBe(own.headers['content-length']);
    expect(own.headers.accept).toContain('application/json');
  });

  it('differs on purpose: calls made in one turn are one request in ours', async () => {
    await Promise.all(TEXTS.map((input) => sdk().embeddings.create({ model: MODEL, input })));
    expect(recorder.requests).toHaveLength(4);
    await Promise.all(TEXTS.map((text) => service.embed(text)));
    expect(recorder.requests).toHaveLength(5);
    expect(recorder.requests[4]!.body['input']).toEqual(TEXTS);
  });

  it('differs on purpose: the same text goes once in a list of ours, and a text without a word not at all', async () => {
    await sdk().embeddings.create({ model: MODEL, input: ['a', 'a', ' '] });
    const outcomes = await service.embedMany(['a', 'a', ' '], { settle: true });
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, false]);
    expect(recorder.requests.map(({ body }) => body['input'])).toEqual([['a', 'a', ' '], ['a']]);
  });
});

type Failed = Error & { status?: number; code?: string; apiCode?: string; requestId?: string; requestID?: string };

const failed = (work: Promise<unknown>): Promise<Failed> =>
  work.then(
    () => Promise.reject(new Error('did not fail')),
    (error: Failed) => error,
  );

describe('an error as the openai package 6.49 tells it', () => {
  const errors: [number, RecorderAnswer, string, string, boolean][] = [
    [400, { type: 'invalid_request_error', message: 'no' }, 'BadRequestError', 'refused', false],
    [401, { type: 'invalid_request_error', code: 'invalid_api_key' }, 'AuthenticationError', 'auth', false],
    [403, { type: 'invalid_request_error' }, 'PermissionDeniedError', 'auth', false],
    [404, { code: 'model_not_found' }, 'NotFoundError', 'config', false],
    [429, { type: 'requests', code: 'rate_limit_exceeded' }, 'RateLimitError', 'rate-limit', true],
    [500, { type: 'server_error' }, 'InternalServerError', 'transient', true],
    [503, { type: 'server_error' }, 'InternalServerError', 'transient', true],
  ];
  it.each(errors)('is the same to ours: %i', async (status, answer, theirClass, kind, retryable) => {
    recorder.answers.push({ status, ...answer }, { status, ...answer });
    const theirs = await failed(sdk().embeddings.create({ model: MODEL, input: ['a', 'b'] }));
    const own = await failed(ours({ retry: false }).embedMany(['a', 'b']));
    expect(theirs.constructor.name).toBe(theirClass);
    expect(own).toMatchObject({ name: 'EmbeddingApiError', kind, retryable, status: theirs.status });
    expect([own.apiCode, own.requestId]).toEqual([theirs.code ?? answer.type, theirs.requestID]);
    expect(recorder.requests).toHaveLength(2);
  });

  it.each([429, 500, 503, 408, 409])('is tried again by both, for the same answer: %i', async (status) => {
    const headers = { 'retry-after-ms': '1' };
    recorder.answers.push({ status, headers });
    const { data } = await sdk(2).embeddings.create({ model: MODEL, input: ['a'] });
    recorder.answers.push({ status, headers });
    const vector = await service.embed('a');
    expect(Array.from(vector)).toEqual(data[0]!.embedding);
    expect(recorder.requests).toHaveLength(4);
    expect(recorder.requests[2]!.body).toEqual(recorder.requests[3]!.body);
  });

  it.each([400, 401, 403, 404])('is tried again by neither: %i', async (status) => {
    recorder.answers.push({ status }, { status });
    await failed(sdk(2).embeddings.create({ model: MODEL, input: ['a'] }));
    await failed(service.embed('a'));
    expect(recorder.requests).toHaveLength(2);
  });

  it('differs on purpose: an empty account is asked again by theirs, and not by ours', async () => {
    const answer = { status: 429, type: 'insufficient_quota', headers: { 'retry-after-ms': '1' } };
    recorder.answers.push(answer, answer, answer);
    await failed(sdk(2).embeddings.create({ model: MODEL, input: ['a'] }));
    expect(recorder.requests).toHaveLength(3);
    recorder.answers.push(answer);
    expect(await failed(service.embed('a'))).toMatchObject({ kind: 'quota', retryable: false });
    expect(recorder.requests).toHaveLength(4);
  });
});

describe('other clients of the openai protocol', () => {
  it('come to the same vectors: OpenAIEmbeddings of @langchain/openai', async () => {
    const embeddings = new OpenAIEmbeddings({ apiKey: KEY, model: MODEL, configuration: { baseURL: recorder.url } });
    // It strips newlines; ours does not.
    const texts = TEXTS.map((text) => text.replaceAll('\n', ' '));
    expect(await service.embedMany(texts, { as: 'number' })).toEqual(await embeddings.embedDocuments(TEXTS));
    expect(await service.embed('first', { as: 'number' })).toEqual(await embeddings.embedQuery('first'));
  });

  it('come to the same vectors: embedMany of the AI SDK', async () => {
    const model = createOpenAI({ apiKey: KEY, baseURL: recorder.url }).embedding(MODEL);
    const { embeddings, usage } = await embedMany({ model, values: TEXTS });
    let tokens = 0;
    const vectors = await service.embedMany(TEXTS, { as: 'number', onUsage: (used) => (tokens = used.tokens) });
    expect(vectors).toEqual(embeddings);
    expect(tokens).toBe(usage.tokens);
    const [theirs, own] = recorder.requests;
    expect([own!.path, own!.headers.authorization]).toEqual([theirs!.path, theirs!.headers.authorization]);
    expect(own!.body['input']).toEqual(theirs!.body['input']);
    // Floats are up to four times the bytes.
    expect([theirs!.body['encoding_format'], own!.body['encoding_format']]).toEqual(['float', 'base64']);
  });

  it('leave no connection of ours busy', async () => {
    await service.embedMany(TEXTS);
    await eventually(() => pool.stats().activeConnections === 0, 'the connections are back');
  });
});
