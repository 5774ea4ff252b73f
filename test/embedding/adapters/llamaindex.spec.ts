import { type BaseEmbedding, getTopKEmbeddings, SimilarityType, similarity } from '@llamaindex/core/embeddings';
import { Settings } from '@llamaindex/core/global';
import { vectorBlock } from '@llamaindex/core/memory';
import { SentenceSplitter } from '@llamaindex/core/node-parser';
import { type BaseNode, Document, MetadataMode, TextNode, type TransformComponent } from '@llamaindex/core/schema';
import {
  BaseVectorStore,
  type VectorStoreBaseParams,
  type VectorStoreQuery,
  type VectorStoreQueryResult,
  VectorStoreQueryMode,
} from '@llamaindex/core/vector-store';
import fc from 'fast-check';
import { asLlamaIndexEmbedding } from '../../../lib/embedding/adapters/llamaindex.js';
import { EmbeddingApiError } from '../../../lib/embedding/embedding-errors.js';
import { type Rig, startRig, StubEmbedder, vectorOf } from './rig.js';

const TEXTS = ['A pool leases, a lease ends.', 'The cat has the sofa.', 'Drain before shutdown.'];

let rig: Rig;
let model: BaseEmbedding;
beforeEach(async () => {
  rig = await startRig();
  // Taken where LlamaIndex's own class is asked for: that is the test of the type.
  model = asLlamaIndexEmbedding(rig.embedder);
});
afterEach(() => rig.close());

const plain = (text: string) => Array.from(vectorOf(text));
const inputTypes = () => rig.asked.map(({ inputType }) => inputType);
const nodes = () => TEXTS.map((text) => new TextNode({ text }));

/** Like LlamaIndex's SimpleVectorStore, over the parts that its core package has. */
class MemoryStore extends BaseVectorStore {
  readonly nodes: BaseNode[] = [];
  storesText = true;

  constructor(params?: VectorStoreBaseParams) {
    super(params);
  }

  client(): undefined {
    return undefined;
  }

