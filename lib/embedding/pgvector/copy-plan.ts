import { PoolOptionsError } from '../../core/index.js';
import { checkGroup, group, oneOf, type Rule, shapeOf } from '../../core/option-rules.js';
import type { EmbeddedItem } from '../stream/embed-stream.js';
import { CODECS, type PgVectorColumn } from './column-codec.js';
import { PieceWriter } from './piece-writer.js';
import { type PgVectorType, VECTOR_FORMATS } from './vector-format.js';

/** What decides which rows are written, and where. @publicApi */
export interface PgVectorTable<T> {
  readonly table: string;
  /** Default: where the session's `search_path` finds the table. */
  readonly schema?: string;
  /** The columns that are written beside the vector, by name. */
  readonly columns: Readonly<Record<string, PgVectorColumn<T>>>;
  readonly vectorColumn: string;
  /** Default: `vector`. */
  readonly type?: PgVectorType;
  /** What becomes of a row that is there already. Default: the batch fails, and with it the stream. */
  readonly onConflict?: 'update' | 'nothing';
  /** The columns of the unique index that tells whether it is; needed for `update`. */
  readonly conflictColumns?: readonly string[];
}

/** PostgreSQL cuts longer names off, and would say that there is no such column. */
const MOST_NAME_BYTES = 63;
const SIGNATURE = Buffer.from('PGCOPY\n\u00FF\r\n\0', 'latin1');
const STAGING = 'pg_temp."nestjs_pools_staging"';
const POSITION = '"nestjs_pools_position"';
const NULL = -1;

const identifier: Rule = (value) =>
  typeof value === 'string' && value !== '' && !value.includes('\0') && Buffer.byteLength(value) <= MOST_NAME_BYTES
    ? undefined
    : `a name of 1 to ${MOST_NAME_BYTES} bytes`;
const identifiers: Rule = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((name) => identifier(name) === undefined)
    ? undefined
    : 'a list of names';

const RULES: Record<keyof PgVectorTable<unknown>, Rule> = {
  table: identifier,
  schema: identifier,
  columns: group,
  vectorColumn: identifier,
  type: oneOf('vector', 'halfvec', 'real[]'),
  onConflict: oneOf('update', 'nothing'),
  conflictColumns: identifiers,
};

/** The statements for one batch, and the bytes of its rows. @internal */
export class CopyPlan<T> {
  /** Before COPY, where rows may be there already. */
  readonly stage: string | undefined;
  readonly copy: string;
  /** After it. */
  readonly merge: string | undefined;
  private readonly columns: readonly (readonly [string, PgVectorColumn<T>])[];
  private readonly writeVector: (out: PieceWriter, vector: Float32Array) => void;
  private readonly keys: readonly string[];
  private readonly hasPosition: boolean;

  /** @throws {@link PoolOptionsError} naming every option that is wrong */
  constructor(pool: string, table: PgVectorTable<T>) {
    const problems = problemsOf(table);
    if (problems.length > 0) throw new PoolOptionsError(pool, problems);
    const { columns, vectorColumn, type = 'vector', onConflict, conflictColumns = [], schema } = table;
    this.columns = Object.entries(columns);
    this.writeVector = VECTOR_FORMATS[type];
    this.keys = onConflict === 'update' ? conflictColumns : [];
    this.hasPosition = onConflict === 'update';
    const target = schema === undefined ? quoted(table.table) : `${quoted(schema)}.${quoted(table.table)}`;
    const names = [...Object.keys(columns), vectorColumn];
    const list = names.map(quoted).join(', ');
    if (onConflict === undefined) {
      this.copy = copyInto(target, list);
      return;
    }
    const position = this.hasPosition ? `, 0::int8 AS ${POSITION}` : '';
    this.stage = `CREATE TEMP TABLE ${STAGING} ON COMMIT DROP AS SELECT ${list}${position} FROM ${target} WITH NO DATA`;
    this.copy = copyInto(STAGING, this.hasPosition ? `${list}, ${POSITION}` : list);
    this.merge = `INSERT INTO ${target} (${list}) ${rowsToMerge(list, this.keys)} ${conflictClause(table, names)}`;
  }

