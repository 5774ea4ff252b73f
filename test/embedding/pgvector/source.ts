import type { PostgresPool } from 'nestjs-pools/postgres';
import * as source from '../../../lib/embedding/pgvector/pgvector-sink.js';
import type { VectorSink } from '../../../lib/embedding/stream/vector-sink.js';

/** To the compiler the pools of lib/ and those of the package are two classes; there is one. */
export type PgVectorSinkOptions<T> = Omit<source.PgVectorSinkOptions<T>, 'pool'> & { readonly pool: PostgresPool };

export function pgVectorSink<T>(options: PgVectorSinkOptions<T>): VectorSink<T> {
  return source.pgVectorSink(options as unknown as source.PgVectorSinkOptions<T>);
}
