import { endianness } from 'node:os';
import type { EmbeddingVectorProblem } from '../embedding-errors.js';

const BYTES = Float32Array.BYTES_PER_ELEMENT;
const IS_BIG_ENDIAN = endianness() === 'BE';

/** What is wrong with a vector, before it is known whose it is. @internal */
export interface VectorFlaw {
  readonly problem: EmbeddingVectorProblem;
  readonly description: string;
}

const NOTHING: VectorFlaw = { problem: 'missing', description: 'there is none' };
const NO_BASE64: VectorFlaw = { problem: 'encoding', description: 'it is not base64' };
const NO_FLOATS: VectorFlaw = { problem: 'encoding', description: 'its bytes are not whole 32-bit floats' };
const NO_VECTOR: VectorFlaw = { problem: 'encoding', description: 'it is neither base64 nor an array of numbers' };
const NO_NUMBER: VectorFlaw = { problem: 'encoding', description: 'it holds something that is no number' };
const HOLE: VectorFlaw = { problem: 'not-finite', description: 'it holds null, which is how JSON writes NaN' };
const NOT_FINITE: VectorFlaw = { problem: 'not-finite', description: 'it holds a number that is not finite' };
const ZERO: VectorFlaw = { problem: 'zero', description: 'all its numbers are zero' };

/**
 * One vector from whatever encoding it came in: base64 of little-endian 32-bit floats, as asked for, or an array of numbers,
 * as servers send that do not know the request's field. What is decoded already is taken as it is.
 *
 * @internal
 */
export function decodeVector(embedding: unknown): Float32Array | VectorFlaw {
  // By its type and by nothing else: an array that is taken for base64 comes out as a quarter of the length, all zeros.
  if (typeof embedding === 'string') return fromBase64(embedding);
  if (Array.isArray(embedding)) return fromNumbers(embedding);
  if (embedding === undefined || embedding === null) return NOTHING;
  if (!(embedding instanceof Float32Array)) return NO_VECTOR;
  return embedding.length === 0 ? NOTHING : embedding;
}

/** What is wrong with a vector's numbers. @param dimensions how many there must be, where that is known @internal */
export function flawOf(vector: Float32Array, dimensions: number | undefined): VectorFlaw | undefined {
  if (dimensions !== undefined && vector.length !== dimensions) return wrongLength(vector, dimensions);
  // Doubles hold every square of a 32-bit float, great or small: the sum is as finite, and as much zero, as the numbers are.
  const sum = sumOfSquares(vector);
  if (!Number.isFinite(sum)) return NOT_FINITE;
  return sum === 0 ? ZERO : undefined;
}

/** @internal */
export function wrongLength(vector: Float32Array, dimensions: number): VectorFlaw {
  return { problem: 'dimensions', description: `it has ${vector.length} dimensions, not ${dimensions}` };
}

/** Base64 without its padding, and with the letters of URLs, can be read in one way only: that much is let pass. */
function fromBase64(text: string): Float32Array | VectorFlaw {
  if (text.length === 0) return NOTHING;
  const length = bytesOf(text);
  if (length === undefined) return NO_BASE64;
  if (length === 0 || length % BYTES !== 0) return NO_FLOATS;
  // Memory of its own, which is aligned and pins no other vector; Buffer.from() would lend a slice of a shared pool.
  const bytes = Buffer.allocUnsafeSlow(length);
  // Node leaves out what is no base64, and comes out short then.
  if (bytes.write(text, 'base64') !== length) return NO_BASE64;
  if (IS_BIG_ENDIAN) bytes.swap32();
  return new Float32Array(bytes.buffer, bytes.byteOffset, length / BYTES);
}

/** How many bytes a text stands for, if it is base64 from beginning to end. */
function bytesOf(text: string): number | undefined {
  // Node 20 decodes the low byte of each character, so that 'Ł' would pass for an 'A'.
  if (Buffer.byteLength(text) !== text.length) return undefined;
  let letters = text.length;
  if (letters % 4 === 0 && text.endsWith('=')) letters -= text.endsWith('==') ? 2 : 1;
  return letters % 4 === 1 ? undefined : Math.floor((letters * 3) / 4);
}

function fromNumbers(values: readonly unknown[]): Float32Array | VectorFlaw {
  if (values.length === 0) return NOTHING;
  const vector = new Float32Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    // Float32Array.from([null]) is 0: a hole would pass for a number.
    if (typeof value !== 'number') return value === null ? HOLE : NO_NUMBER;
    vector[index] = value;
  }
  return vector;
}

/** Four sums, so that no addition waits for the one before it: twice as fast as one. */
function sumOfSquares(vector: Float32Array): number {
  const whole = vector.length - (vector.length % 4);
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  let index = 0;
  for (; index < whole; index += 4) {
    const a = vector[index]!;
    const b = vector[index + 1]!;
    const c = vector[index + 2]!;
    const d = vector[index + 3]!;
    first += a * a;
    second += b * b;
    third += c * c;
    fourth += d * d;
  }
  for (; index < vector.length; index += 1) first += vector[index]! * vector[index]!;
  return first + second + third + fourth;
}
