import { Worker } from 'node:worker_threads';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';

export interface EngineQuestion {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type EngineAnswer =
  { readonly id: number; readonly rows: readonly unknown[] } | { readonly id: number; readonly problem: string };

interface Asker {
  readonly resolve: (rows: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

type State =
  | { readonly is: 'unopened' }
  | { readonly is: 'opening'; readonly worker: Worker; readonly opened: Promise<void> }
  | { readonly is: 'open'; readonly worker: Worker; readonly opened: Promise<void> }
  | { readonly is: 'dead'; readonly error: Error }
  | { readonly is: 'closed' };

/**
 * PostgreSQL with pgvector, in memory, inside this process: it stands in for the database server that you have.
 *
 * Opened on first use and closed with the application. Its data lives as long as it does, so one that has died is not
 * opened anew: an empty store that looks like a full one would answer every search with nothing.
 */
@Injectable()
export class VectorEngine implements OnApplicationShutdown {
  private state: State = { is: 'unopened' };
  private readonly asking = new Map<number, Asker>();
  private readonly mourners = new Set<(error: Error) => void>();
  private questions = 0;
  /** Where the thread's code is. A test that runs from the sources names the compiled one. */
  protected readonly workerUrl: URL = new URL('./vector-engine.worker.js', import.meta.url);

  /** Opens the engine; for all who ask, once. Takes about four seconds. */
  open(): Promise<void> {
    const { state } = this;
    if (state.is === 'dead') return Promise.reject(state.error);
    if (state.is === 'closed') return Promise.reject(new Error('the vector engine is closed'));
    if (state.is !== 'unopened') return state.opened;
    const worker = new Worker(this.workerUrl);
    const opened = this.prepare(worker);
    this.state = { is: 'opening', worker, opened };
    return opened;
  }

  /** One statement. They run one after the other, whoever asks. */
  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const { state } = this;
    if (state.is !== 'open') throw state.is === 'dead' ? state.error : new Error('the vector engine is not open');
    return (await this.ask(state.worker, sql, parameters)) as Row[];
  }

  /** Calls `listener` if the engine dies, until the function that is returned is called. */
  onDeath(listener: (error: Error) => void): () => void {
    this.mourners.add(listener);
    return () => this.mourners.delete(listener);
  }

  /** Ends the thread, whatever it is doing: there is nothing to save. */
  async close(): Promise<void> {
    const { state } = this;
    this.state = { is: 'closed' };
    if (state.is === 'opening' || state.is === 'open') await state.worker.terminate();
  }

  async onApplicationShutdown(): Promise<void> {
    const isOpening = this.state.is === 'opening';
    const closed = this.close();
    // A thread that is compiling PostgreSQL hears of its end only afterwards, two seconds later. The process need not wait.
    if (!isOpening) await closed;
  }

  private async prepare(worker: Worker): Promise<void> {
    worker.on('error', (error: Error) => this.died(error));
    worker.on('exit', (code) => this.died(new Error(`its thread ended with code ${code}`)));
    await new Promise<void>((resolve, reject) => {
      const off = this.onDeath(reject);
      worker.once('message', () => {
        off();
        worker.on('message', (answer: EngineAnswer) => this.answered(answer));
        resolve();
      });
    });
    if (this.state.is === 'opening') this.state = { ...this.state, is: 'open' };
  }

  private ask(worker: Worker, sql: string, parameters: readonly unknown[] = []): Promise<readonly unknown[]> {
    const id = ++this.questions;
    return new Promise((resolve, reject) => {
      this.asking.set(id, { resolve, reject });
      worker.postMessage({ id, sql, parameters } satisfies EngineQuestion);
    });
  }

  private answered(answer: EngineAnswer): void {
    const asker = this.asking.get(answer.id);
    this.asking.delete(answer.id);
    if ('problem' in answer) asker?.reject(new Error(answer.problem));
    else asker?.resolve(answer.rows);
  }

  private died(cause: Error): void {
    const error = Object.assign(new Error('the vector engine is gone; restart the application', { cause }), {
      retryable: false,
    });
    if (this.state.is === 'opening' || this.state.is === 'open') this.state = { is: 'dead', error };
    for (const asker of this.asking.values()) asker.reject(error);
    this.asking.clear();
    for (const mourner of this.mourners) mourner(error);
    this.mourners.clear();
  }
}
