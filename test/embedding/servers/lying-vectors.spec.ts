import { EmbeddingVectorError, type EmbeddingVectorProblem } from 'nestjs-pools/embedding';
import { DIMENSIONS, type Script } from '../../support/embedding-server.js';
import { encodedLike, withItems } from './answer-items.js';
import { closeRigs, errorOf, failure, isOneByOne, NAMES, Rig } from './rig.js';

afterEach(closeRigs);

const GOOD = ['one good text', 'another good text', 'a third good text', 'the last good text'];
const BAD = 'the text that is lied about';
const TEXTS = [...GOOD.slice(0, 2), BAD, ...GOOD.slice(2)];

type Vector = (right: unknown) => unknown;
const ones = (length: number): number[] => Array.from({ length }, () => 1);

/** Vectors that cannot be right, each in the encoding of the right one. */
const WRONG: [string, EmbeddingVectorProblem, Vector][] = [
  // JSON has no NaN: servers that have one write null.
  [
    'NaN',
    'not-finite',
    (right) => (typeof right === 'string' ? encodedLike(right, [NaN, ...ones(7)]) : [null, ...ones(7)]),
  ],
  ['Infinity', 'not-finite', (right) => encodedLike(right, [typeof right === 'string' ? -Infinity : 1e39, ...ones(7)])],
  ['zeros', 'zero', (right) => encodedLike(right, ones(DIMENSIONS).fill(0))],
  ['one number too few', 'dimensions', (right) => encodedLike(right, ones(DIMENSIONS - 1))],
  ['one number too many', 'dimensions', (right) => encodedLike(right, ones(DIMENSIONS + 1))],
  ['a quarter of the numbers, all zero', 'dimensions', (right) => encodedLike(right, ones(DIMENSIONS / 4).fill(0))],
  ['no vector', 'missing', () => null],
  ['an empty vector', 'missing', (right) => encodedLike(right, [])],
  ['half a number', 'encoding', () => 'AAAAAAA='],
  ['base64 of another alphabet', 'encoding', () => '!'.repeat(44)],
  ['text for numbers', 'encoding', () => ones(DIMENSIONS).map(String)],
  ['an object', 'encoding', () => ({ 0: 1 })],
];

/** Lies about one text, whatever request it is in. */
const about =
  (text: string, lie: Vector): Script =>
  ({ texts }, right) => ({
    json: withItems(right(), (items) =>
      items.map((item, place) =>
        texts[item.index ?? place] === text ? { ...item, embedding: lie(item.embedding) } : item,
      ),
    ),
  });

describe.each(NAMES)('a liar of the kind "%s"', (name) => {
  it.each(WRONG)('that sends %s for one text: "%s" is its error, and nobody else\'s', async (_what, problem, lie) => {
    const rig = await Rig.start(name, { script: about(BAD, lie), options: { dimensions: DIMENSIONS } });
    const error = await failure(rig.service.embedMany(TEXTS));
    expect(error).toBeInstanceOf(EmbeddingVectorError);
    expect(error).toMatchObject({ problem, retryable: false });
    const outcomes = await rig.service.embedMany(TEXTS, { settle: true });
    for (const [place, text] of TEXTS.entries()) {
      if (text === BAD) expect(errorOf(outcomes[place])).toMatchObject({ problem });
      else expect(outcomes[place]).toMatchObject({ ok: true, vector: rig.right(text) });
    }
    await rig.isSaneAgain(TEXTS);
  });

  it('that sends one vector of another length: most of them tell which is right', async () => {
    const lie: Vector = (right) => encodedLike(right, ones(DIMENSIONS / 4));
    const rig = await Rig.start(name, { script: about(BAD, lie) });
    // Where each is alone in its request, the first one tells.
    const texts = isOneByOne(name) ? [...GOOD, BAD] : [BAD, ...GOOD];
    const outcomes = await rig.service.embedMany(texts, { settle: true });
    for (const [place, text] of texts.entries()) {
      if (text === BAD) expect(errorOf(outcomes[place])).toMatchObject({ problem: 'dimensions' });
      else expect(outcomes[place]).toMatchObject({ ok: true, vector: rig.right(text) });
    }
    await rig.isSaneAgain(texts);
  });

  it('that has another model all at once: no vector of that is taken', async () => {
    const rig = await Rig.start(name);
    expect(await rig.service.embedMany(GOOD)).toEqual(rig.rightOf(GOOD));
    rig.server.script = (_request, right) => ({
      json: withItems(right(), (items) =>
        items.map((item) => ({ ...item, embedding: encodedLike(item.embedding, ones(DIMENSIONS * 2)) })),
      ),
    });
    expect(await failure(rig.service.embedMany([BAD, 'and one more']))).toMatchObject({ problem: 'dimensions' });
    for (const outcome of await rig.service.embedMany([BAD, 'and one more'], { settle: true })) {
      expect(errorOf(outcome)).toMatchObject({ problem: 'dimensions' });
    }
    // What was embedded before is as it was.
    expect(await rig.service.embedMany(GOOD)).toEqual(rig.rightOf(GOOD));
    await rig.isSaneAgain(TEXTS);
  });
});
