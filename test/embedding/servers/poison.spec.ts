import fc from 'fast-check';
import type { EmbeddingFailureKind, EmbeddingInputError } from 'nestjs-pools/embedding';
import type { DialectName } from '../../support/embedding-server.js';
import { closeRigs, errorOf, failure, isOneByOne, kindOf, NAMES, Rig, viewsOf } from './rig.js';

afterEach(closeRigs);

type Poison = [kind: EmbeddingFailureKind, status: number, message: string, code?: string];

const OPENAI: Poison = ['input', 400, "'$.input' is invalid. Please check the API reference"];
const TOO_LONG: Poison = ['too-long', 400, "This model's maximum context length is 8192 tokens"];

/** How servers refuse a whole request for one of its texts, and do not say which. */
const POISONS: Partial<Record<DialectName, Poison[]>> = {
  openai: [OPENAI, TOO_LONG],
  azure: [['input', 400, 'The response was filtered', 'content_filter']],
  tei: [
    ['poisoned', 424, 'Inference failed', 'Inference'],
    ['too-long', 422, '`inputs` must have less than 512 tokens. Given: 600', 'Validation'],
    ['input', 422, '`inputs` cannot be empty', 'Validation'],
  ],
  ollama: [['poisoned', 500, 'failed to encode response: json: unsupported value: NaN']],
  vllm: [TOO_LONG],
  litellm: [['too-long', 400, 'litellm.ContextWindowExceededError: too many']],
  cohere: [['input', 498, 'blocked']],
  bedrock: [['too-long', 400, 'Too many input tokens. Max input tokens: 8192']],
};

const CASES = NAMES.flatMap((name) =>
  (POISONS[name] ?? [OPENAI]).map((poison) => ({ name, poison, kind: poison[0], status: poison[1] })),
);

/** What lib/embedding/batching/spoiled-search.ts promises, beside the request that failed first. */
const mostCalls = (spoiled: number, texts: number): number =>
  spoiled === 0 ? 0 : spoiled * (Math.ceil(Math.log2(texts / spoiled)) + 2) + 5;

const textsOf = (count: number, isBad: (place: number) => boolean): string[] =>
  Array.from(
    { length: count },
    (_none, place) => `text ${place} ${isBad(place) ? 'which the server cannot stand' : ''}`,
  );
const isSpoiled = (text: string): boolean => text.includes('cannot stand');

/** A server over one connection, so that all texts come in as few requests as it takes. */
async function poisoned(name: DialectName, [, status, message, code]: Poison): Promise<Rig> {
  return Rig.start(name, {
    script: ({ texts }) => (texts.some(isSpoiled) ? { error: [status, message, code] } : undefined),
    pool: { maxConnections: 1 },
    options: { dimensions: 8, retry: { attempts: 2 } },
  });
}

/** The texts of all requests that were answered with vectors. */
const embedded = (rig: Rig): string[] =>
  rig.server.requests
    .filter((request) => !request.texts.some(isSpoiled) && rig.server.dialect.refuse?.(request) === undefined)
    .flatMap(({ texts }) => texts);

async function isSettledRightly(rig: Rig, texts: readonly string[], kind: string): Promise<void> {
  const outcomes = await rig.service.embedMany(texts, { settle: true });
  for (const [place, text] of texts.entries()) {
    if (!isSpoiled(text)) {
      expect(outcomes[place]).toMatchObject({ ok: true, vector: rig.right(text) });
      continue;
    }
    const error = errorOf(outcomes[place]) as EmbeddingInputError;
    expect([error.code, error.index, kindOf(error)]).toEqual(['EMBEDDING_INPUT', place, kind]);
    expect(error.problem).toBe(kind === 'too-long' ? 'too-long' : 'rejected');
  }
  expect(embedded(rig).toSorted()).toEqual(texts.filter((text) => !isSpoiled(text)).toSorted());
}

