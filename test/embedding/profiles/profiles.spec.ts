import { bedrockProfile } from '../../../lib/embedding/profiles/bedrock.profile.js';
import type { EmbeddingProfile, EmbeddingRequest } from '../../../lib/embedding/profiles/profile.js';
import { profileFor } from '../../../lib/embedding/profiles/profile-registry.js';
import { requestBody } from '../../../lib/embedding/protocol/request-body.js';

const REQUEST: EmbeddingRequest = {
  model: 'm',
  texts: ['a', 'b'],
  dimensions: 256,
  inputType: 'query',
  encoding: 'base64',
  truncate: true,
  extraBody: undefined,
};
const BARE: EmbeddingRequest = {
  ...REQUEST,
  dimensions: undefined,
  inputType: undefined,
  encoding: undefined,
  truncate: false,
};

const profileOf = (name: string): EmbeddingProfile => profileFor(new URL('http://localhost/'), name);
const bodyOf = (name: string, request: Partial<EmbeddingRequest> = {}): unknown =>
  JSON.parse(requestBody(profileOf(name), { ...REQUEST, ...request }));

describe('profiles of embedding servers', () => {
  it.each(['openai', 'azure', 'tei', 'ollama', 'litellm', 'gemini', 'unknown'])(
    'sends %s what OpenAI knows, and nothing of the input type',
    (name) => {
      const expected = { model: 'm', input: ['a', 'b'], encoding_format: 'base64', dimensions: 256 };
      expect(bodyOf(name)).toEqual(expected);
      expect(bodyOf(name, BARE)).toEqual({ model: 'm', input: ['a', 'b'] });
    },
  );

  it('tells vLLM to cut texts only if it shall', () => {
    expect(bodyOf('vllm')).toMatchObject({ truncate_prompt_tokens: -1, encoding_format: 'base64' });
    expect(bodyOf('vllm', BARE)).toEqual({ model: 'm', input: ['a', 'b'] });
    expect(bodyOf('vllm', { extraBody: { truncate_prompt_tokens: 100 } })).toMatchObject({
      truncate_prompt_tokens: 100,
    });
  });

  it('speaks to Voyage in its own words, and always says whether to cut', () => {
    expect(bodyOf('voyage')).toEqual({
      model: 'm',
      input: ['a', 'b'],
      encoding_format: 'base64',
      output_dimension: 256,
      input_type: 'query',
      truncation: true,
    });
    expect(bodyOf('voyage', BARE)).toEqual({ model: 'm', input: ['a', 'b'], truncation: false });
  });

  it('speaks to Mistral in its own words', () => {
    expect(bodyOf('mistral')).toEqual({
      model: 'm',
      input: ['a', 'b'],
      encoding_format: 'base64',
      output_dimension: 256,
    });
  });

  it('speaks to Cohere in its own words, and reads its answer', () => {
    const cohere = profileOf('cohere');
    expect(cohere.path!(REQUEST)).toBe('embed');
    expect(cohere.encoding).toBe('never');
    expect(bodyOf('cohere')).toEqual({
      model: 'm',
      texts: ['a', 'b'],
      input_type: 'search_query',
      embedding_types: ['float'],
      output_dimension: 256,
      truncate: 'END',
    });
    expect(bodyOf('cohere', BARE)).toMatchObject({ input_type: 'search_document', truncate: 'NONE' });
    expect(
      cohere.read!({
        embeddings: {
          float: [
            [1, 2],
            [3, 4],
          ],
        },
        meta: { billed_units: { input_tokens: 5 } },
      }),
    ).toEqual({ items: [{ embedding: [1, 2] }, { embedding: [3, 4] }], tokens: 5 });
  });

  it('tells Jina the task where the model knows it', () => {
    expect(bodyOf('jina', { model: 'jina-embeddings-v3' })).toEqual({
      model: 'jina-embeddings-v3',
      input: ['a', 'b'],
      embedding_type: 'base64',
      dimensions: 256,
      task: 'retrieval.query',
      truncate: true,
    });
    expect(bodyOf('jina', { model: 'jina-embeddings-v4', inputType: 'document' })).toMatchObject({
      task: 'retrieval.passage',
    });
    expect(bodyOf('jina', { model: 'jina-embeddings-v2-base-en' })).not.toHaveProperty('task');
    expect(bodyOf('jina', { ...BARE, model: 'jina-embeddings-v3' })).toMatchObject({ embedding_type: 'float' });
  });

  it('keeps foreign texts out of a request with late chunking', () => {
    const jina = profileOf('jina');
    expect(jina.mayCoalesce!({ late_chunking: true })).toBe(false);
    expect(jina.mayCoalesce!({ late_chunking: false })).toBe(true);
    expect(jina.mayCoalesce!(undefined)).toBe(true);
  });

  it('speaks to Titan on Bedrock one text at a time', () => {
    const model = 'amazon.titan-embed-text-v2:0';
    const titan = { model, texts: ['a'] };
    expect(profileOf('bedrock').path!({ ...REQUEST, ...titan })).toBe('model/amazon.titan-embed-text-v2%3A0/invoke');
    expect(bodyOf('bedrock', { ...titan, extraBody: { normalize: false } })).toEqual({
      inputText: 'a',
      dimensions: 256,
      normalize: false,
    });
    expect(bodyOf('bedrock', { ...BARE, ...titan })).toEqual({ inputText: 'a' });
    expect(profileOf('bedrock').read!({ embedding: [1, 2], inputTextTokenCount: 3 })).toEqual({
      items: [{ embedding: [1, 2] }],
      tokens: 3,
    });
  });

  it('speaks to Cohere on Bedrock, whose answer has two shapes', () => {
    expect(bodyOf('bedrock', { model: 'cohere.embed-multilingual-v3' })).toEqual({
      texts: ['a', 'b'],
      input_type: 'search_query',
      embedding_types: ['float'],
      output_dimension: 256,
      truncate: 'END',
    });
    const bedrock = profileOf('bedrock');
    const items = [{ embedding: [1] }, { embedding: [2] }];
    expect(bedrock.read!({ embeddings: { float: [[1], [2]] } }).items).toEqual(items);
    expect(bedrock.read!({ embeddings: [[1], [2]] }).items).toEqual(items);
  });

  it('signs requests to Bedrock where a signature is given', async () => {
    const sign = ({ url, body }: { url: URL; body: string }): Record<string, string> => ({ to: url.host, of: body });
    const outgoing = { method: 'POST', url: new URL('https://h/p'), headers: {}, body: '{}' } as const;
    expect(await bedrockProfile({ sign }).sign!(outgoing)).toEqual({ to: 'h', of: '{}' });
    expect(bedrockProfile()).not.toHaveProperty('sign');
  });

  it("reads TEI's limits and uses half of its permits", () => {
    const discover = profileOf('tei').discover!;
    expect(discover.path).toBe('/info');
    expect(discover.read({ max_client_batch_size: 64, max_input_length: 512, max_concurrent_requests: 512 })).toEqual({
      maxInputs: 64,
      maxInputTokens: 512,
      maxInFlightInputs: 256,
    });
    expect(discover.read({ max_client_batch_size: 32, max_concurrent_requests: 11 })).toEqual({
      maxInputs: 5,
      maxInFlightInputs: 5,
    });
    expect(discover.read({ max_concurrent_requests: 1 })).toEqual({ maxInFlightInputs: 1 });
  });

  it.each([null, undefined, 'x', 7, [], {}, { embeddings: 7, meta: null, max_input_length: -1, embedding: null }])(
    'reads %j without complaint',
    (answer) => {
      for (const name of ['cohere', 'bedrock']) expect(() => profileOf(name).read!(answer)).not.toThrow();
      expect(profileOf('tei').discover!.read(answer)).toEqual({});
    },
  );

  it('gives Ollama time to load the model', () => {
    expect(profileOf('ollama').firstRequestPatience).toBe(4);
  });
});
