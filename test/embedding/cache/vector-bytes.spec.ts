import fc from 'fast-check';
import { decodeCached, encodeVector } from '../../../lib/embedding/cache/vector-bytes.js';

const vectors = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 64 })
  .filter((numbers) => numbers.some((number) => number !== 0))
  .map((numbers) => Float32Array.from(numbers));
const models = fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined });

describe('A cached vector', () => {
  it('comes back as it went, with its model, from any place in a shared buffer', () => {
    fc.assert(
      fc.property(vectors, models, fc.nat(9), (vector, model, offset) => {
        const bytes = encodeVector(vector, model);
        const shared = Buffer.alloc(bytes.length + 16, 0xee);
        shared.set(bytes, offset);
        const cached = decodeCached(shared.subarray(offset, offset + bytes.length));
        shared.fill(0);
        expect(cached).toEqual({ vector, model });
      }),
    );
  });

  it('has memory of its own, no larger than itself', () => {
    const { vector } = decodeCached(encodeVector(Float32Array.of(1, 2), 'm'))!;
    expect(vector.buffer.byteLength).toBe(8);
  });

  it('is the same bytes on every machine', () => {
    const bytes = encodeVector(Float32Array.of(1, -2), 'bge');
    expect(Buffer.from(bytes).toString('hex')).toBe('01010300' + '02000000' + '626765' + '0000803f' + '000000c0');
  });

  it('keeps a slice of a larger array, and of it nothing else', () => {
    const slab = Float32Array.of(9, 1, 2, 9);
    expect(decodeCached(encodeVector(slab.subarray(1, 3), undefined))).toEqual({
      vector: Float32Array.of(1, 2),
      model: undefined,
    });
  });

  it('is none if a byte is missing or there is one too many', () => {
    fc.assert(
      fc.property(vectors, models, fc.nat(), (vector, model, cut) => {
        const bytes = encodeVector(vector, model);
        expect(decodeCached(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
        expect(decodeCached(Buffer.concat([bytes, Buffer.of(cut & 255)]))).toBeUndefined();
      }),
    );
  });

  it.each([
    ['another version', (bytes: Buffer) => bytes.writeUInt8(2, 0)],
    ['flags of a later version', (bytes: Buffer) => bytes.writeUInt8(3, 1)],
    ['a name that it says not to have', (bytes: Buffer) => bytes.writeUInt8(0, 1)],
    ['more dimensions than numbers', (bytes: Buffer) => bytes.writeUInt32LE(0xffff_ffff, 4)],
    ['a number that is NaN', (bytes: Buffer) => bytes.writeFloatLE(NaN, bytes.length - 4)],
    ['a number that is infinite', (bytes: Buffer) => bytes.writeFloatLE(-Infinity, bytes.length - 8)],
    ['zeros only', (bytes: Buffer) => bytes.fill(0, bytes.length - 8)],
  ])('is none with %s', (_fault, harm) => {
    const bytes = Buffer.from(encodeVector(Float32Array.of(1, 2), 'm'));
    expect(decodeCached(bytes)).toBeDefined();
    harm(bytes);
    expect(decodeCached(bytes)).toBeUndefined();
  });

  it('may be as small or as large as a float can be', () => {
    for (const value of [2 ** -149, -(2 ** -149), 3.4028234663852886e38]) {
      const vector = new Float32Array(4_096).fill(value);
      expect(decodeCached(encodeVector(vector, undefined))?.vector).toEqual(vector);
    }
  });

  it('is never found in what is no such bytes, and nothing throws', () => {
    const odd = fc.oneof(fc.anything({ withTypedArray: true, withBigInt: true }), fc.string(), fc.json());
    fc.assert(
      fc.property(odd, (value) => {
        expect(decodeCached(value)).toBeUndefined();
      }),
    );
    expect(decodeCached([...encodeVector(Float32Array.of(1), undefined)])).toBeUndefined();
    expect(decodeCached(new Float32Array(8).fill(1))).toBeUndefined();
  });

  it('is a sound one or none, whatever stands in a value of the right version', () => {
    const noise = fc.uint8Array({ minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(noise, fc.integer({ min: 0, max: 12 }), (bytes, dimensions) => {
        bytes.set([1, 0, 0, 0, dimensions, 0, 0, 0].slice(0, bytes.length));
        const cached = decodeCached(bytes);
        if (cached === undefined) return;
        expect(cached.vector).toHaveLength(dimensions);
        expect(cached.vector.every(Number.isFinite)).toBe(true);
        expect(cached.vector.some((number) => number !== 0)).toBe(true);
      }),
    );
  });

  it('goes without a name that is too long to be one', () => {
    const cached = decodeCached(encodeVector(Float32Array.of(1), 'm'.repeat(70_000)));
    expect(cached).toEqual({ vector: Float32Array.of(1), model: undefined });
  });
});
