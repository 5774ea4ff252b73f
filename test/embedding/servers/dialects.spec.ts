import type { DialectName } from '../../support/embedding-server.js';
import { closeRigs, failure, isOneByOne, KEY, knowsInputType, NAMES, Rig, viewsOf } from './rig.js';

afterEach(closeRigs);

const TEXTS = Array.from({ length: 40 }, (_none, index) => `text ${index % 33} of many`);
const tokensOf = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);

describe.each(NAMES)('a server of the kind "%s"', (name) => {
  it.each([undefined, 1, 3, 16])('has each text its own vector, with %s texts in a request', async (batchSize) => {
    // A kind that takes one text in a request is not to be sent more.
    const size = isOneByOne(name) ? 1 : batchSize;
    const rig = await Rig.start(name, { options: size === undefined ? {} : { batchSize: size } });
    expect(await rig.service.embedMany(TEXTS)).toEqual(rig.rightOf(TEXTS));
    expect(await rig.service.embed('one alone')).toEqual(rig.right('one alone'));
    // The same text is sent once.
    const answered = rig.server.texts.length - (rig.service.stats().retries > 0 ? 0 : refusedTexts(rig));
    expect(answered).toBe(34);
    expect(Math.max(...rig.server.requests.map(({ texts }) => texts.length))).toBeLessThanOrEqual(size ?? 128);
  });

  it('finds what it has embedded in its cache', async () => {
    const rig = await Rig.start(name);
    const first = await rig.service.embedMany(TEXTS);
    const { length } = rig.server.requests;
    expect(await rig.service.embedMany(TEXTS)).toEqual(first);
    expect(rig.server.requests).toHaveLength(length);
  });

  it('embeds a query as a query and a document as a document, as far as it tells them apart', async () => {
    const rig = await Rig.start(name);
    for (const inputType of ['query', 'document', 'query'] as const) {
      const vectors = await rig.service.embedMany(['a', 'b'], { inputType });
      expect(vectors).toEqual(rig.rightOf(['a', 'b'], { inputType }));
    }
    const [query, document] = [rig.right('a', { inputType: 'query' }), rig.right('a', { inputType: 'document' })];
    if (knowsInputType(name)) expect(query).not.toEqual(document);
    else expect(query).toEqual(document);
  });

  it('is asked for the dimensions that are wanted, by call and by service', async () => {
    const rig = await Rig.start(name, { options: { dimensions: 16 } });
    expect(await rig.service.embedMany(['a', 'b'])).toEqual(rig.rightOf(['a', 'b'], { dimensions: 16 }));
    expect(await rig.service.embed('a', { dimensions: 4 })).toEqual(rig.right('a', { dimensions: 4 }));
  });

  it('has its tokens counted', async () => {
    const rig = await Rig.start(name);
    const texts = [...new Set(TEXTS)];
    const usages: number[] = [];
    await rig.service.embedMany(texts, { onUsage: ({ tokens }) => usages.push(tokens) });
    expect(usages).toEqual([tokensOf(texts)]);
    expect(rig.service.stats().tokens).toBe(tokensOf(texts));
    expect(rig.service.stats().embedded).toBe(texts.length);
  });

  it('gets the key in its header, and nobody else gets to see it or a text', async () => {
    const rig = await Rig.start(name, { options: { retry: false } });
    rig.server.script = ({ texts }) => ({ error: [400, `no: key ${KEY}, text "${texts[0]}"`, KEY] });
    const text = 'a private thought that must not be logged';
    const error = await failure(rig.service.embed(text));
    expect(viewsOf(error)).not.toMatch(/planted|private thought/);
    const { headers } = rig.server.requests[0]!;
    expect(name === 'azure' ? headers['api-key'] : headers['authorization']).toContain(KEY);
    expect(headers['accept-encoding']).toBe('identity');
  });
});

/** What a server has refused for the field that names an encoding. */
function refusedTexts({ server }: Rig): number {
  const { refuse } = server.dialect;
  return server.requests.filter((request) => refuse?.(request)).flatMap(({ texts }) => texts).length;
}

