import fc from 'fast-check';
import { EmbeddingResponseError, EmbeddingVectorError } from 'nestjs-pools/embedding';
import { type DialectName, DIMENSIONS, type Script } from '../../support/embedding-server.js';
import { seeded } from '../../support/seeded.js';
import { encodedLike, withItems } from './answer-items.js';
import { closeRigs, errorOf, isPositional, Rig } from './rig.js';

afterEach(closeRigs);

/** Lies that hit the vector of one text. */
const LIES = {
  nan: (right: unknown) => encodedLike(right, [typeof right === 'string' ? NaN : 1e39, 1, 1, 1, 1, 1, 1, 1]),
  zero: (right: unknown) =>
    encodedLike(
      right,
      Array.from({ length: DIMENSIONS }, () => 0),
    ),
  short: (right: unknown) => encodedLike(right, [1, 1]),
  none: () => null,
  garbage: () => ({}),
} as const;
type Lie = keyof typeof LIES;

/** Lies that leave it open whose a vector is. */
type Muddle = 'dropped' | 'doubled';

const text = fc.constantFrom(...Array.from({ length: 14 }, (_none, index) => `text ${index}`));
const lies = fc.dictionary(text, fc.constantFrom(...(Object.keys(LIES) as Lie[])), { maxKeys: 5 });

const liar =
  (
    lieAbout: Readonly<Record<string, Lie>>,
    muddleAbout: Readonly<Record<string, Muddle>>,
    random: () => number,
    isShuffled: boolean,
  ): Script =>
  ({ texts }, right) => ({
    json: withItems(right(), (items) => {
      const told = items.flatMap((item, place) => {
        const own = texts[item.index ?? place]!;
        const lie = lieAbout[own];
        const muddle = muddleAbout[own];
        if (muddle === 'dropped') return [];
        const lied = lie === undefined ? item : { ...item, embedding: LIES[lie](item.embedding) };
        return muddle === 'doubled' ? [lied, lied] : [lied];
      });
      return isShuffled ? told.toSorted(() => random() - 0.5) : told;
    }),
  });

const KINDS: DialectName[] = ['openai', 'tei', 'float-only', 'cohere', 'index-less', 'bedrock'];

describe.each(KINDS)('whatever a server of the kind "%s" lies about', (name) => {
  it('each text has its own vector or its own error', async () => {
    const rig = await Rig.start(name, { options: { breaker: false, dimensions: DIMENSIONS } });
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 24 }),
        lies,
        fc.integer(),
        async (texts, about, seed) => {
          rig.server.requests.length = 0;
          rig.server.script = liar(about, {}, seeded(seed).next, !isPositional(name));
          const outcomes = await rig.service.embedMany(texts, { settle: true, cache: false });
          for (const [place, each] of texts.entries()) {
            if (about[each] !== undefined) expect(errorOf(outcomes[place])).toBeInstanceOf(EmbeddingVectorError);
            else expect(outcomes[place]).toMatchObject({ ok: true, vector: rig.right(each) });
          }
          // Each different text is sent once, however often it is among them.
          expect(rig.server.texts.toSorted()).toEqual([...new Set(texts)].toSorted());
        },
      ),
      { numRuns: 25 },
    );
    await rig.isSaneAgain(['text 1', 'text 2']);
  });
});

describe.each(KINDS.filter((name) => name !== 'bedrock'))('whatever a server of the kind "%s" muddles', (name) => {
  it('no text has the vector of another, and none of those that it does not muddle is taken for muddled', async () => {
    const rig = await Rig.start(name, { options: { breaker: false, dimensions: DIMENSIONS } });
    const muddles = fc.dictionary(text, fc.constantFrom<Muddle>('dropped', 'doubled'), { maxKeys: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { maxLength: 24 }),
        lies,
        muddles,
        fc.integer(),
        async (texts, about, muddled, seed) => {
          // By its place alone one that is dropped and one that is doubled would make a whole again.
          fc.pre(!isPositional(name) || new Set(Object.values(muddled)).size < 2);
          rig.server.script = liar(about, muddled, seeded(seed).next, !isPositional(name));
          const outcomes = await rig.service.embedMany(texts, { settle: true, cache: false });
          for (const [place, each] of texts.entries()) {
            const error = errorOf(outcomes[place]);
            if (error === undefined) expect(outcomes[place]).toMatchObject({ vector: rig.right(each) });
            if (about[each] !== undefined || muddled[each] !== undefined) expect(error).toBeDefined();
            if (Object.keys(muddled).length === 1 && muddled[each] === undefined && about[each] === undefined)
              expect(error).toBeUndefined();
            if (muddled[each] !== undefined) expect(error).toBeInstanceOf(EmbeddingResponseError);
          }
        },
      ),
      { numRuns: 25 },
    );
    await rig.isSaneAgain(['text 1', 'text 2']);
  });
});
