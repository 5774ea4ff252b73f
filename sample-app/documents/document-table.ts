/** What both stores lend. A client of `pg` is one as it is. */
export interface DocumentConnection {
  query(sql: string, parameters?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** A piece of a document with its vector. */
export interface EmbeddedSection {
  readonly title: string;
  readonly text: string;
  readonly vector: Float32Array;
}

export interface Hit {
  readonly title: string;
  /** Which document it is from. */
  readonly source: string;
  readonly text: string;
  /** 1: the same direction; 0: nothing in common. */
  readonly score: number;
}

/** How vectors are kept: by pgvector where the server has it, else as an array of numbers, which every PostgreSQL can compare. */
interface Column {
  readonly type: string;
  readonly score: string;
  readonly width: string;
  readonly literal: (vector: Float32Array) => string;
}

const VECTOR: Column = {
  type: 'vector',
  score: '1 - (embedding <=> $1::vector)',
  width: 'vector_dims(embedding)',
  literal: (vector) => `[${vector.join(',')}]`,
};

const NUMBERS: Column = {
  type: 'real[]',
  score: `(select sum(a * b) / nullif(sqrt(sum(a * a)) * sqrt(sum(b * b)), 0) from unnest(embedding, $1::real[]) as pair (a, b))`,
  width: 'cardinality(embedding)',
  literal: (vector) => `{${vector.join(',')}}`,
};

const TABLE = 'nestjs_pools_sample_sections';
/** So that two replicas that start together do not both make the table. Any number that nobody else takes. */
const LOCK = 4_711_001;

/** The sections and their vectors, in whichever PostgreSQL. */
export class DocumentTable {
  private constructor(private readonly column: Column) {}

  /** Makes the table where there is none. The width of vectors is left open: it is the model's business. */
  static async prepare(connection: DocumentConnection): Promise<DocumentTable> {
    const hasVectors = await hasExtension(connection);
    const { type } = hasVectors ? VECTOR : NUMBERS;
    await connection.query('begin');
    await connection.query('select pg_advisory_xact_lock($1)', [LOCK]);
    if (hasVectors) await connection.query('create extension if not exists vector');
    await connection.query(
      `create table if not exists ${TABLE} (
         source text not null, position int not null, title text not null, body text not null,
         embedding ${type} not null, primary key (source, position)
       )`,
    );
    // It may be from a time when the server had no pgvector.
    const { rows } = await connection.query(
      `select format_type(atttypid, null) as type from pg_attribute where attrelid = '${TABLE}'::regclass and attname = 'embedding'`,
    );
    await connection.query('commit');
    return new DocumentTable((rows as { type: string }[])[0]!.type === VECTOR.type ? VECTOR : NUMBERS);
  }

  /** Puts the sections in the place of all that the source had before. */
  async replace(connection: DocumentConnection, source: string, sections: readonly EmbeddedSection[]): Promise<void> {
    const { type, literal } = this.column;
    await connection.query('begin');
    // Two replicas that read the same file take turns.
    await connection.query('select pg_advisory_xact_lock($1, hashtext($2))', [LOCK % 1_000, source]);
    await connection.query(`delete from ${TABLE} where source = $1`, [source]);
    await connection.query(
      `insert into ${TABLE} (source, position, title, body, embedding)
       select $1, position, title, body, embedding::${type}
       from unnest($2::text[], $3::text[], $4::text[]) with ordinality as given (title, body, embedding, position)`,
      [
        source,
        sections.map(({ title }) => title),
        sections.map(({ text }) => text),
        sections.map(({ vector }) => literal(vector)),
      ],
    );
    await connection.query('commit');
  }

  /** The sections that point nearest in the direction of the vector, best first. */
  async nearest(connection: DocumentConnection, vector: Float32Array, limit: number): Promise<Hit[]> {
    const { score, width, literal } = this.column;
    // What another model has left behind has another width, and nothing to do with this vector.
    const { rows } = await connection.query(
      `select title, source, body as text, ${score} as score
       from ${TABLE} where ${width} = $2 order by score desc nulls last, source, position limit $3`,
      [literal(vector), vector.length, limit],
    );
    return rows as Hit[];
  }

  async count(connection: DocumentConnection): Promise<number> {
    const { rows } = await connection.query(`select count(*)::int as count from ${TABLE}`);
    return (rows as { count: number }[])[0]!.count;
  }
}

async function hasExtension(connection: DocumentConnection): Promise<boolean> {
  const { rows } = await connection.query(`select 1 from pg_available_extensions where name = 'vector'`);
  return rows.length > 0;
}
