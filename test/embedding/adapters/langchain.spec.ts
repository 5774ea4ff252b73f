import { Document } from '@langchain/core/documents';
import type { Embeddings, EmbeddingsInterface } from '@langchain/core/embeddings';
import { SemanticSimilarityExampleSelector } from '@langchain/core/example_selectors';
import { RunnableLambda } from '@langchain/core/runnables';
import { FakeVectorStore } from '@langchain/core/utils/testing';
import { asLangChainEmbeddings } from '../../../lib/embedding/adapters/langchain.js';
import { EmbeddingApiError } from '../../../lib/embedding/embedding-errors.js';
import { type Rig, startRig, StubEmbedder, vectorOf } from './rig.js';

const DOCUMENTS = ['a pool leases, a lease ends', 'the cat has the sofa', 'drain before shutdown'];

let rig: Rig;
let embeddings: Embeddings & EmbeddingsInterface;
beforeEach(async () => {
  rig = await startRig();
  // Taken where LangChain's own types are asked for: that is the test of the types.
  embeddings = asLangChainEmbeddings(rig.embedder);
});
afterEach(() => rig.close());

const documents = () => DOCUMENTS.map((pageContent) => new Document({ pageContent }));
const inputTypes = () => rig.asked.map(({ inputType }) => inputType);

describe('asLangChainEmbeddings', () => {
  it('gives plain arrays of numbers, which survive JSON', async () => {
    const vectors = await embeddings.embedDocuments(DOCUMENTS);
    expect(vectors).toEqual(DOCUMENTS.map((text) => Array.from(vectorOf(text))));
    expect(vectors.every(Array.isArray)).toBe(true);
    expect(JSON.parse(JSON.stringify(vectors))).toEqual(vectors);
    expect(await embeddings.embedDocuments([])).toEqual([]);
  });

  it('embeds queries as queries and documents as documents', async () => {
    await embeddings.embedQuery('lease');
    await embeddings.embedDocuments(DOCUMENTS);
    expect(inputTypes()).toEqual(['query', 'document']);
  });

  it('works without its object, as in a chain of functions', async () => {
    const chain = RunnableLambda.from(embeddings.embedQuery);
    expect(await chain.invoke('cat')).toEqual(Array.from(vectorOf('cat')));
    expect(await chain.batch(['cat', 'sofa'])).toEqual([Array.from(vectorOf('cat')), Array.from(vectorOf('sofa'))]);
  });

  it('fills a vector store and finds by its retriever', async () => {
    const store = await FakeVectorStore.fromDocuments(documents(), embeddings);
    const found = await store.asRetriever(1).invoke('who is on the sofa? the cat');
    expect(found.map(({ pageContent }) => pageContent)).toEqual([DOCUMENTS[1]]);
    expect(rig.requests[0]).toEqual(DOCUMENTS);
    expect(inputTypes()).toEqual(['document', 'query']);
  });

  it('serves maximal scores, and scores that fall', async () => {
    const store = await FakeVectorStore.fromTexts(DOCUMENTS, {}, embeddings);
    const scores = (await store.similaritySearchWithScore(DOCUMENTS[2]!, 3)).map(([, score]) => score);
    expect(scores[0]).toBeCloseTo(1, 6);
    expect(scores).toEqual(scores.toSorted((left, right) => right - left));
  });

  it('selects the examples that are most alike', async () => {
    const selector = await SemanticSimilarityExampleSelector.fromExamples(
      DOCUMENTS.map((input) => ({ input })),
      embeddings,
      FakeVectorStore,
      { k: 1 },
    );
    expect(await selector.selectExamples({ question: 'what to drain at shutdown?' })).toEqual([
      { input: DOCUMENTS[2] },
    ]);
  });

  it('has a caller that calls once, for whoever uses that of the class', async () => {
    let calls = 0;
    const failing = (text: string) => {
      calls += 1;
      return Promise.reject(new Error(text));
    };
    await expect(embeddings.caller.call(failing, 'no')).rejects.toThrow('no');
    await expect(embeddings.caller.callWithOptions({}, failing, 'no')).rejects.toThrow('no');
    expect(calls).toBe(2);
  });

  it('lets an error through as it is, after one call', async () => {
    const error = new EmbeddingApiError({ status: 503, kind: 'transient' });
    const stub = new StubEmbedder(() => Promise.reject(error));
    const store = new FakeVectorStore(asLangChainEmbeddings(stub));
    await expect(store.addDocuments(documents())).rejects.toBe(error);
    await expect(store.similaritySearch('cat')).rejects.toBe(error);
    expect(stub.calls).toBe(2);
  });
});
