import fc from 'fast-check';
import { decodeVector, flawOf } from '../../../lib/embedding/protocol/vector-codec.js';

function base64Of(numbers: readonly number[]): string {
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((value, index) => bytes.writeFloatLE(value, index * 4));
  return bytes.toString('base64');
}

function problemOf(embedding: unknown): string {
  const vector = decodeVector(embedding);
  return vector instanceof Float32Array ? 'none' : vector.problem;
}

const FLOATS = fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 40 });

describe('decodeVector', () => {
  it('gives back the numbers that were encoded, whatever their count', () => {
    fc.assert(
      fc.property(FLOATS, (numbers) => {
        expect(decodeVector(base64Of(numbers))).toEqual(Float32Array.from(numbers));
        expect(decodeVector(numbers)).toEqual(Float32Array.from(numbers));
      }),
    );
  });

  it('reads base64 without its padding, and with the letters of URLs', () => {
    const bytes = Buffer.from(Float32Array.of(-1.7, 1.99, 0.3, 5e8, -2e-7).buffer);
    expect(bytes.toString('base64')).toMatch(/[+/].*=$/);
    expect(decodeVector(bytes.toString('base64url'))).toEqual(decodeVector(bytes.toString('base64')));
  });

  it('gives each vector memory of its own', () => {
    const vector = decodeVector(base64Of([1, 2, 3])) as Float32Array;
    expect([vector.byteOffset, vector.buffer.byteLength]).toEqual([0, 12]);
  });

  it.each([
    ['a line break within', 'AAAA\nAAA='],
    ['padding within', 'AAA=AAAA'],
    ['padding too short', 'AAAAA='],
    ['padding too long', 'AAAAAA==='],
    ['a letter too many', 'AAAAA'],
    ['another alphabet', 'AAAA.AAA'],
    ['characters whose low byte is base64', '\u0141AAAAA=='],
    ['bytes above ASCII', 'AAAA\u00c1AAA'],
    ['three bytes, not four', 'AAAA'],
    ['five bytes, not four', 'AAAAAAA='],
    ['one byte', 'AA=='],
    ['nothing but padding', '===='],
    ['an object', { 0: 1 }],
    ['a number', 7],
    ['texts for numbers', ['0.1', '0.2']],
    ['arrays for numbers', [[0.1, 0.2]]],
    ['another kind of numbers', Float64Array.of(1, 2)],
  ])('takes no vector from %s', (_what, embedding) => {
    expect(problemOf(embedding)).toBe('encoding');
  });

  it.each([
    ['null', null],
    ['nothing', undefined],
    ['an empty text', ''],
    ['an empty array', []],
    ['an empty Float32Array', new Float32Array(0)],
  ])('misses the vector in %s', (_what, embedding) => {
    expect(problemOf(embedding)).toBe('missing');
  });

  it('takes null for the NaN that JSON cannot write, not for the zero that Float32Array makes of it', () => {
    expect(problemOf([1, null, 2])).toBe('not-finite');
  });

  it('never takes other text for base64', () => {
    const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(texts, texts, (before, after) => {
        const text = `${before}AAAAAA==${after}`;
        fc.pre(!/^[\w+/-]*={0,2}$/.test(text));
        expect(problemOf(text)).toBe('encoding');
      }),
    );
  });
});

describe('flawOf', () => {
  it.each([0, 1, 2, 3, 4, 5, 6])('finds one number that is not finite, at %d of 7', (place) => {
    for (const value of [NaN, Infinity, -Infinity]) {
      const vector = new Float32Array(7).fill(1);
      vector[place] = value;
      expect(flawOf(vector, 7)?.problem).toBe('not-finite');
    }
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    'passes a vector of zeros but for the smallest number there is, at %d of 7',
    (place) => {
      const vector = new Float32Array(7);
      expect(flawOf(vector, undefined)?.problem).toBe('zero');
      vector[place] = 2 ** -149;
      expect(flawOf(vector, undefined)).toBeUndefined();
    },
  );

  it('passes the greatest numbers there are', () => {
    expect(flawOf(new Float32Array(4096).fill(3.4028234663852886e38), 4096)).toBeUndefined();
  });

  it('finds numbers that are too great for 32 bits', () => {
    expect(flawOf(decodeVector([1, 1e39, 1]) as Float32Array, 3)?.problem).toBe('not-finite');
  });

  it('tells a wrong length before anything else', () => {
    expect(flawOf(new Float32Array(192), 768)).toEqual({
      problem: 'dimensions',
      description: 'it has 192 dimensions, not 768',
    });
  });
});
