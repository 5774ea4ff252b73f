import type { ConnectionFactory, CreateContext } from 'nestjs-pools';
import type { DocumentConnection } from './document-table.js';
import type { VectorEngine } from './vector-engine.js';

/**
 * What is borrowed from the pool `documents`: the right to be the only one who talks to the store. A statement of somebody
 * else can therefore never come between those of a transaction.
 */
export class DocumentSession implements DocumentConnection {
  private hasEnded = false;

  /** @param onEnd called when the session ends */
  constructor(
    private readonly engine: VectorEngine,
    private readonly onEnd: () => void = () => {},
  ) {}

  async query(sql: string, parameters: unknown[] = []): Promise<{ rows: unknown[] }> {
    if (this.hasEnded) throw new Error('this session has ended; lease another one');
    return { rows: await this.engine.query(sql, parameters) };
  }

  /** A borrower that kept the session beyond its lease finds it closed. */
  end(): void {
    this.hasEnded = true;
    this.onEnd();
  }
}

/** How the pool `documents` makes its sessions. Ending one ends nothing but the session: the data stays with the engine. */
export class DocumentSessionFactory implements ConnectionFactory<DocumentSession> {
  constructor(private readonly engine: VectorEngine) {}

  async create({ signal, broken }: CreateContext): Promise<DocumentSession> {
    await untilAborted(this.engine.open(), signal);
    return new DocumentSession(this.engine, this.engine.onDeath(broken));
  }

  async isHealthy(session: DocumentSession): Promise<boolean> {
    return (await session.query('select 1')).rows.length === 1;
  }

  /** Undoes a transaction that its borrower did not finish; without one it does nothing. */
  async reset(session: DocumentSession): Promise<void> {
    await session.query('rollback');
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
