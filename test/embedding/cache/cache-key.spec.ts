import fc from 'fast-check';
import { CacheKeys, type CacheKeyParts } from '../../../lib/embedding/cache/cache-key.js';

const parts: CacheKeyParts = {
  endpoint: 'openai https://api.example.com/v1',
  model: 'small',
  dimensions: undefined,
  inputType: undefined,
  extraBody: undefined,
  truncate: false,
  blank: 'error',
  tenant: undefined,
};

// Few letters, so that a part ends where another's beginning could be taken for it; halves of characters among them.
const word = fc.string({ unit: fc.constantFrom('a', '|', '1', '"', ',', '\ud800', '\udc00', '\ufffd'), maxLength: 3 });
const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: undefined });
const bodies = fc.dictionary(word, fc.oneof(word, fc.nat(2), fc.array(word, { maxLength: 2 })), { maxKeys: 2 });
const tuples = fc.record({
  endpoint: word,
  model: word,
  dimensions: maybe(fc.integer({ min: 1, max: 2 })),
  inputType: maybe(fc.constantFrom('query' as const, 'document' as const)),
  extraBody: maybe(bodies),
  truncate: fc.boolean(),
  blank: word,
  tenant: maybe(word),
  text: word,
});
type Tuple = typeof tuples extends fc.Arbitrary<infer T> ? T : never;

const keyOf = ({ text, ...rest }: Tuple): string => new CacheKeys(rest).keyOf(text);

function isSame(one: Tuple, other: Tuple): boolean {
  const told = ({ extraBody = {}, ...rest }: Tuple): unknown[] => [
    Object.entries(extraBody).sort(([a], [b]) => (a < b ? -1 : 1)),
    Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  return JSON.stringify(told(one)) === JSON.stringify(told(other));
}

describe('A cache key', () => {
  it('A4 is shared by equal requests, and by no others', () => {
    const pair = fc.oneof(
      fc.tuple(tuples, tuples),
      // Alike but for one part: what two unrelated ones hardly ever are.
      fc
        .tuple(tuples, tuples, fc.constantFrom(...(Object.keys(parts) as (keyof CacheKeyParts)[]), 'text' as const))
        .map(([one, other, part]): [Tuple, Tuple] => [one, { ...one, [part]: other[part] }]),
    );
    fc.assert(
      fc.property(pair, ([one, other]) => {
        expect(keyOf(one) === keyOf(other)).toBe(isSame(one, other));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[string, Partial<CacheKeyParts>]>([
    ['endpoint', { endpoint: 'openai https://other.example.com/v1' }],
    ['model', { model: 'large' }],
    ['dimensions', { dimensions: 256 }],
    ['input type', { inputType: 'query' }],
    ['extra body', { extraBody: { user: 'a' } }],
    ['truncation', { truncate: true }],
    ['policy for blank texts', { blank: 'zero' }],
    ['tenant', { tenant: 'a' }],
    ['tenant, be it an empty one', { tenant: '' }],
  ])('is another one with another %s', (_part, change) => {
    expect(new CacheKeys({ ...parts, ...change }).keyOf('text')).not.toBe(new CacheKeys(parts).keyOf('text'));
  });

  it('does not tell the end of one part from the beginning of the next by luck', () => {
    const key = (endpoint: string, model: string, text: string) =>
      new CacheKeys({ ...parts, endpoint, model }).keyOf(text);
    expect(new Set([key('ab', 'c', 't'), key('a', 'bc', 't'), key('a', 'b', 'ct'), key('abc', '', 't')]).size).toBe(4);
  });

  it('does not depend on the order of the keys in an extra body, however deep', () => {
    const one = { extraBody: { a: 1, b: { c: [{ d: 1, e: 2 }], f: null } } };
    const other = { extraBody: { b: { f: null, c: [{ e: 2, d: 1 }] }, a: 1 } };
    expect(new CacheKeys({ ...parts, ...one }).keyOf('t')).toBe(new CacheKeys({ ...parts, ...other }).keyOf('t'));
  });

  it('depends on the order of a list in it', () => {
    const key = (list: string[]) => new CacheKeys({ ...parts, extraBody: { list } }).keyOf('t');
    expect(key(['a', 'b'])).not.toBe(key(['b', 'a']));
  });

  it('takes an extra body for what is sent of it', () => {
    const key = (extraBody: CacheKeyParts['extraBody']) => new CacheKeys({ ...parts, extraBody }).keyOf('t');
    expect(key({})).toBe(key(undefined));
    expect(key({ user: undefined })).toBe(key({}));
    expect(key({ at: new Date(0) })).toBe(key({ at: '1970-01-01T00:00:00.000Z' }));
    expect(key(JSON.parse('{"__proto__":1}') as Record<string, unknown>)).not.toBe(key({}));
  });

  it('tells halves of characters apart, which are all the same in UTF-8', () => {
    const keys = new CacheKeys(parts);
    const texts = ['\ud800', '\ud801', '\udc00', '\ufffd', '\ud800\udc00', 'a\ud800'];
    expect(new Set(texts.map((text) => keys.keyOf(text))).size).toBe(texts.length);
  });

  it('is 43 letters that every store takes, and shows nothing of the text', () => {
    expect(new CacheKeys(parts).keyOf('secret '.repeat(100))).toMatch(/^[\w-]{43}$/);
    expect(new CacheKeys(parts).keyOf('\ud800')).toMatch(/^[\w-]{43}$/);
  });

  it('stays the same from release to release, or a store would be of no more use', () => {
    expect(new CacheKeys(parts).keyOf('text')).toBe('d0vLMn9Qnc6N5X7bkQU11DC6bTap7XLxpc3cQRGv9Uo');
  });
});
