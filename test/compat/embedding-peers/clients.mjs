import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { OpenAIEmbeddings } from '@langchain/openai';
import { embedMany } from 'ai';
import OpenAI from 'openai';
import { MANY, TEXTS, vectorsOf } from './fixtures.mjs';

/** The service's vectors are those that the others' own clients get from the same server. */
export function* clientsChecks({ server, service }) {
  const configuration = { baseURL: server.url, apiKey: 'none' };
  const values = [...TEXTS, ...MANY];
  const ours = async () => service.embedMany(values, { as: 'number' });

  yield [
    'openai',
    'its vectors are ours',
    async () => {
      const { data } = await new OpenAI(configuration).embeddings.create({ model: 'm', input: values });
      const theirs = data.map(({ embedding }) => embedding);
      assert.deepEqual(await ours(), theirs);
      assert.deepEqual(theirs, vectorsOf(values));
    },
  ];
  yield [
    '@ai-sdk/openai',
    'its vectors are ours',
    async () => {
      const model = createOpenAI(configuration).embeddingModel('m');
      assert.deepEqual(await ours(), (await embedMany({ model, values })).embeddings);
    },
  ];
  yield [
    '@langchain/openai',
    'its vectors are ours',
    async () => {
      const theirs = new OpenAIEmbeddings({ model: 'm', apiKey: 'none', configuration });
      assert.deepEqual(await ours(), await theirs.embedDocuments(values));
      const [query] = TEXTS;
      assert.deepEqual(await service.embed(query, { as: 'number' }), await theirs.embedQuery(query));
    },
  ];
}
