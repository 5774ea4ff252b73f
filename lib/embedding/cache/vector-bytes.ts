import { endianness } from 'node:os';
import { isUint8Array } from 'node:util/types';

const IS_BIG_ENDIAN = endianness() === 'BE';
const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

// version u8 | flags u8 | bytes of the model's name u16 | dimensions u32 | the name in UTF-8 | 32-bit floats; all little-endian.
const VERSION = 1;
const HAS_MODEL = 1;
const HEADER_BYTES = 8;
const MOST_NAME_BYTES = 0xffff;

/** What was kept for a text. @internal */
export interface CachedVector {
  /** In memory of its own. */
  readonly vector: Float32Array;
  /** The model's name in the answer that the vector came by, where the server gave one. */
  readonly model: string | undefined;
}

/** A vector as bytes that are the same on every machine: 8, the model's name, and 4 for each dimension. @internal */
export function encodeVector(vector: Float32Array, model: string | undefined): Uint8Array {
  const named = model !== undefined && Buffer.byteLength(model) <= MOST_NAME_BYTES;
  const nameBytes = named ? Buffer.byteLength(model) : 0;
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + nameBytes + vector.byteLength);
  bytes[0] = VERSION;
  bytes[1] = named ? HAS_MODEL : 0;
  bytes.writeUInt16LE(nameBytes, 2);
  bytes.writeUInt32LE(vector.length, 4);
  if (named) bytes.write(model, HEADER_BYTES);
  const floats = bytes.subarray(HEADER_BYTES + nameBytes);
  floats.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
  if (IS_BIG_ENDIAN) floats.swap32();
  return bytes;
}

/**
 * The reverse. A store hands out what it likes: another program's value, an older version's, half of one. Whatever is not
 * beyond doubt is `undefined`, and nothing throws.
 *
 * @internal
 */
export function decodeCached(bytes: unknown): CachedVector | undefined {
  if (!isUint8Array(bytes) || bytes.length <= HEADER_BYTES || bytes[0] !== VERSION) return undefined;
  const flags = bytes[1]!;
  const nameBytes = bytes[2]! | (bytes[3]! << 8);
  const dimensions = (bytes[4]! | (bytes[5]! << 8) | (bytes[6]! << 16) | (bytes[7]! << 24)) >>> 0;
  const floatsAt = HEADER_BYTES + nameBytes;
  if (flags > HAS_MODEL || (flags === 0 && nameBytes > 0)) return undefined;
  if (dimensions === 0 || bytes.length !== floatsAt + dimensions * FLOAT_BYTES) return undefined;
  // Into memory of its own, which is aligned; clients hand out slices of the buffer that their socket was read into.
  const vector = new Float32Array(dimensions);
  const own = new Uint8Array(vector.buffer);
  own.set(bytes.subarray(floatsAt));
  if (IS_BIG_ENDIAN) Buffer.from(vector.buffer).swap32();
  if (!hasDirection(vector)) return undefined;
  return { vector, model: flags === HAS_MODEL ? nameIn(bytes, floatsAt) : undefined };
}

/** Whether all numbers are finite and not all are zero. No sum of squares of 32-bit floats overflows or vanishes in 64 bits. */
function hasDirection(vector: Float32Array): boolean {
  let squares = 0;
  for (let index = 0; index < vector.length; index += 1) squares += vector[index]! * vector[index]!;
  return squares > 0 && squares < Infinity;
}

function nameIn(bytes: Uint8Array, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8', HEADER_BYTES, end);
}
