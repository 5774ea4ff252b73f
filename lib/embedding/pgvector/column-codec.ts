import type { PieceWriter } from './piece-writer.js';

/** What a column of each type is given. @publicApi */
export interface PgColumnValues {
  readonly int4: number;
  readonly int8: number | bigint;
  readonly float8: number;
  readonly bool: boolean;
  readonly text: string;
  readonly uuid: string;
  /** Whatever JSON can say. */
  readonly jsonb: unknown;
  readonly timestamptz: Date;
}

/** @publicApi */
export type PgColumnType = keyof PgColumnValues;

/**
 * A column beside the vector: its type, which must be the table's own, and its value for an item. `null` and `undefined`
 * are NULL.
 *
 * @publicApi
 */
export type PgVectorColumn<T> = {
  readonly [Type in PgColumnType]: {
    readonly type: Type;
    value(item: T, index: number): PgColumnValues[Type] | null | undefined;
  };
}[PgColumnType];

/** PostgreSQL counts from 2000 on, in microseconds. */
const EPOCH_MS = 946_684_800_000;
const UUID = /^[\da-f]{8}-?(?:[\da-f]{4}-?){3}[\da-f]{12}$/i;
const INT8 = 2n ** 63n;

interface Codec {
  /** What a value must be, in words. */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** Writes the length and the value. */
  write(out: PieceWriter, value: never): void;
}

/** PostgreSQL's binary form of each type. @internal */
export const CODECS: Readonly<Record<PgColumnType, Codec>> = {
  int4: {
    expected: 'a whole number of 32 bits',
    accepts: (value) => typeof value === 'number' && Number.isInteger(value) && (value | 0) === value,
    write(out, value: number) {
      out.reserve(8);
      out.int32(4);
      out.int32(value);
    },
  },
  int8: {
    expected: 'a whole number that is exact, or a bigint of 64 bits',
    accepts: (value) => (typeof value === 'bigint' ? value >= -INT8 && value < INT8 : Number.isSafeInteger(value)),
    write(out, value: number | bigint) {
      out.reserve(12);
      out.int32(8);
      out.at = out.piece.writeBigInt64BE(BigInt(value), out.at);
    },
  },
  float8: {
    expected: 'a number',
    accepts: (value) => typeof value === 'number',
    write(out, value: number) {
      out.reserve(12);
      out.int32(8);
      out.at = out.piece.writeDoubleBE(value, out.at);
    },
  },
  bool: {
    expected: 'true or false',
    accepts: (value) => typeof value === 'boolean',
    write(out, value: boolean) {
      out.reserve(5);
      out.int32(1);
      out.at = out.piece.writeUInt8(value ? 1 : 0, out.at);
    },
  },
  text: {
    // PostgreSQL would refuse the whole batch, and not say which item it was.
    expected: 'a text without NUL',
    accepts: (value) => typeof value === 'string' && !value.includes('\0'),
    write: (out, value: string) => writeText(out, value, ''),
  },
  uuid: {
    expected: 'a UUID',
    accepts: (value) => typeof value === 'string' && UUID.test(value),
    write(out, value: string) {
      out.reserve(20);
      out.int32(16);
      out.at += out.piece.write(value.replaceAll('-', ''), out.at, 'hex');
    },
  },
  jsonb: {
    expected: 'something that JSON can say',
    accepts: (value) => typeof value !== 'function' && typeof value !== 'symbol' && typeof value !== 'bigint',
    // After the version of the format, which is 1.
    write: (out, value: unknown) => writeText(out, jsonOf(value), '\u0001'),
  },
  timestamptz: {
    expected: 'a valid Date',
    accepts: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
    write(out, value: Date) {
      out.reserve(12);
      out.int32(8);
      out.at = out.piece.writeBigInt64BE(BigInt(value.getTime() - EPOCH_MS) * 1_000n, out.at);
    },
  },
};

/** An object may have it that JSON leaves it out. */
function jsonOf(value: unknown): string {
  return (JSON.stringify(value) as string | undefined) ?? 'null';
}

/** Three bytes are the most that a UTF-16 unit becomes; the length is known when it is written. */
function writeText(out: PieceWriter, text: string, prefix: '' | '\u0001'): void {
  out.reserve(4 + prefix.length + text.length * 3);
  const start = out.at + 4;
  let end = start + out.piece.write(prefix, start, 'latin1');
  end += out.piece.write(text, end, 'utf8');
  out.piece.writeInt32BE(end - start, start - 4);
  out.at = end;
}
