import type { EmbeddingModelV3 } from '@ai-sdk/provider';
import {
  cosineSimilarity,
  createProviderRegistry,
  customProvider,
  defaultEmbeddingSettingsMiddleware,
  embed,
  embedMany,
  wrapEmbeddingModel,
} from 'ai';
import { asEmbeddingModel, type PooledEmbeddingModel } from '../../../lib/embedding/adapters/ai-sdk.js';
import { EmbeddingApiError } from '../../../lib/embedding/embedding-errors.js';
import { type Rig, startRig, StubEmbedder, tokensOf, vectorOf } from './rig.js';

const VALUES = ['a pool leases, a lease ends', 'the cat has the sofa', 'drain before shutdown'];

let rig: Rig;
let model: EmbeddingModelV3;
beforeEach(async () => {
  rig = await startRig();
  // Taken where the SDK's own type is asked for: that is the test of the type.
  model = asEmbeddingModel(rig.embedder);
});
afterEach(() => rig.close());

const inputTypes = () => rig.asked.map(({ inputType }) => inputType);
const answering = (usages: readonly number[]) =>
  new StubEmbedder((texts, { onUsage }) => {
    for (const tokens of usages) onUsage?.({ tokens });
    return Promise.resolve(texts.map(vectorOf));
  });

describe("asEmbeddingModel under the AI SDK's embed and embedMany", () => {
  it('embeds one text, with its tokens', async () => {
    const { embedding, usage, warnings } = await embed({ model, value: VALUES[0]! });
    expect(embedding).toEqual(Array.from(vectorOf(VALUES[0]!)));
    expect(usage).toEqual({ tokens: tokensOf([VALUES[0]!]) });
    expect(warnings).toEqual([]);
  });

  it('embeds many in their order, alike to themselves and to nothing else', async () => {
    const { embeddings, usage } = await embedMany({ model, values: VALUES });
    expect(embeddings).toEqual(VALUES.map((text) => Array.from(vectorOf(text))));
    expect(usage).toEqual({ tokens: tokensOf(VALUES) });
    const [pools, cats] = embeddings;
    expect(cosineSimilarity(pools!, pools!)).toBeCloseTo(1, 6);
    expect(cosineSimilarity(pools!, cats!)).toBeLessThan(0.2);
  });

  it('gets all texts in one call, however many, and leaves the batches to the embedder', async () => {
    const values = Array.from({ length: 3_000 }, (_none, index) => `lease ${index}`);
    const { embeddings } = await embedMany({ model, values, maxParallelCalls: 2 });
    expect(embeddings).toHaveLength(3_000);
    expect(rig.asked.map(({ texts }) => texts.length)).toEqual([3_000]);
    expect(rig.requests.flat().toSorted()).toEqual(values.toSorted());
  });

  it('takes the input type from the provider options, and from a middleware of the SDK', async () => {
    const providerOptions = { nestjsPools: { inputType: 'query' } };
    await embed({ model, value: 'cat', providerOptions });
    await embed({ model, value: 'cat', providerOptions: { openai: { user: 'someone' } } });
    const middleware = defaultEmbeddingSettingsMiddleware({ settings: { providerOptions } });
    await embed({ model: wrapEmbeddingModel({ model, middleware }), value: 'cat' });
    expect(inputTypes()).toEqual(['query', undefined, 'query']);
  });

  it.each([
    [{ inputType: 'passage' }, "providerOptions.nestjsPools.inputType: expected 'query' or 'document', got a text"],
    [{ input_type: 'query' }, 'providerOptions.nestjsPools.input_type: no such option (did you mean inputType?)'],
  ])('refuses provider options that it does not know: %j', async (nestjsPools, told) => {
    await expect(embed({ model, value: 'cat', providerOptions: { nestjsPools } })).rejects.toThrow(told);
    expect(rig.asked).toEqual([]);
  });

  it('can be found in a registry by its name', async () => {
    const registry = createProviderRegistry({ pools: customProvider({ embeddingModels: { small: model } }) });
    const { embedding } = await embed({ model: registry.embeddingModel('pools:small'), value: 'cat' });
    expect(embedding).toEqual(Array.from(vectorOf('cat')));
  });

  it('hands the signal on', async () => {
    const abort = new AbortController();
    await embedMany({ model, values: VALUES, abortSignal: abort.signal });
    expect(rig.asked.map(({ signal }) => signal)).toEqual([abort.signal]);
    abort.abort(new Error('the page was closed'));
    await expect(embed({ model, value: 'cat', abortSignal: abort.signal })).rejects.toMatchObject({
      code: expect.stringMatching(/ABORTED$/),
    });
    expect(rig.requests).toHaveLength(1);
  });

  it.each([0, 2, 7])(
    'lets an error through as it is and is not tried again, with maxRetries %d',
    async (maxRetries) => {
      const error = new EmbeddingApiError({ status: 429, kind: 'rate-limit', retryAfterMs: 1 });
      const stub = new StubEmbedder(() => Promise.reject(error));
      const failing = asEmbeddingModel(stub);
      await expect(embed({ model: failing, value: 'cat', maxRetries })).rejects.toBe(error);
      await expect(embedMany({ model: failing, values: VALUES, maxRetries })).rejects.toBe(error);
      expect(stub.calls).toBe(2);
    },
  );
});

