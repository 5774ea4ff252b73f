import { endianness } from 'node:os';
import type { PieceWriter } from './piece-writer.js';

/** The type of the column that holds the vector; `real[]` needs no extension. @publicApi */
export type PgVectorType = 'vector' | 'halfvec' | 'real[]';

const IS_LITTLE_ENDIAN = endianness() === 'LE';
const REAL_OID = 700;
/** The dimensions are counted in 16 bits. pgvector itself allows 16 000. */
const MOST_DIMENSIONS = 65_535;

/** The binary form of each type, with its length before it. @internal */
export const VECTOR_FORMATS: Readonly<Record<PgVectorType, (out: PieceWriter, vector: Float32Array) => void>> = {
  vector(out, vector) {
    const start = begin(out, vector, vector.byteLength);
    out.bytes(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
    swap32(out, start);
  },
  halfvec(out, vector) {
    begin(out, vector, vector.length * 2);
    const bits = new Uint32Array(vector.buffer, vector.byteOffset, vector.length);
    const { piece } = out;
    let { at } = out;
    for (const word of bits) {
      const half = halfOf(word);
      piece[at] = half >> 8;
      piece[at + 1] = half & 0xff;
      at += 2;
    }
    out.at = at;
  },
  'real[]'(out, vector) {
    const { length } = vector;
    out.reserve(24 + length * 8);
    // An array of no elements has no dimension either.
    const dimensions = length === 0 ? 0 : 1;
    out.int32(dimensions === 0 ? 12 : 20 + length * 8);
    out.int32(dimensions);
    out.int32(0);
    out.int32(REAL_OID);
    if (dimensions === 0) return;
    out.int32(length);
    out.int32(1);
    const start = out.at;
    // Each element has its length before it.
    const words = new Uint32Array(length * 2).fill(Float32Array.BYTES_PER_ELEMENT);
    const bits = new Uint32Array(vector.buffer, vector.byteOffset, length);
    for (let index = 0; index < length; index += 1) words[index * 2 + 1] = bits[index]!;
    out.bytes(new Uint8Array(words.buffer));
    swap32(out, start);
  },
};

/** pgvector's head: how many dimensions, and 16 bits that are not in use. */
function begin(out: PieceWriter, { length }: Float32Array, bytes: number): number {
  if (length > MOST_DIMENSIONS) throw new TypeError(`a vector of ${length} dimensions is too long for PostgreSQL`);
  out.reserve(8 + bytes);
  out.int32(4 + bytes);
  out.int32(length * 0x1_0000);
  return out.at;
}

function swap32({ piece, at }: PieceWriter, start: number): void {
  if (IS_LITTLE_ENDIAN) piece.subarray(start, at).swap32();
}

/** The bits of a 16-bit float from those of a 32-bit one, rounded to the nearest, and to even between two. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  // From 65 520 on it rounds to infinity, which pgvector refuses; NaN stays NaN.
  if (magnitude >= 0x477f_f000) return sign | (magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00);
  // Half of the last bit that is kept, less one where that bit is 0: what carries is what is to be rounded up.
  if (magnitude >= 0x3880_0000) return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Below the least normal number the fraction gets shorter; below half of the least of all nothing is left.
  const shift = 126 - (magnitude >>> 23);
  return shift > 24 ? sign : sign | rounded((magnitude & 0x7f_ffff) | 0x80_0000, shift);
}

function rounded(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value - kept * 2 ** shift;
  const half = 2 ** (shift - 1);
  return rest > half || (rest === half && kept % 2 === 1) ? kept + 1 : kept;
}
