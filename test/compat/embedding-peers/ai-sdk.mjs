import assert from 'node:assert/strict';
import {
  createProviderRegistry,
  customProvider,
  defaultEmbeddingSettingsMiddleware,
  embed,
  embedMany,
  wrapEmbeddingModel,
} from 'ai';
import { asEmbeddingModel, EmbeddingAbortedError } from 'nestjs-pools/embedding';
import { failsOnceAsItIs, MANY, TEXTS, vectorsOf } from './fixtures.mjs';
import { tokensOf, vectorOf } from './openai-server.mjs';

// What it warns of is asserted and need not be logged.
globalThis.AI_SDK_LOG_WARNINGS = false;

export function* aiSdkChecks(rig) {
  for (const specificationVersion of ['v3', 'v4']) {
    const model = asEmbeddingModel(rig.service, { specificationVersion });
    assert.equal(model.specificationVersion, specificationVersion);
    for (const [what, check] of Object.entries(checksOf(model, rig))) yield [`ai ${specificationVersion}`, what, check];
  }
}

const checksOf = (model, { server, service }) => ({
  'embed: the vector and its tokens': async () => {
    for (const value of TEXTS) {
      const { embedding, usage, warnings } = await embed({ model, value });
      assert.deepEqual([embedding, usage, warnings], [vectorOf(value), { tokens: tokensOf([value]) }, []]);
    }
  },

  'embedMany: all texts in one call, their order, the sum of their tokens': async () => {
    const calls = [];
    const counted = { ...model, doEmbed: (call) => calls.push(call.values.length) && model.doEmbed(call) };
    const { result, requests } = await server.counting(() =>
      embedMany({ model: counted, values: MANY, maxParallelCalls: 1 }),
    );
    assert.deepEqual(result.embeddings, vectorsOf(MANY));
    assert.deepEqual(result.usage, { tokens: 2 * MANY.length });
    assert.deepEqual(calls, [MANY.length]);
    assert.deepEqual(requests.flat().toSorted(), MANY.toSorted());
  },

  'embedMany: no texts, no request': async () => {
    const { result, requests } = await server.counting(() => embedMany({ model, values: [] }));
    assert.deepEqual([result.embeddings, result.usage, requests], [[], { tokens: 0 }, []]);
  },

  'the `dimensions` of a call go to the server': async () => {
    const { embeddings, warnings } = await embedMany({ model, values: TEXTS, dimensions: 4 });
    assert.deepEqual([embeddings, warnings], [vectorsOf(TEXTS, 4), []]);
    assert.deepEqual((await embed({ model, value: TEXTS[1], dimensions: 4 })).embedding, vectorOf(TEXTS[1], 4));
  },

  'headers are warned of, not sent': async () => {
    const { warnings } = await embed({ model, value: 'cat', headers: { 'x-tenant': 'acme' } });
    assert.deepEqual(
      warnings.map(({ type, feature }) => [type, feature]),
      [['unsupported', 'headers']],
    );
  },

  'an abort ends the request at the server': async () => {
    for (const ask of [
      (abortSignal) => embed({ model, value: 'silent', abortSignal }),
      (abortSignal) => embedMany({ model, values: [...TEXTS, 'silent'], abortSignal }),
    ]) {
      const abort = new AbortController();
      const reason = new Error('the page was closed');
      const { asked, left } = server.silence();
      const { result, requests } = await server.counting(async () => {
        const ending = ask(abort.signal).then(
          () => 'an answer',
          (error) => error,
        );
        await asked;
        abort.abort(reason);
        await left;
        return ending;
      });
      assert.ok(result instanceof EmbeddingAbortedError, `got ${result?.stack ?? result}`);
      assert.equal(result.cause, reason);
      assert.equal(requests.length, 1, 'requests');
    }
  },

  'an error is ours, and asked once, whatever `maxRetries`': async () => {
    for (const maxRetries of [undefined, 0, 5]) {
      await failsOnceAsItIs(server, () => embed({ model, value: 'broken', maxRetries }));
      await failsOnceAsItIs(server, () => embedMany({ model, values: [...TEXTS, 'broken'], maxRetries }));
    }
  },

  'behind a registry and a middleware': async () => {
    const settings = { providerOptions: { nestjsPools: { inputType: 'query' } } };
    const asked = [];
    const spy = {
      model: 'm',
      embed: (text) => service.embed(text),
      embedMany: (texts, call) => asked.push(call) && service.embedMany(texts, call),
    };
    const { specificationVersion } = model;
    const wrapped = wrapEmbeddingModel({
      model: asEmbeddingModel(spy, { specificationVersion }),
      middleware: defaultEmbeddingSettingsMiddleware({ settings }),
    });
    const registry = createProviderRegistry({ pools: customProvider({ embeddingModels: { small: wrapped } }) });
    const { embedding } = await embed({ model: registry.embeddingModel('pools:small'), value: 'cat' });
    assert.deepEqual(embedding, vectorOf('cat'));
    assert.deepEqual(
      asked.map(({ inputType }) => inputType),
      ['query'],
    );
  },
});
