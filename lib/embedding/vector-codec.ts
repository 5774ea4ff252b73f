import { endianness } from 'node:os';
import { EmbeddingResponseError } from './embedding-errors.js';

const BYTES = Float32Array.BYTES_PER_ELEMENT;
const IS_BIG_ENDIAN = endianness() === 'BE';

/**
 * One vector from either encoding of the protocol: base64 of little-endian 32-bit floats, as asked for, or an array of
 * numbers, as servers send that do not know the request's field.
 *
 * @throws {@link EmbeddingResponseError} for anything that is not a vector of finite numbers
 * @internal
 */
export function decodeVector(embedding: unknown, place: string): Float32Array {
  if (typeof embedding === 'string') return finite(fromBase64(embedding, place), place);
  if (Array.isArray(embedding)) return finite(fromNumbers(embedding, place), place);
  throw new EmbeddingResponseError(`${place} is neither base64 nor an array of numbers`);
}

function fromBase64(text: string, place: string): Float32Array {
  const length = Buffer.byteLength(text, 'base64');
  if (length === 0 || length % BYTES !== 0)
    throw new EmbeddingResponseError(`${place} holds ${length} bytes, not whole floats`);
  // Into memory of its own, which is aligned; Buffer.from() would lend a slice of a shared pool.
  const vector = new Float32Array(length / BYTES);
  const bytes = Buffer.from(vector.buffer);
  if (bytes.write(text, 'base64') !== length) throw new EmbeddingResponseError(`${place} is not base64`);
  if (IS_BIG_ENDIAN) bytes.swap32();
  return vector;
}

function fromNumbers(values: readonly unknown[], place: string): Float32Array {
  if (values.length === 0) throw new EmbeddingResponseError(`${place} is empty`);
  const vector = new Float32Array(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    // Float32Array.from([null]) is 0, and JSON writes NaN as null: a hole would pass for a number.
    if (typeof value !== 'number') throw new EmbeddingResponseError(`${place} holds something that is no number`);
    vector[index] = value;
  }
  return vector;
}

function finite(vector: Float32Array, place: string): Float32Array {
  for (const value of vector) {
    if (!Number.isFinite(value)) throw new EmbeddingResponseError(`${place} holds a number that is not finite`);
  }
  return vector;
}
