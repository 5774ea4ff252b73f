import {
  bedrockProfile,
  defineEmbeddingProfile,
  EmbeddingApiError,
  EmbeddingConnectionError,
  EmbeddingResponseError,
  type EmbeddingProfile,
} from 'nestjs-pools/embedding';
import { type Script, vectorOf } from '../../support/embedding-server.js';
import { closeRigs, errorOf, failure, KEY, kindOf, Rig, viewsOf } from './rig.js';

afterEach(closeRigs);

const TEXTS = Array.from({ length: 9 }, (_none, index) => `text ${index}`);

describe('Bedrock', () => {
  it('is sent one text in a request of Titan, at the path of the model', async () => {
    const rig = await Rig.start('bedrock', { options: { dimensions: 8 } });
    expect(await rig.service.embedMany(TEXTS)).toEqual(rig.rightOf(TEXTS));
    expect(rig.server.requests).toHaveLength(TEXTS.length);
    expect(rig.server.requests[0]!.body).toEqual({ inputText: 'text 0', dimensions: 8 });
  });

  it('is sent one text in a request of Titan whatever batch size was set: it reads no more', async () => {
    const rig = await Rig.start('bedrock', { options: { batchSize: 7 } });
    expect(await rig.service.embedMany(TEXTS)).toEqual(rig.rightOf(TEXTS));
    expect(rig.server.requests).toHaveLength(TEXTS.length);
  });

  it.each([
    [
      'by the type of its numbers',
      (vectors: number[][]) => ({ embeddings: { float: vectors }, response_type: 'embeddings_by_type' }),
    ],
    ['as a bare list', (vectors: number[][]) => ({ embeddings: vectors, response_type: 'embeddings_floats' })],
  ])('is sent many in a request of Cohere, whose vectors come %s', async (_what, shape) => {
    const script: Script = ({ texts, inputType }) => ({
      json: shape(texts.map((text) => Array.from(vectorOf(text, 8, inputType)))),
    });
    const rig = await Rig.start('bedrock', { script, options: { model: 'cohere.embed-multilingual-v3' } });
    for (const inputType of ['query', 'document'] as const) {
      const vectors = await rig.service.embedMany(TEXTS, { inputType });
      expect(vectors).toEqual(TEXTS.map((text) => vectorOf(text, 8, inputType)));
    }
    expect(rig.server.requests).toHaveLength(2);
    expect(rig.server.requests[0]!.path).toBe('/model/cohere.embed-multilingual-v3/invoke');
    expect(rig.server.requests[0]!.body).toMatchObject({ input_type: 'search_query', truncate: 'NONE' });
  });

  it('is signed anew for every attempt, over what is really sent', async () => {
    const signed: string[] = [];
    const profile = bedrockProfile({
      sign: async ({ method, url, body }) => {
        signed.push(`${method} ${url.pathname} ${body}`);
        return { 'x-amz-signature': String(signed.length) };
      },
    });
    const rig = await Rig.start('bedrock', { options: { profile } });
    rig.server.script = ({ number }) => (number === 0 ? { error: [500, 'once'] } : undefined);
    expect(await rig.service.embed('a')).toEqual(rig.right('a'));
    expect(rig.server.requests.map(({ headers }) => headers['x-amz-signature'])).toEqual(['1', '2']);
    const { path, body } = rig.server.requests[0]!;
    expect(signed).toEqual(Array<string>(2).fill(`POST ${path} ${JSON.stringify(body)}`));
  });
});

