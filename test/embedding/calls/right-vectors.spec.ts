import fc from 'fast-check';
import type { EmbedOptions } from 'nestjs-pools/embedding';
import { type Reply, type SeenRequest, vectorOf } from '../../support/embedding-server.js';
import { numbered, startRig } from './rig.js';

/** What befalls a request. Those that are refused come again, whole or in parts. */
type Fate = 'right' | 'shuffled' | 'late' | 'busy' | 'torn' | 'too-large' | 'muddled' | 'plain';

const FATES: readonly Fate[] = ['right', 'shuffled', 'late', 'busy', 'torn', 'too-large', 'muddled', 'plain'];

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const ranks = items.map((item, index) => ({ item, rank: ((index + 1) * (seed + 7) * 7_919) % 101 }));
  return ranks.toSorted((one, other) => one.rank - other.rank).map(({ item }) => item);
}

function reply(fate: Fate, request: SeenRequest, right: object): Reply | undefined | Promise<undefined> {
  const { texts, number } = request;
  const { data } = right as { data: object[] };
  if (fate === 'late') return turns(1 + (number % 5));
  if (fate === 'busy') return { error: [503, 'busy'] };
  if (fate === 'torn') return { take: (response) => void response.socket?.destroy() };
  if (fate === 'too-large' && texts.length > 2) return { error: [413, 'Payload Too Large'] };
  if (fate === 'muddled' && texts.length > 1) return { json: { ...right, data: data.slice(1) } };
  if (fate === 'plain') {
    const plain = texts.map((text) => ({ embedding: Array.from(expected(text, request)) }));
    return { json: { ...right, data: plain } };
  }
  return fate === 'shuffled' ? { json: { ...right, data: shuffled(data, number) } } : undefined;
}

const expected = (text: string, { dimensions, inputType }: { dimensions?: number; inputType?: string }): Float32Array =>
  vectorOf(text, dimensions ?? 8, inputType);

async function turns(count: number): Promise<undefined> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return undefined;
}

interface Call {
  readonly texts: readonly string[];
  readonly own: EmbedOptions;
  readonly isSingle: boolean;
  readonly after: number;
}

const call: fc.Arbitrary<Call> = fc.record({
  texts: fc.array(fc.constantFrom(...numbered(16)), { minLength: 1, maxLength: 14 }),
  own: fc.record(
    {
      dimensions: fc.constantFrom(5, 9),
      inputType: fc.constantFrom('query', 'document'),
      tenant: fc.constantFrom('one', 'two'),
      cache: fc.boolean(),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<EmbedOptions>,
  isSingle: fc.boolean(),
  after: fc.nat({ max: 3 }),
});

describe('every vector (A1)', () => {
  it('is the one of its own text, whatever the server does with the requests and however the calls overlap', async () => {
    const scenario = fc.record({
      calls: fc.array(call, { minLength: 1, maxLength: 10 }),
      fates: fc.array(fc.constantFrom(...FATES), { minLength: 1, maxLength: 12 }),
      connections: fc.integer({ min: 1, max: 4 }),
      batchSize: fc.integer({ min: 1, max: 12 }),
      dedupe: fc.boolean(),
      coalesce: fc.boolean(),
    });
    let seenFates = 0;
    const property = fc.asyncProperty(scenario, async ({ calls, fates, connections, batchSize, dedupe, coalesce }) => {
      const { server, service } = await startRig({
        dialect: 'voyage',
        connections,
        batchSize,
        dedupe,
        coalesce,
        breaker: false,
        retry: { attempts: 20, budget: 1, burst: 1_000 },
      });
      server.script = (request, right) => {
        const fate = fates[request.number];
        if (fate !== undefined) seenFates += 1;
        return fate === undefined ? undefined : reply(fate, request, right());
      };
      const made = calls.map(async ({ texts, own, isSingle, after }) => {
        await turns(after);
        const vectors = isSingle ? [await service.embed(texts[0]!, own)] : await service.embedMany(texts, own);
        expect(vectors).toEqual((isSingle ? texts.slice(0, 1) : texts).map((text) => expected(text, own)));
        // What a caller does with its vectors is nobody else's concern.
        for (const vector of vectors) vector.fill(-1);
      });
      await Promise.all(made);
      expect(service.stats()).toMatchObject({ pendingCalls: 0 });
      await service.close();
      await server.stop();
    });
    await fc.assert(property, { numRuns: 12 });
    expect(seenFates).toBeGreaterThan(10);
  });
});
