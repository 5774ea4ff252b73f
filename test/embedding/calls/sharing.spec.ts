import fc from 'fast-check';
import type { EmbedOptions } from 'nestjs-pools/embedding';
import { vectorOf } from '../../support/embedding-server.js';
import { Gate, numbered, right, startRig } from './rig.js';

/** What a request says of its texts' settings; a tenant is ours and is in none. */
const saidIn = ({ input_type, output_dimension, user }: Record<string, unknown>): unknown => [
  input_type ?? null,
  output_dimension ?? null,
  user ?? null,
];

describe('texts of different settings', () => {
  it('A4: share neither a request nor a cached vector', async () => {
    const { server, service } = await startRig({ dialect: 'voyage', connections: 2 });
    const options = fc.record(
      {
        inputType: fc.constantFrom('query', 'document'),
        dimensions: fc.constantFrom(4, 6),
        extraBody: fc.constantFrom({ user: 'a' }, { user: 'b' }),
        tenant: fc.constantFrom('one', 'two'),
      },
      { requiredKeys: [] },
    ) as fc.Arbitrary<EmbedOptions>;
    const call = fc.tuple(fc.constantFrom('x', 'y', 'z'), options);
    let run = 0;
    const property = fc.asyncProperty(fc.array(call, { maxLength: 12 }), async (calls) => {
      run += 1;
      const from = server.requests.length;
      const settingsOf = new Map<string, string[]>();
      for (const [text, own] of [...calls, ...calls]) {
        const key = `${text} ${run} ${own.tenant ?? ''}`;
        settingsOf.set(key, [...(settingsOf.get(key) ?? []), JSON.stringify(own)]);
      }
      const ask = ([text, own]: [string, EmbedOptions]): Promise<Float32Array> =>
        // The tenant is in the text, so that the server sees whose it is.
        service.embed(`${text} ${run} ${own.tenant ?? ''}`, own);
      const expected = calls.map(([text, { dimensions, inputType, tenant }]) =>
        vectorOf(`${text} ${run} ${tenant ?? ''}`, dimensions, inputType),
      );
      expect(await Promise.all(calls.map(ask))).toEqual(expected);
      const requests = server.requests.slice(from);
      for (const { texts } of requests) {
        expect(new Set(texts.map((text) => text.split(' ')[2])).size).toBe(1);
      }
      // Each text once for each of its settings, under these settings.
      const sent = requests.flatMap(({ texts, body }) => texts.map((text) => JSON.stringify([text, saidIn(body)])));
      expect(sent).toHaveLength(new Set(sent).size);
      const wanted = calls.map(([text, { inputType, dimensions, extraBody, tenant }]) =>
        JSON.stringify([
          `${text} ${run} ${tenant ?? ''}`,
          [inputType ?? null, dimensions ?? null, extraBody?.['user'] ?? null],
        ]),
      );
      expect(new Set(sent)).toEqual(new Set(wanted));
      // And a second time from the cache, each its own.
      expect(await Promise.all(calls.map(ask))).toEqual(expected);
      expect(server.requests).toHaveLength(from + requests.length);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it('are asked for anew by another tenant, and found again by their own', async () => {
    const { server, service } = await startRig();
    for (const tenant of ['one', 'two', 'one', 'two']) await service.embed('the same', { tenant });
    await service.embed('the same');
    expect(server.texts).toEqual(['the same', 'the same', 'the same']);
  });

  it('go in requests of their own though all wait for the same connection', async () => {
    const { server, service, sizes } = await startRig({ dialect: 'voyage', connections: 1 });
    const gate = new Gate(server);
    const first = service.embed('first');
    await gate.held(1);
    const kinds = [{}, { inputType: 'query' }, { dimensions: 4 }, { extraBody: { user: 'a' } }, { tenant: 'one' }];
    const calls = kinds.flatMap((own) => numbered(3).map((text) => service.embed(text, own as EmbedOptions)));
    gate.release();
    await Promise.all([first, ...calls]);
    expect(sizes()).toEqual([1, 3, 3, 3, 3, 3]);
  });

  it('are the same where a call asks for what is the default', async () => {
    const { server, service } = await startRig({ dialect: 'voyage', inputType: 'query', dimensions: 4 });
    const vector = await service.embed('a');
    expect(vector).toEqual(vectorOf('a', 4, 'query'));
    expect(await service.embed('a', { inputType: 'query', dimensions: 4 })).toEqual(vector);
    expect(server.requests).toHaveLength(1);
  });
});

describe('the same text', () => {
  it('goes once in a request, and each place has a copy of its own', async () => {
    const { server, service } = await startRig();
    const vectors = await service.embedMany(['a', 'b', 'a', 'a']);
    expect(server.texts).toEqual(['a', 'b']);
    vectors[0]!.fill(9);
    expect(vectors.slice(1)).toEqual(right(['b', 'a', 'a']));
    vectors[2]!.fill(7);
    expect(vectors[3]).toEqual(vectorOf('a'));
  });

  it('goes once while it is queued and while it is under way, whoever asks, and each has a copy', async () => {
    const { server, service } = await startRig({ connections: 1, cache: false });
    const gate = new Gate(server);
    const first = service.embed('same');
    const second = service.embed('same');
    await gate.held(1);
    const third = service.embedMany(['other', 'same']);
    const fourth = service.embed('other');
    gate.release();
    const one = await first;
    one.fill(9);
    expect(await second).toEqual(vectorOf('same'));
    (await second).fill(8);
    const [other, same] = await third;
    expect(same).toEqual(vectorOf('same'));
    other!.fill(7);
    expect(await fourth).toEqual(vectorOf('other'));
    expect(server.texts).toEqual(['same', 'other']);
    expect(service.stats()).toMatchObject({ texts: 5, deduped: 3, embedded: 2 });
  });

  it('is a copy from the cache each time: what a caller writes into a vector nobody else sees', async () => {
    const { server, service } = await startRig();
    for (let time = 0; time < 3; time += 1) {
      const vector = await service.embed('a');
      expect(vector).toEqual(vectorOf('a'));
      vector.fill(9);
      const [twice, again] = await service.embedMany(['a', 'a']);
      twice!.fill(8);
      expect(again).toEqual(vectorOf('a'));
    }
    expect(server.requests).toHaveLength(1);
  });

  it('goes as often as it is asked for with dedupe and cache off', async () => {
    const { server, service } = await startRig({ dedupe: false, cache: false });
    expect(await service.embedMany(['a', 'a', 'b'])).toEqual(right(['a', 'a', 'b']));
    expect(server.texts).toEqual(['a', 'a', 'b']);
  });

  it('is asked for again after it failed', async () => {
    const { server, service } = await startRig({ retry: false });
    server.script = () => ({ error: [503, 'busy'] });
    await expect(service.embed('a')).rejects.toThrow('503');
    server.script = undefined;
    expect(await service.embed('a')).toEqual(vectorOf('a'));
  });
});

describe('texts that have an influence on each other (late_chunking of Jina)', () => {
  const LATE = { late_chunking: true };

  it('are sent as they came: shared with no other call, not deduplicated and not cached', async () => {
    const { server, service } = await startRig({ dialect: 'jina', connections: 1, extraBody: LATE });
    const gate = new Gate(server);
    const calls = [service.embedMany(['a', 'b', 'a']), service.embedMany(['a', 'b', 'a']), service.embed('a')];
    await gate.held(1);
    const single = service.embed('a');
    gate.release();
    await Promise.all([...calls, single]);
    await service.embedMany(['a', 'b', 'a']);
    const sent = server.requests.map(({ texts }) => texts.join());
    expect(sent.sort()).toEqual(['a', 'a', 'a,b,a', 'a,b,a', 'a,b,a']);
    expect(service.stats()).toMatchObject({ cached: 0, deduped: 0 });
  });

  it('stay in one request though connections are free', async () => {
    const { service, sizes } = await startRig({ dialect: 'jina', connections: 8, extraBody: LATE });
    await service.embedMany(numbered(100));
    expect(sizes()).toEqual([100]);
  });

  it('are not sent apart when the server finds them too many, or one of them not to its liking', async () => {
    const { server, service, sizes } = await startRig({ dialect: 'jina', extraBody: LATE });
    server.script = () => ({ error: [413, 'Payload Too Large'] });
    await expect(service.embedMany(['a', 'b', 'c'])).rejects.toMatchObject({ code: 'EMBEDDING_API', status: 413 });
    server.script = () => ({ error: [400, "'$.input' is invalid"] });
    await expect(service.embedMany(['a', 'b', 'c'])).rejects.toMatchObject({ code: 'EMBEDDING_API', status: 400 });
    expect(sizes()).toEqual([3, 3]);
  });

  it('are sent whole though they are more than what we send otherwise: parts of them would have other vectors', async () => {
    const limits = { batchSize: 10, maxBatchTokens: 20, maxBatchBytes: 1_500 };
    const { service, sizes } = await startRig({ dialect: 'jina', extraBody: LATE, ...limits });
    await service.embedMany(numbered(150));
    expect(sizes()).toEqual([150]);
  });

  it('are as any others where a call does not ask for it', async () => {
    const { server, service } = await startRig({ dialect: 'jina' });
    await service.embedMany(['a', 'a'], { extraBody: { late_chunking: false } });
    expect(server.texts).toEqual(['a']);
  });
});