describe("asEmbeddingModel's own answers", () => {
  it.each([
    ['one request', [7], { tokens: 7 }],
    ['several requests', [7, 5, 0], { tokens: 12 }],
    ['a cache that had everything', [0], { tokens: 0 }],
    ['a server that does not count', [], undefined],
    ['a count that is none', [7, NaN], undefined],
  ])('tell the tokens of %s', async (_what, usages, usage) => {
    const answer = await asEmbeddingModel(answering(usages)).doEmbed({ values: VALUES });
    expect(answer.usage).toEqual(usage);
    expect('usage' in answer).toBe(usage !== undefined);
  });

  it('tell of no tokens for no texts', async () => {
    const { embeddings, usage } = await embedMany({ model: asEmbeddingModel(answering([])), values: [] });
    expect([embeddings, usage]).toEqual([[], { tokens: 0 }]);
  });

  it('warn of what is not done', async () => {
    const counting = asEmbeddingModel(answering([]));
    const headers = { 'user-agent': 'ai/6', 'x-tenant': 'acme' };
    const { warnings } = await counting.doEmbed({ values: ['cat'], headers, dimensions: 3 });
    expect(warnings.map(({ type, feature }) => `${type} ${feature}`)).toEqual([
      'unsupported headers',
      'unsupported dimensions',
    ]);
    // Names of headers are no secret, their values may be.
    expect(JSON.stringify(warnings)).not.toContain('acme');
    expect(
      (await counting.doEmbed({ values: ['cat'], headers: { 'User-Agent': 'x' }, dimensions: 8 })).warnings,
    ).toEqual([]);
  });

  it('are of as many dimensions as the call asks for, where the embedder can', async () => {
    const cutting = new StubEmbedder((texts, { dimensions }) =>
      Promise.resolve(texts.map((text) => vectorOf(text).subarray(0, dimensions))),
    );
    const { embeddings, warnings } = await asEmbeddingModel(cutting).doEmbed({ values: VALUES, dimensions: 3 });
    expect(embeddings.map(({ length }) => length)).toEqual([3, 3, 3]);
    expect(warnings).toEqual([]);
  });

  it('are refused where a text has no vector', async () => {
    const skipping = new StubEmbedder(() => Promise.resolve([vectorOf('cat'), undefined as unknown as Float32Array]));
    await expect(asEmbeddingModel(skipping).doEmbed({ values: ['cat', ' '] })).rejects.toThrow('text 1 has no vector');
  });

  it('are of the version that is asked for', () => {
    const v4: PooledEmbeddingModel<'v4'> = asEmbeddingModel(rig.embedder, { specificationVersion: 'v4' });
    // AI SDK 7's interface is that of AI SDK 6, but for the version and the `dimensions` of a call.
    const sameAsV3: Omit<EmbeddingModelV3, 'specificationVersion'> = v4;
    expect(sameAsV3).toMatchObject({ specificationVersion: 'v4' });
    expect(model).toMatchObject({
      specificationVersion: 'v3',
      provider: 'nestjs-pools',
      modelId: 'bag-of-words',
      maxEmbeddingsPerCall: Infinity,
      supportsParallelCalls: true,
    });
    expect(asEmbeddingModel(rig.embedder, { provider: 'openai.embedding' }).provider).toBe('openai.embedding');
  });

  it('refuses wrong options, all of them', () => {
    const wrong = { specificationVersion: 'v2', provider: '', model: 'x' } as object;
    expect(() => asEmbeddingModel(rig.embedder, wrong)).toThrow(
      expect.objectContaining({
        code: 'POOL_OPTIONS',
        problems: [
          "specificationVersion: expected 'v3' or 'v4', got a text",
          'provider: expected a text that is not empty, got an empty text',
          'model: no such option',
        ],
      }),
    );
  });
});