describe('a profile with a call of its own', () => {
  const PATH = 'model/of-mine/invoke';

  /** One text after the other over the connection that is leased for the call. */
  const sending: NonNullable<EmbeddingProfile['call']> = async ({ connection, request, signal }) => {
    const vectors: number[][] = [];
    let tokens = 0;
    for (const inputText of request.texts) {
      const { data } = await connection.client.post<{ embedding: number[]; inputTextTokenCount: number }>(
        PATH,
        { inputText },
        { signal },
      );
      vectors.push(data.embedding);
      tokens += data.inputTextTokenCount;
    }
    return { vectors, tokens };
  };
  const profileOf = (call: NonNullable<EmbeddingProfile['call']>): EmbeddingProfile =>
    defineEmbeddingProfile({ extends: 'bedrock', name: 'mine', limits: { maxInputs: 4 }, call });

  it('is asked over leased connections, and each text has its own vector', async () => {
    const rig = await Rig.start('bedrock', { options: { profile: profileOf(sending), batchSize: 4 } });
    expect(await rig.service.embedMany(TEXTS)).toEqual(rig.rightOf(TEXTS));
    expect(rig.server.requests.every(({ path }) => path === `/${PATH}`)).toBe(true);
    expect(rig.service.stats()).toMatchObject({ requests: 3, tokens: 2 * TEXTS.length });
    expect(rig.pool.stats().activeConnections).toBe(0);
  });

  it.each([
    ['too few vectors', async () => ({ vectors: [] })],
    ['too many', async () => ({ vectors: Array.from({ length: 9 }, () => [1]) })],
    ['no list', async () => ({ vectors: 'none' as unknown as number[][] })],
  ])('that gives %s is not believed', async (_what, call) => {
    const rig = await Rig.start('bedrock', { options: { profile: profileOf(call), retry: false } });
    expect(await failure(rig.service.embedMany(TEXTS))).toBeInstanceOf(EmbeddingResponseError);
    for (const outcome of await rig.service.embedMany(TEXTS, { settle: true })) {
      expect(errorOf(outcome)).toBeInstanceOf(EmbeddingResponseError);
    }
    expect(rig.pool.stats().activeConnections).toBe(0);
  });

  it.each([
    ['NaN', [NaN, 1], 'not-finite'],
    ['zeros', [0, 0], 'zero'],
    ['none', [], 'missing'],
  ])('that gives %s for a vector has that error for the text', async (_what, vector, problem) => {
    const call = async ({ request }: { request: { texts: readonly string[] } }) => ({
      vectors: request.texts.map((text) => (text === 'text 1' ? vector : [1, 2])),
    });
    const rig = await Rig.start('bedrock', { options: { profile: profileOf(call) } });
    const outcomes = await rig.service.embedMany(TEXTS, { settle: true });
    expect(outcomes.map((outcome) => errorOf(outcome)).filter((error) => error !== undefined)).toMatchObject([
      { problem },
    ]);
    expect(errorOf(outcomes[1])).toMatchObject({ problem });
  });

  it('may fail by an error of ours, which is understood', async () => {
    let calls = 0;
    const rig = await Rig.start('bedrock', {
      options: {
        profile: profileOf(async (call) => {
          calls += 1;
          if (calls === 1) throw new EmbeddingApiError({ status: 503, kind: 'transient' });
          return sending(call);
        }),
      },
    });
    expect(await rig.service.embedMany(['a', 'b'])).toEqual(rig.rightOf(['a', 'b']));
  });

  it('fails by what its connection fails by, without a key', async () => {
    const rig = await Rig.start('bedrock', {
      script: () => ({ take: (response) => response.destroy() }),
      options: { profile: profileOf(sending), retry: false },
    });
    const error = await failure(rig.service.embed('a private thought'));
    expect(error).toBeInstanceOf(EmbeddingConnectionError);
    expect(viewsOf(error)).not.toMatch(/planted|private thought/);
    await rig.isSaneAgain(['a', 'b']);
  });

  it('is ended with the call that it is for', async () => {
    const controller = new AbortController();
    const rig = await Rig.start('bedrock', {
      script: () => {
        controller.abort(new Error('enough'));
        return new Promise(() => undefined);
      },
      options: { profile: profileOf(sending) },
    });
    const error = await failure(rig.service.embed('a', { signal: controller.signal }));
    expect(error).toMatchObject({ code: 'EMBEDDING_ABORTED', cause: { message: 'enough' } });
    await rig.isSaneAgain(['a', 'b']);
  });
});

describe("a profile of one's own", () => {
  /** A server that speaks as nobody else does. */
  const profile = defineEmbeddingProfile({
    name: 'house',
    limits: { maxInputs: 3, maxConcurrency: 2 },
    path: ({ model }) => `turn/${model}?kind=text`,
    headers: ({ inputType }) => ({ 'x-kind': inputType ?? 'none' }),
    body: ({ texts, inputType }) => ({ texts, input_type: inputType }),
    encoding: 'never',
    read: (answer) => ({
      items: (answer as { out: { at: number; v: number[] }[] }).out.map(({ at, v }) => ({ index: at, embedding: v })),
      tokens: 7,
    }),
    classify: ({ code }) => (code === 'TIRED' ? 'rate-limit' : code === 'BAD_TEXT' ? 'input' : undefined),
  });
  const answering: Script = ({ texts, inputType }) => ({
    json: { out: texts.map((text, at) => ({ at, v: Array.from(vectorOf(text, 8, inputType)) })).toReversed() },
  });

  it('decides what is sent, where to, and how the answer is read', async () => {
    const rig = await Rig.start('unknown', { script: answering, options: { profile } });
    for (const inputType of ['query', 'document'] as const) {
      const vectors = await rig.service.embedMany(TEXTS, { inputType });
      expect(vectors).toEqual(TEXTS.map((text) => vectorOf(text, 8, inputType)));
    }
    for (const { path, headers, body, texts } of rig.server.requests) {
      expect(path).toBe('/v1/turn/m?kind=text');
      expect(body).toEqual({ texts, input_type: headers['x-kind'] });
      expect(texts.length).toBeLessThanOrEqual(3);
    }
    expect(rig.server.mostInFlight).toBeLessThanOrEqual(2);
    expect(rig.service.stats().tokens).toBe(7 * rig.server.requests.length);
  });

  it('decides what errors mean', async () => {
    const rig = await Rig.start('unknown', { options: { profile, retry: false } });
    rig.server.script = ({ texts }) =>
      texts.includes('text 4')
        ? { error: [418, 'no', 'BAD_TEXT'] }
        : answering(rig.server.requests.at(-1)!, () => ({}));
    const outcomes = await rig.service.embedMany(TEXTS, { settle: true });
    expect(outcomes.flatMap(({ ok }, place) => (ok ? [] : [place]))).toEqual([4]);
    rig.server.script = () => ({ error: [418, `no ${KEY}`, 'TIRED'] });
    expect(kindOf(await failure(rig.service.embed('a')))).toBe('rate-limit');
  });

  it.each([{}, [], { out: [{ at: 0 }] }, { out: [null] }, { out: 'x' }, 7, null])(
    'that cannot read an answer such as %j has no vector of it',
    async (json) => {
      const rig = await Rig.start('unknown', { script: () => ({ json }), options: { profile, retry: false } });
      const error = await failure(rig.service.embed('a private thought'));
      expect(['EMBEDDING_RESPONSE', 'EMBEDDING_VECTOR']).toContain((error as { code?: string }).code);
      expect(viewsOf(error)).not.toContain('private thought');
      rig.server.script = answering;
      expect(await rig.service.embed('a private thought')).toEqual(vectorOf('a private thought'));
    },
  );
});
