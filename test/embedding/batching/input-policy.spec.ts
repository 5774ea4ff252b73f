import fc from 'fast-check';
import { checkText, isBlank, truncateTo, wellFormed } from '../../../lib/embedding/batching/input-policy.js';

const anyText = fc.string({ unit: 'binary' });
const isWhole = (text: string): boolean => wellFormed(text) === text;

describe('checkText', () => {
  it.each([[undefined], [null], [7], [['a text']], [{}]])('says of %p which text it is, and what', (value) => {
    const error = checkText(value, 3);
    expect(error).toMatchObject({ index: 3, problem: 'type' });
    expect(error?.message).toMatch(/^text 3: expected a text, got /);
  });

  it('finds a blank text, and lets every other pass', () => {
    expect(checkText(' \n\u3000', 1)).toMatchObject({ index: 1, problem: 'blank' });
    expect(checkText('', 0)).toMatchObject({ problem: 'blank' });
    expect(checkText(' a ', 1)).toBeUndefined();
    expect(checkText('\ud800', 1)).toBeUndefined();
  });

  it('takes for blank what trim leaves nothing of', () => {
    const nearlyBlank = fc.string({
      unit: fc.oneof(
        fc.constantFrom(' ', '\t', '\u00a0', '\u2028', '\ufeff', '\u200b', '\u0085'),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
      maxLength: 4,
    });
    fc.assert(
      fc.property(nearlyBlank, (text) => expect(isBlank(text)).toBe(text.trim() === '')),
      { numRuns: 500 },
    );
  });
});

describe('wellFormed', () => {
  it('puts U+FFFD in place of half a pair, and leaves a whole one', () => {
    expect(wellFormed('a\ud83d b\ude00 \ud83d\ude00')).toBe('a\ufffd b\ufffd \ud83d\ude00');
  });
});

describe('truncateTo', () => {
  const words = (text: string): number => text.split(' ').length;

  it('leaves a text that is short enough as it is', () => {
    expect(truncateTo('one two three', 3, words)).toBe('one two three');
    expect(truncateTo('abc', 3)).toBe('abc');
  });

  it('keeps nearly as many tokens as allowed where they can be counted', () => {
    const kept = truncateTo('word '.repeat(10_000), 8_000, words);
    expect(words(kept)).toBeLessThanOrEqual(8_000);
    expect(words(kept)).toBeGreaterThan(7_800);
  });

  it('keeps as many bytes as tokens are allowed where nothing can count them', () => {
    expect(truncateTo('abcdef', 4)).toBe('abcd');
    expect(truncateTo('池化连接', 7)).toBe('池化');
  });

  it('keeps a beginning that is short enough even where the tokens are all at the front', () => {
    const count = (text: string): number => Math.min(text.length, 500);
    expect(count(truncateTo('x'.repeat(1_000_000), 3, count))).toBeLessThanOrEqual(3);
  });

  it('gives a beginning of the text that has no more tokens than allowed, and no half of a pair', () => {
    const bytes = (text: string): number => Buffer.byteLength(text);
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 20 }), fc.constantFrom(undefined, bytes), (text, most, count) => {
        const kept = truncateTo(text, most, count);
        expect(text.startsWith(kept) && bytes(kept) <= most && isWhole(kept)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
