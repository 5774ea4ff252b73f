import fc from 'fast-check';
import { scanAnswer } from '../../../lib/embedding/protocol/answer-scanner.js';
import { decodeVector } from '../../../lib/embedding/protocol/vector-codec.js';

const ONE = Buffer.from(Float32Array.of(1, 2).buffer).toString('base64');

/** What `scanAnswer` must return for an answer, if it returns anything: by way of `JSON.parse`. */
function parsed(body: Buffer): unknown {
  const answer = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  const { data, usage } = answer as { data: Record<string, unknown>[]; usage: Record<string, unknown> | null };
  return {
    ...pick(answer, ['model', 'error']),
    ...('usage' in answer && { usage: usage && pick(usage, ['prompt_tokens', 'total_tokens']) }),
    data: data.map(({ index, embedding }) => ({ index, embedding: decodeVector(embedding) })),
  };
}

function pick(value: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(value, key)).map((key) => [key, value[key]]));
}

/** An object's text, its keys in any order, with any white space. */
function objectOf(entries: fc.Arbitrary<[string, string][]>): fc.Arbitrary<string> {
  return fc
    .tuple(entries, SPACE, SPACE)
    .chain(([pairs, a, b]) =>
      fc
        .shuffledSubarray(pairs, { minLength: pairs.length })
        .map((order) => `{${a}${order.map(([key, value]) => `"${key}"${b}:${a}${value}${b}`).join(`,${b}`)}}`),
    );
}

const SPACE = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 2 });
const FLAT = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
  fc.string({ unit: fc.constantFrom('"', '\\', '\n', '/', '}', 'data') }).map((text) => JSON.stringify(text)),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('null', 'true', 'false', '-0', '1E+2', '1e999', '""'),
);
const EXTRA = fc.uniqueArray(fc.tuple(fc.stringMatching(/^x[a-z]{0,9}$/), FLAT), {
  selector: ([key]) => key,
  maxLength: 2,
});
const VECTOR = fc
  .array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 4 })
  .map((numbers) => `"${Buffer.from(Float32Array.from(numbers).buffer).toString('base64')}"`);
const ITEM = objectOf(
  fc
    .tuple(VECTOR, fc.option(fc.nat({ max: 3000 })), EXTRA)
    .map(([vector, index, extra]) => [
      ['embedding', vector],
      ...(index === null ? [] : [['index', String(index)] as [string, string]]),
      ...extra,
    ]),
);
const USAGE = fc.oneof(
  fc.constant('null'),
  objectOf(
    fc
      .tuple(FLAT, FLAT, EXTRA)
      .map(([prompt, total, extra]) => [['prompt_tokens', prompt], ['total_tokens', total], ...extra]),
  ),
);
const ANSWER = objectOf(
  fc
    .tuple(fc.array(ITEM, { maxLength: 4 }), FLAT, fc.option(USAGE), EXTRA, fc.boolean(), SPACE)
    .map(([items, model, usage, extra, hasError, space]) => [
      ['data', `[${space}${items.join(`${space},`)}]`],
      ['model', model],
      ...(usage === null ? [] : [['usage', usage] as [string, string]]),
      ...(hasError ? [['error', 'null'] as [string, string]] : []),
      ...extra,
    ]),
);