describe('the encoding', () => {
  const asking: DialectName[] = [
    'openai',
    'float-only',
    'base64-only',
    'index-less',
    'flat-error',
    'mistral',
    'litellm',
  ];
  it.each(asking)('is asked of a server of the kind "%s" as base64, whatever it answers with', async (name) => {
    const rig = await Rig.start(name);
    expect(await rig.service.embedMany(['a', 'b'])).toEqual(rig.rightOf(['a', 'b']));
    expect(rig.server.requests.map(({ wantsBase64 }) => wantsBase64)).toEqual([true]);
  });

  it.each(['no-encoding', 'no-encoding-litellm'] as const)(
    'is asked once of a server of the kind "%s", and never again',
    async (name) => {
      const rig = await Rig.start(name);
      expect(await rig.service.embedMany(['a', 'b'])).toEqual(rig.rightOf(['a', 'b']));
      expect(await rig.service.embed('c')).toEqual(rig.right('c'));
      expect(rig.server.requests.map(({ wantsBase64 }) => wantsBase64)).toEqual([true, false, false]);
      expect(rig.server.requests.slice(1).every(({ body }) => !('encoding_format' in body))).toBe(true);
      expect(rig.service.stats().endpoints[0]!.asksForBase64).toBe(false);
    },
  );

  it('is given up by every request that was under way when the first was refused', async () => {
    let arrived = 0;
    let all!: () => void;
    const together = new Promise<void>((resolve) => (all = resolve));
    const rig = await Rig.start('openai', { options: { batchSize: 1 } });
    rig.server.script = async ({ body }) => {
      if (!('encoding_format' in body)) return undefined;
      if ((arrived += 1) === 3) all();
      await together;
      return { error: [400, 'Unknown parameter: encoding_format'] };
    };
    const texts = ['a', 'b', 'c', 'd', 'e'];
    expect(await rig.service.embedMany(texts)).toEqual(rig.rightOf(texts));
    for (const text of texts) expect(rig.server.texts.filter((sent) => sent === text).length).toBeLessThanOrEqual(2);
    expect(rig.server.requests.at(-1)!.wantsBase64).toBe(false);
  });

  it('ends the call where the server refuses a field that was not sent', async () => {
    const rig = await Rig.start('openai', { script: () => ({ error: [400, 'Unknown parameter: encoding_format'] }) });
    expect(await failure(rig.service.embed('a'))).toMatchObject({ kind: 'unsupported', parameter: 'encoding_format' });
    expect(rig.server.requests).toHaveLength(2);
  });
});

describe('text-embeddings-inference', () => {
  const info = { max_client_batch_size: 5, max_input_length: 512, max_concurrent_requests: 16 };

  /** A server whose `/info` is its own. */
  async function tei(said: object, maxConnections = 8): Promise<Rig> {
    const rig = await Rig.start('tei', { pool: { maxConnections } });
    Object.defineProperty(rig.server, 'dialect', { value: { ...rig.server.dialect, info: said } });
    return rig;
  }

  it('is asked once for its limits, by however many calls', async () => {
    const rig = await tei(info);
    await Promise.all([rig.service.embedMany(TEXTS), rig.service.embed('one'), rig.service.embed('two')]);
    await rig.service.embed('three');
    expect(rig.server.probes).toEqual(['GET /info']);
    expect(rig.service.stats().endpoints[0]!.limits).toMatchObject({
      maxInputs: 5,
      maxInputTokens: 512,
      maxInFlightInputs: 8,
    });
  });

  it('never has more texts under way than half of its permits, and no more in a request than it takes', async () => {
    const rig = await tei(info);
    let second!: () => void;
    const both = new Promise<void>((resolve) => (second = resolve));
    rig.server.script = async ({ number }) => {
      if (number === 1) second();
      await both;
      return undefined;
    };
    const texts = Array.from({ length: 200 }, (_none, index) => `text ${index}`);
    expect(await rig.service.embedMany(texts)).toEqual(rig.rightOf(texts));
    expect(rig.server.mostInFlightInputs).toBeLessThanOrEqual(8);
    expect(rig.server.mostInFlightInputs).toBeGreaterThan(5);
    expect(Math.max(...rig.server.requests.map((request) => request.texts.length))).toBe(5);
  });

  it.each([{}, { max_client_batch_size: 'many' }, []])(
    'keeps the limits of its kind where it says %j',
    async (said) => {
      const rig = await tei(said);
      await rig.service.embed('a');
      expect(rig.service.stats().endpoints[0]!.limits).toMatchObject({ maxInputs: 32, maxInFlightInputs: 256 });
    },
  );
});

it('is spoken to over the path of its kind', async () => {
  const paths: Partial<Record<DialectName, string>> = {
    cohere: '/v2/embed',
    gemini: '/v1beta/openai/embeddings',
    azure: '/openai/v1/embeddings',
    bedrock: '/model/amazon.titan-embed-text-v2%3A0/invoke',
  };
  for (const name of NAMES) {
    const rig = await Rig.start(name);
    await rig.service.embed('a');
    expect([name, rig.server.requests[0]!.path]).toEqual([name, paths[name] ?? '/v1/embeddings']);
  }
});