describe.each(CASES)(
  'a text that a server of the kind "$name" cannot stand ($kind, $status)',
  ({ name, poison, kind }) => {
    it.each([1, 2, 5])('is found, with %i of them among 32, and the others are embedded once each', async (spoiled) => {
      const rig = await poisoned(name, poison);
      const texts = textsOf(32, (place) => place % 6 === 3 && place < spoiled * 6);
      await isSettledRightly(rig, texts, kind);
      const { length } = rig.server.requests.filter((request) => rig.server.dialect.refuse?.(request) === undefined);
      const batches = isOneByOne(name) ? 32 : 1;
      expect(length).toBeLessThanOrEqual(batches + (isOneByOne(name) ? 0 : mostCalls(spoiled, 32)));
      expect(rig.pool.stats().activeConnections).toBe(0);
    });

    it('ends a call that settles nothing, with the place of the text and without its words', async () => {
      const rig = await poisoned(name, poison);
      const texts = textsOf(8, (place) => place === 5);
      const error = await failure(rig.service.embedMany(texts));
      expect(error).toMatchObject({ code: 'EMBEDDING_INPUT', index: 5, status: poison[1] });
      expect(viewsOf(error)).not.toContain('cannot stand');
      await rig.isSaneAgain(texts);
    });

    it('is the only one without a vector where it comes with others by embed()', async () => {
      const rig = await poisoned(name, poison);
      const texts = textsOf(8, (place) => place === 5);
      const results = await Promise.allSettled(texts.map((text) => rig.service.embed(text)));
      for (const [place, result] of results.entries()) {
        if (place === 5)
          expect(result).toMatchObject({ status: 'rejected', reason: { code: 'EMBEDDING_INPUT', index: 0 } });
        else expect(result).toEqual({ status: 'fulfilled', value: rig.right(texts[place]!) });
      }
    });
  },
);

describe('texts that a server cannot stand', () => {
  it('are found wherever they are, within the promised number of requests', async () => {
    const rig = await poisoned('openai', OPENAI);
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(63), { maxLength: 12 }), async (places) => {
        rig.server.requests.length = 0;
        const texts = textsOf(64, (place) => places.includes(place));
        const outcomes = await rig.service.embedMany(texts, { settle: true, cache: false });
        expect(outcomes.flatMap(({ ok }, place) => (ok ? [] : [place]))).toEqual(places.toSorted((a, b) => a - b));
        expect(embedded(rig).toSorted()).toEqual(texts.filter((text) => !isSpoiled(text)).toSorted());
        expect(rig.server.requests.length).toBeLessThanOrEqual(1 + mostCalls(places.length, 64));
      }),
      { numRuns: 30 },
    );
  });

  it.each([1, 2, 3])(
    'spoil no other text when their callers leave while they are searched for, at request %i',
    async (at) => {
      for (let bad = 0; bad < 8; bad += 1) {
        const rig = await poisoned('openai', OPENAI);
        const script = rig.server.script!;
        const controller = new AbortController();
        rig.server.script = (request, right) => {
          if (request.number === at) controller.abort();
          return script(request, right);
        };
        const texts = textsOf(8, (place) => place === bad);
        const calls = texts.map((text, place) =>
          rig.service.embed(text, place === bad ? { signal: controller.signal } : {}),
        );
        for (const [place, result] of (await Promise.allSettled(calls)).entries()) {
          if (place !== bad) expect(result).toEqual({ status: 'fulfilled', value: rig.right(texts[place]!) });
          else expect(result.status).toBe('rejected');
        }
        await closeRigs();
      }
    },
  );

  it('are all that is left where none is good', async () => {
    const rig = await poisoned('openai', OPENAI);
    const texts = textsOf(16, () => true);
    const outcomes = await rig.service.embedMany(texts, { settle: true });
    expect(outcomes.every(({ ok }) => !ok)).toBe(true);
    expect(rig.server.requests.length).toBeLessThanOrEqual(1 + mostCalls(16, 16));
  });

  it('are cut, where that is wanted, and are the last to be embedded', async () => {
    const rig = await Rig.start('openai', {
      script: ({ texts }) => (texts.some((text) => text.length > 12_000) ? { error: [400, TOO_LONG[2]] } : undefined),
      pool: { maxConnections: 1 },
      options: { onTooLong: 'truncate' },
    });
    const long = 'many words '.repeat(4_000);
    const outcomes = await rig.service.embedMany(['short', long, 'brief'], { settle: true });
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(outcomes[0]).toMatchObject({ vector: rig.right('short') });
    expect(outcomes[2]).toMatchObject({ vector: rig.right('brief') });
    expect(long.startsWith(rig.server.requests.at(-1)!.texts.at(-1)!)).toBe(true);
  });
});