  /**
   * @throws TypeError naming the item and the column of a value that is not of its type
   */
  encode(batch: readonly EmbeddedItem<T>[]): readonly Buffer[] {
    const out = new PieceWriter();
    out.reserve(SIGNATURE.length + 8);
    out.bytes(SIGNATURE);
    // No flags, and no extension of the header.
    out.int32(0);
    out.int32(0);
    const fields = this.columns.length + (this.hasPosition ? 2 : 1);
    for (const row of batch) {
      out.reserve(2);
      out.int16(fields);
      for (const [name, column] of this.columns) this.writeColumn(out, row, name, column);
      this.writeVector(out, row.vector);
      if (this.hasPosition) CODECS.int8.write(out, row.index as never);
    }
    out.reserve(2);
    out.int16(NULL);
    return out.end();
  }

  private writeColumn(
    out: PieceWriter,
    { item, index }: EmbeddedItem<T>,
    name: string,
    column: PgVectorColumn<T>,
  ): void {
    const value: unknown = column.value(item, index);
    const codec = CODECS[column.type];
    if (value === null || value === undefined) {
      // Two NULLs are not in conflict, and would yet count as one row of the batch.
      if (this.keys.includes(name))
        throw wrongValue(index, name, `${codec.expected}, since it tells rows apart`, value);
      out.reserve(4);
      out.int32(NULL);
      return;
    }
    if (!codec.accepts(value)) throw wrongValue(index, name, codec.expected, value);
    try {
      codec.write(out, value as never);
    } catch (error) {
      // JSON with a bigint or a circle in it is found only now.
      throw wrongValue(index, name, codec.expected, value, error);
    }
  }
}

function problemsOf<T>(table: PgVectorTable<T>): string[] {
  const problems = checkGroup(RULES, table);
  for (const key of ['table', 'columns', 'vectorColumn'] as const) {
    if (table[key] === undefined) problems.push(`${key}: expected ${RULES[key](undefined)}, got nothing`);
  }
  if (problems.length > 0) return problems;
  const { columns, vectorColumn, onConflict, conflictColumns } = table;
  const names = Object.keys(columns);
  for (const [name, column] of Object.entries(columns)) {
    const { type, value } = (column ?? {}) as Partial<PgVectorColumn<T>>;
    const wrong = identifier(name) ?? oneOf(...Object.keys(CODECS))(type);
    if (identifier(name) !== undefined) problems.push(`columns: expected ${wrong} as a column's name`);
    else if (wrong !== undefined) problems.push(`columns.${name}.type: expected ${wrong}, got ${shapeOf(type)}`);
    if (typeof value !== 'function') problems.push(`columns.${name}.value: expected a function, got ${shapeOf(value)}`);
  }
  if (names.includes(vectorColumn)) problems.push('vectorColumn: must not be among the columns');
  const strangers = (conflictColumns ?? []).filter((name) => !names.includes(name));
  if (strangers.length > 0) problems.push(`conflictColumns: not among the columns: ${strangers.join(', ')}`);
  if (onConflict === 'update' && conflictColumns === undefined) {
    problems.push("conflictColumns: expected the unique index's columns, for onConflict 'update'; got nothing");
  }
  if (onConflict === undefined && conflictColumns !== undefined) {
    problems.push("conflictColumns: means nothing without onConflict: 'update' or 'nothing'");
  }
  return problems;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function copyInto(target: string, list: string): string {
  return `COPY ${target} (${list}) FROM STDIN WITH (FORMAT binary)`;
}

/** A batch may have a row twice, which ON CONFLICT DO UPDATE does not take: the later one counts, as it would in two batches. */
function rowsToMerge(list: string, keys: readonly string[]): string {
  if (keys.length === 0) return `SELECT ${list} FROM ${STAGING}`;
  const apart = keys.map(quoted).join(', ');
  return `SELECT DISTINCT ON (${apart}) ${list} FROM ${STAGING} ORDER BY ${apart}, ${POSITION} DESC`;
}

function conflictClause<T>({ onConflict, conflictColumns = [] }: PgVectorTable<T>, names: readonly string[]): string {
  const target = conflictColumns.length === 0 ? '' : ` (${conflictColumns.map(quoted).join(', ')})`;
  if (onConflict === 'nothing') return `ON CONFLICT${target} DO NOTHING`;
  const others = names.filter((name) => !conflictColumns.includes(name)).map(quoted);
  return `ON CONFLICT${target} DO UPDATE SET ${others.map((name) => `${name} = EXCLUDED.${name}`).join(', ')}`;
}

function wrongValue(index: number, column: string, expected: string, value: unknown, cause?: unknown): TypeError {
  const message = `item ${index}, column ${column}: expected ${expected}, got ${shapeOf(value)}`;
  return new TypeError(message, cause === undefined ? undefined : { cause });
}
