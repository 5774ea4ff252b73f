import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import type { Environment } from '../config/environment.js';
import { explain, isDatabaseGone } from '../web/upstream-failure.js';
import { DocumentStore } from './document-store.js';
import { readMarkdownFiles } from './markdown-files.js';
import { type Section, splitMarkdown } from './markdown-splitter.js';

/** How far the index is: for the page, the log, and a search that comes too early. */
export interface IndexProgress {
  readonly state: 'indexing' | 'ready' | 'failed';
  readonly documents: number;
  /** Sections that are embedded, of `total`. */
  readonly done: number;
  readonly total: number;
  /** What it waits for, or why it failed. */
  readonly problem?: string;
}

/** A search before the index is ready. */
export class IndexNotReadyError extends Error {
  override readonly name = 'IndexNotReadyError';
  constructor(readonly progress: IndexProgress) {
    super('the index is not ready');
  }
}

interface Document {
  readonly source: string;
  readonly sections: readonly Section[];
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 4_000;

/**
 * Reads the Markdown files and puts them into the store, once, beside the start: the application serves meanwhile.
 *
 * It waits for an upstream that is down, as long as it takes. A wrong key or model does not mend itself: that is said once,
 * and indexing stops until the restart that the cure needs anyway.
 */
@Injectable()
export class IndexingService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Indexing');
  private readonly stop = new AbortController();
  private state: IndexProgress = { state: 'indexing', documents: 0, done: 0, total: 0 };
  private failure: unknown;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: ConfigService<Environment, true>,
    private readonly store: DocumentStore,
  ) {}

  get progress(): IndexProgress {
    return this.state;
  }

  /**
   * @throws what made indexing fail, or {@link IndexNotReadyError}
   */
  requireReady(): void {
    if (this.state.state === 'ready') return;
    throw this.failure ?? new IndexNotReadyError(this.state);
  }

  onApplicationBootstrap(): void {
    this.running = this.run().catch((error: unknown) => this.failed(error));
  }

  /** In the first step of a shutdown, so that the pools find nothing of ours when they close. */
  async onModuleDestroy(): Promise<void> {
    this.stop.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const startedAt = performance.now();
    const folder = this.config.get('DOCUMENTS_DIR', { infer: true });
    const documents = await readDocuments(folder);
    const total = documents.reduce((sum, { sections }) => sum + sections.length, 0);
    this.state = { ...this.state, documents: documents.length, total };
    if (total === 0) this.logger.warn(`there is no Markdown in ${folder}: nothing will be found`);
    else this.logger.log(`${total} sections of ${documents.length} documents in ${folder}`);

    let before = 0;
    for (const document of documents) {
      await this.addPatiently(document, before);
      before += document.sections.length;
      this.logger.log(`${before} of ${total} sections are embedded and stored (${document.source})`);
    }
    this.state = { ...this.state, state: 'ready', done: total };
    this.logger.log(`ready after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  }

  /** Adds one document, trying again with growing pauses while it fails for a reason that may pass. */
  private async addPatiently({ source, sections }: Document, before: number): Promise<void> {
    const { signal } = this.stop;
    const onProgress = (done: number): void => this.advance(before + done);
    for (let pauseMs = FIRST_RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, LAST_RETRY_MS)) {
      try {
        return await this.store.add(source, sections, { signal, onProgress });
      } catch (error) {
        const mayPass = (error as { retryable?: unknown }).retryable === true || isDatabaseGone(error);
        if (signal.aborted || !mayPass) throw error;
        this.waits(explain(error).message);
      }
      await sleep(pauseMs, undefined, { signal });
    }
  }

  private advance(done: number): void {
    const { problem, ...state } = this.state;
    if (problem !== undefined) this.logger.log('goes on');
    this.state = { ...state, done };
  }

  private waits(problem: string): void {
    if (this.state.problem === undefined) this.logger.warn(`waits and tries again: ${problem}`);
    this.state = { ...this.state, problem };
  }

  private failed(error: unknown): void {
    if (this.stop.signal.aborted) return;
    this.failure = error;
    const { message } = explain(error);
    this.state = { ...this.state, state: 'failed', problem: message };
    this.logger.error(`stopped until the next start. ${message}`);
  }
}

async function readDocuments(folder: string): Promise<Document[]> {
  const files = await readMarkdownFiles(folder);
  return files.map(({ source, markdown }) => ({
    source,
    sections: splitMarkdown(markdown, source.replace(/\.md$/iu, '')),
  }));
}
