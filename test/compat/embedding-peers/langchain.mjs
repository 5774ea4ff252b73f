import assert from 'node:assert/strict';
import { Document } from '@langchain/core/documents';
import { SemanticSimilarityExampleSelector } from '@langchain/core/example_selectors';
import { RunnableLambda } from '@langchain/core/runnables';
import { FakeVectorStore } from '@langchain/core/utils/testing';
import { asLangChainEmbeddings } from 'nestjs-pools/embedding';
import { failsOnceAsItIs, MANY, TEXTS, vectorsOf } from './fixtures.mjs';
import { vectorOf } from './openai-server.mjs';

export function* langChainChecks({ server, service }) {
  const embeddings = asLangChainEmbeddings(service);
  const checks = {
    'embedQuery, embedDocuments: plain arrays': async () => {
      assert.deepEqual(await embeddings.embedQuery(TEXTS[0]), vectorOf(TEXTS[0]));
      assert.deepEqual(await embeddings.embedDocuments(MANY), vectorsOf(MANY));
      assert.deepEqual(await embeddings.embedDocuments([]), []);
    },

    'a chain of runnables': async () => {
      const chain = RunnableLambda.from((text) => embeddings.embedQuery(text));
      assert.deepEqual(await chain.batch(TEXTS), vectorsOf(TEXTS));
    },

    'a vector store of documents, and its retriever': async () => {
      const documents = TEXTS.map((pageContent, id) => new Document({ pageContent, metadata: { id } }));
      const store = await FakeVectorStore.fromDocuments(documents, embeddings);
      for (const [id, text] of TEXTS.entries()) {
        const [found, ...more] = await store.asRetriever(1).invoke(text);
        assert.deepEqual([found.pageContent, found.metadata, more], [text, { id }, []]);
      }
    },

    'a vector store of texts: scores from 1 down': async () => {
      const store = await FakeVectorStore.fromTexts(TEXTS, {}, embeddings);
      const scores = (await store.similaritySearchWithScore(TEXTS[2], 4)).map(([, score]) => score);
      assert.ok(Math.abs(scores[0] - 1) < 1e-9, `the best is ${scores[0]}`);
      assert.deepEqual(
        scores,
        scores.toSorted((left, right) => right - left),
      );
    },

    'a selector of examples': async () => {
      const examples = TEXTS.map((input) => ({ input }));
      const selector = await SemanticSimilarityExampleSelector.fromExamples(examples, embeddings, FakeVectorStore, {
        k: 1,
      });
      assert.deepEqual(await selector.selectExamples({ question: TEXTS[1] }), [{ input: TEXTS[1] }]);
    },

    'an error is ours, and asked once': async () => {
      const store = new FakeVectorStore(embeddings);
      await failsOnceAsItIs(server, () => store.addDocuments([new Document({ pageContent: 'broken' })]));
      await failsOnceAsItIs(server, () => store.asRetriever(1).invoke('broken'));
      await failsOnceAsItIs(server, () => embeddings.caller.call(() => service.embed('broken')));
    },
  };
  for (const [what, check] of Object.entries(checks)) yield ['LangChain', what, check];
}
