import type { ConnectionFactory, CreateContext } from 'nestjs-pools';
import type { VectorEngine } from './vector-engine.js';

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

/**
 * What is borrowed from the pool `documents`: the right to be the only one who talks to the store. A statement of somebody
 * else can therefore never come between those of a transaction.
 */
export class DocumentSession {
  private hasEnded = false;

  /** @param onEnd called when the session ends */
  constructor(
    private readonly engine: VectorEngine,
    private readonly onEnd: () => void = () => {},
  ) {}

  /** Puts the sections in the place of all that the source had before. */
  async replace(source: string, sections: readonly EmbeddedSection[]): Promise<void> {
    await this.query('begin');
    await this.query('delete from sections where source = $1', [source]);
    await this.query(
      `insert into sections (source, position, title, body, embedding)
       select $1, position, title, body, embedding::vector
       from unnest($2::text[], $3::text[], $4::text[]) with ordinality as given (title, body, embedding, position)`,
      [
        source,
        sections.map(({ title }) => title),
        sections.map(({ text }) => text),
        sections.map(({ vector }) => literal(vector)),
      ],
    );
    await this.query('commit');
  }

  /** The sections that point nearest in the direction of the vector, best first. */
  nearest(vector: Float32Array, limit: number): Promise<Hit[]> {
    return this.query<Hit>(
      `select title, source, body as text, 1 - (embedding <=> $1::vector) as score
       from sections order by embedding <=> $1::vector, source, position limit $2`,
      [literal(vector), limit],
    );
  }

  async count(): Promise<number> {
    const [row] = await this.query<{ count: number }>('select count(*)::int as count from sections');
    return row!.count;
  }

  async isAlive(): Promise<boolean> {
    return (await this.query('select 1')).length === 1;
  }

  /** Undoes a transaction that its borrower did not finish; without one it does nothing. */
  async reset(): Promise<void> {
    await this.query('rollback');
  }

  /** A borrower that kept the session beyond its lease finds it closed. */
  end(): void {
    this.hasEnded = true;
    this.onEnd();
  }

  private query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]> {
    if (this.hasEnded) return Promise.reject(new Error('this session has ended; lease another one'));
    return this.engine.query<Row>(sql, parameters);
  }
}

/** How the pool `documents` makes its sessions. Ending one ends nothing but the session: the data stays with the engine. */
export class DocumentSessionFactory implements ConnectionFactory<DocumentSession> {
  constructor(private readonly engine: VectorEngine) {}

  async create({ signal, broken }: CreateContext): Promise<DocumentSession> {
    await untilAborted(this.engine.open(), signal);
    return new DocumentSession(this.engine, this.engine.onDeath(broken));
  }

  isHealthy(session: DocumentSession): Promise<boolean> {
    return session.isAlive();
  }

  reset(session: DocumentSession): Promise<void> {
    return session.reset();
  }

  destroy(session: DocumentSession): void {
    session.end();
  }
}

/** The engine opens for everybody; who asked may leave before it has. */
function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason as Error);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

/** As pgvector writes one: `[0.1,0.2]`. */
function literal(vector: Float32Array): string {
  return `[${vector.join(',')}]`;
}