describe('scanAnswer', () => {
  it('returns what JSON.parse returns, for any order of keys, any white space and any further fields', () => {
    fc.assert(
      fc.property(ANSWER, (text) => {
        const scanned = scanAnswer(Buffer.from(text));
        // A single escape is enough for it to give up.
        if (text.includes('\\')) expect(scanned).toBeUndefined();
        else expect(scanned).toEqual(parsed(Buffer.from(text)));
      }),
      { numRuns: 300 },
    );
  });

  it('returns nothing that JSON.parse would not return, when bytes are changed, lost or put in', () => {
    // Without escapes: it would give up because of them, and the change would not be noticed.
    const plain = ANSWER.filter((text) => !text.includes('\\')).map((text) => Buffer.from(text));
    const places = plain.chain((body) => fc.tuple(fc.constant(body), fc.integer({ min: 0, max: body.length - 1 })));
    const bytes = fc.oneof(fc.constantFrom(...Buffer.from('"\\{}[],:0-.eE=A \n\t\0')), fc.nat({ max: 255 }));
    const changes = fc.constantFrom('change', 'lose', 'put in', 'cut');
    fc.assert(
      fc.property(places, bytes, changes, ([body, at], byte, change) => {
        const changed = Buffer.concat([
          body.subarray(0, at),
          change === 'change' || change === 'put in' ? Buffer.of(byte) : Buffer.alloc(0),
          change === 'cut' ? Buffer.alloc(0) : body.subarray(change === 'put in' ? at : at + 1),
        ]);
        const scanned = scanAnswer(changed);
        if (scanned !== undefined) expect(scanned).toEqual(parsed(changed));
      }),
      { numRuns: 500 },
    );
  });

  it('reads the same answer from any place of a larger buffer', () => {
    const text = `{"data":[{"embedding":"${ONE}"}]}`;
    const whole = Buffer.from(`""""${text}""""`);
    expect(scanAnswer(whole.subarray(4, -4))).toEqual({
      data: [{ index: undefined, embedding: Float32Array.of(1, 2) }],
    });
  });

  it.each([
    ['nothing', ''],
    ['a byte order mark', `\ufeff{"data":[{"embedding":"${ONE}"}]}`],
    ['something after the end', `{"data":[{"embedding":"${ONE}"}]}}`],
    ['a comma after the last key', `{"data":[{"embedding":"${ONE}"}],}`],
    ['a comma after the last item', `{"data":[{"embedding":"${ONE}"},]}`],
    ['no comma between items', `{"data":[{"embedding":"${ONE}"}{"embedding":"${ONE}"}]}`],
    ['no comma between keys', `{"data":[{"index":0 "embedding":"${ONE}"}]}`],
    ['a key twice', `{"data":[{"embedding":"${ONE}"}],"data":[]}`],
    ['a vector twice', `{"data":[{"embedding":"${ONE}","embedding":"${ONE}"}]}`],
    ['an index twice', `{"data":[{"index":0,"embedding":"${ONE}","index":1}]}`],
    ['a key with an escape', `{"d\\u0061ta":[{"embedding":"${ONE}"}]}`],
    ['a text with an escape', `{"x":"a\\"b","data":[{"embedding":"${ONE}"}]}`],
    ['a text with a line break', `{"x":"a\nb","data":[{"embedding":"${ONE}"}]}`],
    ['a key that stands twice by an escape', `{"data":[{"embedding":"${ONE}"}],"d\\u0061ta":[]}`],
    ['a vector with an escape', `{"data":[{"embedding":"${ONE.slice(0, -1)}\\u003d"}]}`],
    ['a vector with an escaped quote', `{"data":[{"embedding":"AAAAAA\\"=","index":0}]}`],
    ['an array of numbers', '{"data":[{"embedding":[1,2]}]}'],
    ['an item without a vector', '{"data":[{"index":0}]}'],
    ['an item that is no object', '{"data":[null]}'],
    ['an empty vector', '{"data":[{"embedding":""}]}'],
    ['a nested field', `{"data":[{"embedding":"${ONE}","meta":{}}]}`],
    ['an index that is no plain number', `{"data":[{"embedding":"${ONE}","index":1.5}]}`],
    ['an index in an unusual notation', `{"data":[{"embedding":"${ONE}","index":1e0}]}`],
    ['an index with a zero before it', `{"data":[{"embedding":"${ONE}","index":01}]}`],
    ['an index that is a text', `{"data":[{"embedding":"${ONE}","index":"0"}]}`],
    ['an index of many digits', `{"data":[{"embedding":"${ONE}","index":123456789012345678}]}`],
    ['an error object', `{"error":{"code":"x"},"data":[{"embedding":"${ONE}"}]}`],
    ['an error that is a text', `{"error":"x","data":[{"embedding":"${ONE}"}]}`],
    ['no list', '{"model":"m"}'],
    ['usage that is no object', `{"data":[{"embedding":"${ONE}"}],"usage":5}`],
    ['a word that is no JSON', `{"data":[{"embedding":"${ONE}"}],"model":NaN}`],
  ])('leaves an answer with %s to JSON.parse', (_what, text) => {
    expect(scanAnswer(Buffer.from(text))).toBeUndefined();
  });
});