  add(added: BaseNode[]): Promise<string[]> {
    this.nodes.push(...added);
    return Promise.resolve(added.map(({ id_ }) => id_));
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  query({ queryEmbedding, similarityTopK }: VectorStoreQuery): Promise<VectorStoreQueryResult> {
    const vectors = this.nodes.map((node) => node.getEmbedding());
    const [similarities, ids] = getTopKEmbeddings(
      queryEmbedding!,
      vectors,
      similarityTopK,
      this.nodes.map(({ id_ }) => id_),
    );
    const found = ids.map((id) => this.nodes.find(({ id_ }) => id_ === id)!);
    return Promise.resolve({ nodes: found, similarities, ids: ids as string[] });
  }
}

/** What an IngestionPipeline does with its transformations. */
async function ingest(documents: BaseNode[], transformations: TransformComponent[]): Promise<BaseNode[]> {
  let made = documents;
  for (const transform of transformations) made = await transform(made);
  return made;
}

describe("asLlamaIndexEmbedding in LlamaIndex's own flows", () => {
  it('is a transformation in a pipeline, after a splitter', async () => {
    const splitter = new SentenceSplitter({ chunkSize: 64, chunkOverlap: 0 });
    const made = await ingest([new Document({ text: TEXTS.join(' ').repeat(9) })], [splitter, model]);
    expect(made.length).toBeGreaterThan(1);
    for (const node of made) expect(node.getEmbedding()).toEqual(plain(node.getContent(MetadataMode.EMBED)));
    expect(inputTypes()).toEqual(['document']);
  });

  it('embeds what a node shows to embeddings: its metadata, but for what is excluded', async () => {
    const node = new TextNode({ text: 'the sofa', metadata: { about: 'cat', secret: 'pool' } });
    node.excludedEmbedMetadataKeys = ['secret'];
    await model([node]);
    expect(rig.requests).toEqual([['about: cat\n\nthe sofa']]);
    expect(node.embedding).toEqual(plain('about: cat\n\nthe sofa'));
  });

  it("is Settings' model, and that of every vector store", async () => {
    await Settings.withEmbedModel(model, async () => {
      const store = new MemoryStore();
      expect(store.embedModel).toBe(model);
      await store.add(await store.embedModel(nodes()));
      const queryEmbedding = await store.embedModel.getQueryEmbedding({
        type: 'text',
        text: 'is the cat on the sofa?',
      });
      const { nodes: found } = await store.query({
        queryEmbedding: queryEmbedding!,
        similarityTopK: 1,
        mode: VectorStoreQueryMode.DEFAULT,
      });
      expect(found?.map((node) => node.getContent(MetadataMode.NONE))).toEqual([TEXTS[1]]);
    });
    expect(inputTypes()).toEqual(['document', 'query']);
  });

  it('serves a memory that finds by vectors', async () => {
    const memory = vectorBlock({
      vectorStore: new MemoryStore({ embedModel: model }),
      queryOptions: { similarityTopK: 1 },
      priority: 1,
    });
    await memory.put([{ id: '1', role: 'user', content: 'the cat has the sofa' }]);
    await memory.put([{ id: '1', role: 'user', content: 'drain before shutdown' }]);
    const [remembered] = await memory.get([{ id: '1', role: 'user', content: 'shutdown' }]);
    expect(remembered?.content).toContain('drain before shutdown');
    expect(remembered?.content).not.toContain('cat');
  });

  it('sends all texts at once, where LlamaIndex would wait for ten at a time', async () => {
    const progress: number[][] = [];
    const texts = Array.from({ length: 95 }, (_none, index) => `lease ${index}`);
    const vectors = await model.getTextEmbeddingsBatch(texts, {
      progressCallback: (current, total) => progress.push([current, total]),
    });
    expect(vectors).toEqual(texts.map(plain));
    expect(rig.asked.map((asked) => asked.texts.length)).toEqual([95]);
    expect(progress.at(-1)).toEqual([95, 95]);
  });

  it('lets an error through as it is', async () => {
    const error = new EmbeddingApiError({ status: 401, kind: 'auth' });
    const failing: BaseEmbedding = asLlamaIndexEmbedding(new StubEmbedder(() => Promise.reject(error)));
    await expect(ingest(nodes(), [failing])).rejects.toBe(error);
    await expect(failing.getQueryEmbedding({ type: 'text', text: 'cat' })).rejects.toBe(error);
  });
});

describe("asLlamaIndexEmbedding's methods", () => {
  it('embed texts, of which the caller may use the array again', async () => {
    const { getTextEmbeddings } = model;
    const texts = [...TEXTS];
    const vectors = getTextEmbeddings(texts);
    texts.length = 0;
    expect(await vectors).toEqual(TEXTS.map(plain));
    expect(await model.getTextEmbedding('cat')).toEqual(plain('cat'));
  });

  it('have no vector for a query without text', async () => {
    expect(await model.getQueryEmbedding({ type: 'text', text: '' })).toBeNull();
    expect(
      await model.getQueryEmbedding({ type: 'image_url', image_url: { url: 'https://x.test/cat.png' } }),
    ).toBeNull();
    expect(rig.asked).toEqual([]);
  });

  it('cut no text', () => {
    expect(model.truncateMaxTokens(TEXTS)).toEqual(TEXTS);
  });

  it("measure as LlamaIndex's own do", () => {
    const numbers = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(numbers, numbers, (left, right) => {
        for (const mode of Object.values(SimilarityType)) {
          const expected = similarity(left, right, mode);
          const got = model.similarity(left, right, mode);
          if (Number.isNaN(expected)) expect(got).toBeNaN();
          else expect(got).toBeCloseTo(expected, 9);
        }
        expect(model.similarity(left, right)).toEqual(model.similarity(left, right, SimilarityType.DEFAULT));
      }),
    );
    expect(() => model.similarity([1], [1, 2])).toThrow('got 1 and 2');
  });

  it("tell a pipeline's cache which model it is, and nothing else", () => {
    expect(JSON.parse(JSON.stringify(model))).toEqual({ type: 'nestjs-pools', model: 'bag-of-words' });
  });

  it('have an id each', () => {
    expect(model.id).not.toEqual(asLlamaIndexEmbedding(rig.embedder).id);
  });
});
