export type { PgColumnType, PgColumnValues, PgVectorColumn } from './column-codec.js';
export type { PgVectorTable } from './copy-plan.js';
export { pgVectorSink, type PgVectorSinkOptions } from './pgvector-sink.js';
export type { PgVectorType } from './vector-format.js';
