import fc from 'fast-check';
import { EmbeddingResponseError, EmbeddingVectorError } from '../../../lib/embedding/embedding-errors.js';
import {
  type AnswerExpectation,
  type EmbeddingAnswer,
  readAnswer,
  readItems,
} from '../../../lib/embedding/protocol/answer-reader.js';

const REQUEST = 'req_1';

function base64(...numbers: number[]): string {
  return Buffer.from(Float32Array.from(numbers).buffer).toString('base64');
}

function read(answer: unknown, expectation: Partial<AnswerExpectation> = {}): EmbeddingAnswer {
  const body = Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer));
  return readAnswer(body, { count: 1, dimensions: undefined, requestId: REQUEST, ...expectation });
}

/** Each vector as numbers, or the problem that it has. */
function outcomes(embeddings: readonly unknown[], dimensions?: number): unknown[] {
  const data = embeddings.map((embedding, index) => ({ index, embedding }));
  return read({ data }, { count: data.length, dimensions }).vectors.map((vector) =>
    vector instanceof EmbeddingVectorError ? vector.problem : [...vector],
  );
}

function refusal(act: () => unknown): EmbeddingResponseError {
  try {
    act();
  } catch (error) {
    if (error instanceof EmbeddingResponseError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('readAnswer', () => {
  describe('tells which vector is whose', () => {
    it('by index, in whatever order and encoding the vectors come', () => {
      const order = fc
        .integer({ min: 1, max: 12 })
        .chain((count) =>
          fc.tuple(
            fc.shuffledSubarray([...Array.from({ length: count }).keys()], { minLength: count }),
            fc.array(fc.boolean(), { minLength: count, maxLength: count }),
          ),
        );
      fc.assert(
        fc.property(order, ([indexes, areTexts]) => {
          const data = indexes.map((index) => {
            const numbers = [index + 1, 0.5];
            return { embedding: areTexts[index]! ? base64(...numbers) : numbers, index };
          });
          const { vectors } = read({ data }, { count: indexes.length, dimensions: 2 });
          expect(vectors).toEqual(indexes.map((_index, place) => Float32Array.of(place + 1, 0.5)));
        }),
      );
    });

    it.each([undefined, null])('by position, where every index is %s', (index) => {
      const data = [3, 1, 2].map((value) => ({ index, embedding: base64(value) }));
      expect(read({ data }, { count: 3 }).vectors).toEqual([3, 1, 2].map((value) => Float32Array.of(value)));
    });

    it.each([
      ['one stands twice', [0, 0]],
      ['one is out of range', [0, 2]],
      ['they begin with 1', [1, 2]],
      ['one is negative', [-1, 0]],
      ['one is no whole number', [0, 0.5]],
      ['they are texts', ['0', '1']],
      ['one is missing', [0, undefined]],
      ['one is null', [null, 1]],
      ['one is a list', [0, [1]]],
    ])('or refuses the whole answer: %s', (_what, indexes) => {
      const data = indexes.map((index) => ({ index, embedding: base64(1) }));
      const error = refusal(() => read({ data }, { count: 2 }));
      expect([error.problem, error.reason, error.requestId]).toEqual([
        'its indexes do not name every text once',
        'mismatch',
        REQUEST,
      ]);
    });

    it.each([0, 1, 3])('or refuses the whole answer: %d vectors for 2 texts', (count) => {
      const data = Array.from({ length: count }, (_item, index) => ({ index, embedding: base64(1) }));
      const error = refusal(() => read({ data }, { count: 2 }));
      expect([error.problem, error.reason]).toEqual([`${count} vectors came back for 2 texts`, 'mismatch']);
    });
  });

  describe('judges each vector by itself', () => {
    it.each([
      ['encoding', '%%%%%%%%'],
      ['encoding', 'AAAA'],
      ['encoding', ['a', 'b']],
      ['encoding', { float: [1, 2] }],
      ['missing', null],
      ['missing', undefined],
      ['missing', ''],
      ['missing', []],
      ['dimensions', base64(1)],
      ['dimensions', [1, 2, 3]],
      ['not-finite', base64(1, NaN)],
      ['not-finite', base64(Infinity, 1)],
      ['not-finite', [1, null]],
      ['not-finite', [1, 1e39]],
      ['zero', base64(0, 0)],
      ['zero', [0, -0]],
    ])('%s: %j', (problem, embedding) => {
      expect(outcomes([base64(1, 2), embedding, base64(3, 4)], 2)).toEqual([[1, 2], problem, [3, 4]]);
    });

    it('and says by which request it came', () => {
      const [error] = read({ data: [{ embedding: base64(1, 2) }] }, { dimensions: 3 }).vectors;
      expect(error).toMatchObject({
        message: expect.stringContaining('it has 2 dimensions, not 3'),
        requestId: REQUEST,
      });
    });

    it('takes no array for base64: it has all its numbers, and not a quarter as many zeros', () => {
      const numbers = Array.from({ length: 768 }, (_value, index) => (index + 1) / 1024);
      expect(outcomes([numbers], 768)).toEqual([numbers]);
    });
  });

  describe('where the length is not known', () => {
    it('trusts the length that most vectors have, even if the first has another', () => {
      expect(outcomes([base64(1), base64(1, 2), [3, 4]])).toEqual(['dimensions', [1, 2], [3, 4]]);
    });

    it('trusts no vector at all if none of the lengths has most of them', () => {
      expect(outcomes([base64(1), base64(1, 2), base64(2), base64(3, 4)])).toEqual(Array(4).fill('dimensions'));
    });

    it('does not ask vectors that are wrong anyway', () => {
      expect(outcomes([base64(0), base64(0), base64(1, 2)])).toEqual(['zero', 'zero', [1, 2]]);
    });
  });

  describe('says what was spent, and on what', () => {
    it.each([
      [{ prompt_tokens: 7, total_tokens: 9 }, 7],
      [{ total_tokens: 9 }, 9],
      [{ prompt_tokens: null, total_tokens: 9 }, 9],
      [{ prompt_tokens: 0 }, 0],
      [{ prompt_tokens: -1 }, undefined],
      [{ prompt_tokens: '7' }, undefined],
      [{}, undefined],
      [null, undefined],
      [undefined, undefined],
      [7, undefined],
    ])('usage %j is %s tokens', (usage, tokens) => {
      const answer = { data: [{ embedding: base64(1) }], model: 'm-1', usage };
      expect(read(answer)).toMatchObject({ tokens, model: 'm-1' });
      expect(read({ ...answer, model: 'a "model"' })).toMatchObject({ tokens, model: 'a "model"' });
    });

    it('takes no number that JSON lets become infinite', () => {
      const answer = `{"data":[{"embedding":"${base64(1)}"}],"model":7,"usage":{"prompt_tokens":1e999}}`;
      expect(read(answer)).toMatchObject({ tokens: undefined, model: undefined });
    });
  });

  describe('refuses what is no answer', () => {
    it.each([
      ['it is no JSON', ''],
      ['it is no JSON', '<html>'],
      ['it is no JSON', `{"data":[{"embedding":"${base64(1)}"}]`],
      ['it holds no list of vectors', 'null'],
      ['it holds no list of vectors', '[]'],
      ['it holds no list of vectors', '{"data":{}}'],
      ['its list holds something that is no vector', '{"data":[7]}'],
    ])('%s: %s', (problem, text) => {
      const error = refusal(() => read(text));
      expect([error.problem, error.reason, error.requestId]).toEqual([problem, 'unreadable', REQUEST]);
    });

    it.each([
      [' (rate_limit)', { error: { message: 'my secret text', type: 'requests', code: 'rate_limit' } }],
      [' (overloaded)', { error: { message: 'my secret text', type: 'overloaded', code: null } }],
      [' (429)', { error: { message: 'my secret text', code: 429 } }],
      [' (Backend)', { error: 'my secret text', error_type: 'Backend' }],
      ['', { error: { message: 'my secret text', code: 'my secret text' } }],
      ['', { error: { code: 'sk-my-secret' } }],
      ['', { error: {} }],
    ])('an error in place of vectors, whose code it tells and whose words it does not%s', (code, answer) => {
      const data = [{ embedding: base64(1) }];
      for (const whole of [answer, { ...answer, data }, { data, ...answer }]) {
        const error = refusal(() => read(whole));
        expect([error.problem, error.reason]).toEqual([`it holds an error in place of vectors${code}`, 'error']);
        expect(error.message).not.toContain('secret');
      }
    });

    it.each([null, false, ''])('but not for an error that is %j', (error) => {
      expect(read({ data: [{ embedding: base64(1) }], error }).vectors).toEqual([Float32Array.of(1)]);
    });
  });

  it('reads the same from an answer that can be scanned and from one that cannot', () => {
    const embedding = fc.oneof(
      fc.array(fc.float(), { maxLength: 3 }).map((numbers) => base64(...numbers)),
      fc.stringMatching(/^[AQ+/=-]{0,12}$/),
    );
    const index = fc.oneof({ weight: 5, arbitrary: fc.nat({ max: 2 }) }, fc.constant(undefined));
    fc.assert(
      fc.property(
        fc.array(fc.record({ index, embedding }), { maxLength: 3 }),
        fc.option(fc.nat({ max: 3 })),
        (data, length) => {
          const results = [{}, { nested: {} }].map((extra) => {
            try {
              return read({ data, ...extra }, { count: data.length, dimensions: length ?? undefined });
            } catch (error) {
              return error;
            }
          });
          expect(results[0]).toEqual(results[1]);
        },
      ),
    );
  });
});

describe('readAnswer, by a profile', () => {
  const cohere = (answer: unknown): { items: { embedding: unknown }[]; tokens: number; model: string } => {
    const { float } = (answer as { embeddings: { float: unknown[] } }).embeddings;
    return { items: float.map((embedding) => ({ embedding })), tokens: 5, model: 'embed' };
  };

  it('takes the items where the profile finds them, and checks them as any others', () => {
    const answer = { embeddings: { float: [[1, 2], [0, 0], [3]] } };
    const { vectors, tokens, model } = read(answer, { count: 3, dimensions: 2, read: cohere });
    expect([vectors[0], tokens, model]).toEqual([Float32Array.of(1, 2), 5, 'embed']);
    expect(vectors.slice(1)).toMatchObject([{ problem: 'zero' }, { problem: 'dimensions' }]);
  });

  it('goes by its indexes', () => {
    const items = [2, 1].map((value) => ({ index: value - 1, embedding: [value] }));
    expect(read('{}', { count: 2, read: () => ({ items }) }).vectors).toEqual([Float32Array.of(1), Float32Array.of(2)]);
  });

  it('finds an error of the server before the profile stumbles over it', () => {
    const error = refusal(() => read({ error: { code: 'busy' } }, { read: cohere }));
    expect(error.problem).toBe('it holds an error in place of vectors (busy)');
  });

  it('refuses what the profile cannot read, and does not quote it', () => {
    const error = refusal(() => read('["my secret text"]', { read: cohere }));
    expect([error.problem, error.requestId]).toEqual(['the profile cannot read it (TypeError)', REQUEST]);
  });

  it("keeps a profile's own words for an answer that it refuses", () => {
    const read_ = (): never => {
      throw new EmbeddingResponseError('it has no floats', 'mismatch');
    };
    const error = refusal(() => read('{}', { read: read_ }));
    expect([error.problem, error.reason, error.requestId]).toEqual(['it has no floats', 'mismatch', REQUEST]);
  });

  it.each([undefined, null, 7, {}, { items: 'x' }, { items: [null] }])('refuses a profile that reads %j', (rubbish) => {
    const error = refusal(() => read('{}', { read: () => rubbish as never }));
    expect(error.problem).toMatch(/^as the profile reads it, /);
  });

  it('takes no tokens that are no number, and no model that is no text', () => {
    const shape = { items: [{ embedding: [1] }], tokens: NaN, model: 7 };
    expect(read('{}', { read: () => shape as never })).toMatchObject({ tokens: undefined, model: undefined });
  });
});

describe('readItems', () => {
  it('checks vectors that are decoded already', () => {
    const items = [Float32Array.of(1, 2), Float32Array.of(NaN, 2), [3, 4]].map((embedding) => ({ embedding }));
    const { vectors } = readItems({ items, tokens: 4 }, { count: 3, dimensions: 2, requestId: undefined });
    expect([vectors[0], vectors[2]]).toEqual([Float32Array.of(1, 2), Float32Array.of(3, 4)]);
    expect(vectors[1]).toMatchObject({ problem: 'not-finite' });
  });
});
