import { EmbeddingResponseError } from 'nestjs-pools/embedding';
import type { Script } from '../../support/embedding-server.js';
import { type AnswerItem, withItems } from './answer-items.js';
import { closeRigs, errorOf, failure, isOneByOne, isPositional, NAMES, Rig } from './rig.js';

afterEach(closeRigs);

const TEXTS = ['one text', 'another text', 'a third text', 'the fourth text', 'the last text'];

describe.each(NAMES.filter((name) => !isPositional(name)))('a liar of the kind "%s", which tells indexes', (name) => {
  it("that mixes the vectors up, with their indexes: each is still its text's", async () => {
    const script: Script = (_request, right) => ({ json: withItems(right(), (items) => items.toReversed()) });
    const rig = await Rig.start(name, { script });
    expect(await rig.service.embedMany(TEXTS)).toEqual(rig.rightOf(TEXTS));
  });
});

describe.each(NAMES.filter((name) => !isOneByOne(name)))(
  'a liar of the kind "%s", which takes many texts at once',
  (name) => {
    const muddles: [string, (items: AnswerItem[]) => AnswerItem[], boolean][] = [
      ['one vector too few', (items) => items.slice(1), false],
      ['one vector too many', (items) => [...items, items[0]!], false],
      ['none', () => [], false],
      ['an index twice', (items) => items.map((item) => ({ ...item, index: 0 })), true],
      ['an index out of range', (items) => items.map((item, place) => ({ ...item, index: place + 1 })), true],
      ['an index that is negative', (items) => items.map((item, place) => ({ ...item, index: -place })), true],
      [
        'an index on some only',
        (items) => items.map((item, place) => (place > 0 ? item : { ...item, index: undefined })),
        true,
      ],
    ];
    it.each(muddles.filter(([, , isOfIndexes]) => !isOfIndexes || !isPositional(name)))(
      'that sends %s for more texts than one: they are asked for in smaller requests',
      async (_what, muddle) => {
        const script: Script = ({ texts }, right) =>
          texts.length < 2 ? undefined : { json: withItems(right(), (items) => muddle(items)) };
        const rig = await Rig.start(name, { script });
        expect(await rig.service.embedMany(['a', 'b'])).toEqual(rig.rightOf(['a', 'b']));
        expect(rig.server.requests.filter(({ texts }) => texts.length === 1)).toHaveLength(2);
        await rig.isSaneAgain(TEXTS);
      },
    );

    it.each(muddles.slice(0, 3))(
      'that sends %s whatever it is asked: it is not asked for ever, and nothing is guessed',
      async (_what, muddle) => {
        const script: Script = (_request, right) => ({ json: withItems(right(), (items) => muddle(items)) });
        const rig = await Rig.start(name, { script });
        const error = await failure(rig.service.embedMany(TEXTS));
        expect(error).toBeInstanceOf(EmbeddingResponseError);
        expect(rig.server.requests.length).toBeLessThanOrEqual(10);
        for (const outcome of await rig.service.embedMany(TEXTS, { settle: true })) {
          expect(errorOf(outcome)).toBeInstanceOf(EmbeddingResponseError);
        }
        await rig.isSaneAgain(TEXTS);
      },
    );

    it.each([0, 1, 2, 3, 4])(
      'that drops the vector of text %i: the others have theirs, none is moved up',
      async (dropped) => {
        const text = TEXTS[dropped]!;
        const script: Script = ({ texts }, right) => ({
          json: withItems(right(), (items) => items.filter((item, place) => texts[item.index ?? place] !== text)),
        });
        const rig = await Rig.start(name, { script });
        const outcomes = await rig.service.embedMany(TEXTS, { settle: true });
        for (const [place, each] of TEXTS.entries()) {
          if (each === text) expect(errorOf(outcomes[place])).toMatchObject({ reason: 'mismatch' });
          else expect(outcomes[place]).toMatchObject({ ok: true, vector: rig.right(each) });
        }
        await rig.isSaneAgain(TEXTS);
      },
    );
  },
);
