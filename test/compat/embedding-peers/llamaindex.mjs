import assert from 'node:assert/strict';
import { getTopKEmbeddings, similarity, SimilarityType } from '@llamaindex/core/embeddings';
import { Settings } from '@llamaindex/core/global';
import { vectorBlock } from '@llamaindex/core/memory';
import { SentenceSplitter } from '@llamaindex/core/node-parser';
import { Document, MetadataMode, TextNode } from '@llamaindex/core/schema';
import { BaseVectorStore, VectorStoreQueryMode } from '@llamaindex/core/vector-store';
import { asLlamaIndexEmbedding } from 'nestjs-pools/embedding';
import { failsOnceAsItIs, MANY, TEXTS, vectorsOf } from './fixtures.mjs';
import { vectorOf } from './openai-server.mjs';

/** In memory, of the parts that the core package has. */
class MemoryStore extends BaseVectorStore {
  storesText = true;
  nodes = [];

  async add(nodes) {
    this.nodes.push(...nodes);
    return nodes.map(({ id_ }) => id_);
  }

  async query({ queryEmbedding, similarityTopK }) {
    const vectors = this.nodes.map((node) => node.getEmbedding());
    const places = [...this.nodes.keys()];
    const [similarities, found] = getTopKEmbeddings(queryEmbedding, vectors, similarityTopK, places);
    const nodes = found.map((place) => this.nodes[place]);
    return { nodes, similarities, ids: nodes.map(({ id_ }) => id_) };
  }
}

export function* llamaIndexChecks({ server, service }) {
  const model = asLlamaIndexEmbedding(service);
  const checks = {
    'a transformation after a splitter': async () => {
      const splitter = new SentenceSplitter({ chunkSize: 64, chunkOverlap: 0 });
      const made = await model(splitter([new Document({ text: `${TEXTS.join('. ')}. `.repeat(9) })]));
      assert.ok(made.length > 1);
      for (const node of made) assert.deepEqual(node.getEmbedding(), vectorOf(node.getContent(MetadataMode.EMBED)));
    },

    "Settings' model, a vector store and its query": async () => {
      await Settings.withEmbedModel(model, async () => {
        const store = new MemoryStore();
        assert.equal(store.embedModel, model);
        await store.add(await store.embedModel(TEXTS.map((text) => new TextNode({ text }))));
        for (const text of TEXTS) {
          const queryEmbedding = await store.embedModel.getQueryEmbedding({ type: 'text', text });
          const query = { queryEmbedding, similarityTopK: 1, mode: VectorStoreQueryMode.DEFAULT };
          const { nodes, similarities } = await store.query(query);
          assert.deepEqual(
            nodes.map((node) => node.getContent(MetadataMode.NONE)),
            [text],
          );
          assert.ok(Math.abs(similarities[0] - 1) < 1e-9);
        }
      });
    },

    'a memory that finds by vectors': async () => {
      const vectorStore = new MemoryStore({ embedModel: model });
      const memory = vectorBlock({ vectorStore, queryOptions: { similarityTopK: 1 }, priority: 1 });
      for (const content of TEXTS) await memory.put([{ id: '1', role: 'user', content }]);
      const [remembered] = await memory.get([{ id: '1', role: 'user', content: TEXTS[1] }]);
      assert.ok(remembered.content.includes(TEXTS[1]));
    },

    'a batch at once, with its progress': async () => {
      const progress = [];
      const progressCallback = (...counts) => progress.push(counts);
      const vectors = await model.getTextEmbeddingsBatch(MANY, { progressCallback });
      assert.deepEqual(vectors, vectorsOf(MANY));
      assert.deepEqual(progress.at(-1), [MANY.length, MANY.length]);
      assert.deepEqual(await model.getTextEmbedding(TEXTS[0]), vectorOf(TEXTS[0]));
    },

    'similarities as its own': () => {
      const [left, right] = vectorsOf(TEXTS);
      for (const mode of Object.values(SimilarityType)) {
        const difference = model.similarity(left, right, mode) - similarity(left, right, mode);
        assert.ok(Math.abs(difference) < 1e-12, `${mode} differs by ${difference}`);
      }
    },

    'an error is ours, and asked once': async () => {
      await failsOnceAsItIs(server, () => model([new TextNode({ text: 'broken' })]));
      await failsOnceAsItIs(server, () => model.getQueryEmbedding({ type: 'text', text: 'broken' }));
    },
  };
  for (const [what, check] of Object.entries(checks)) yield ['LlamaIndex', what, check];
}
