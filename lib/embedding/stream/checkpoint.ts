import { open, readFile, rename } from 'node:fs/promises';
import { shapeOf, wholeFrom } from '../../core/option-rules.js';

/**
 * Remembers how far a stream was, so that another run goes on from there.
 *
 * The cursor is a number of items from the source's beginning, all of which have been handled: the consumer has asked for the
 * next one after each, or the sink has committed them. Some beyond it may have been handled too and come again.
 * The source must be the same in every run: as many items are skipped of it.
 *
 * @publicApi
 */
export interface EmbeddingCheckpoint {
  /** Asked once, before the first item. `undefined`: from the beginning. */
  load(): Promise<number | undefined> | number | undefined;
  /** Never asked again before it has ended; the last cursor is always saved. What it throws ends the stream. */
  save(cursor: number): Promise<void> | void;
}

/**
 * A checkpoint in a file. A crash at any time leaves the old cursor or the new one. One process at a time may use it.
 *
 * @publicApi
 */
export function fileCheckpoint(path: string): EmbeddingCheckpoint {
  return {
    async load() {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (text === undefined) return undefined;
      const cursor = /^\d+\n?$/.test(text) ? Number(text) : undefined;
      if (!Number.isSafeInteger(cursor))
        throw new Error(`${path}: expected a whole number and nothing else; delete it to begin anew`);
      return cursor;
    },
    async save(cursor) {
      const file = await open(`${path}.tmp`, 'w');
      try {
        await file.writeFile(`${cursor}\n`);
        // Or a crash of the machine might keep the new name and not what it stands for.
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(`${path}.tmp`, path);
    },
  };
}

/** Saves the latest cursor, one after the other. What came in between is not saved. @internal */
export class CursorKeeper {
  private saved = 0;
  private wanted = 0;
  private saving: Promise<void> | undefined;
  private failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly checkpoint: EmbeddingCheckpoint,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  /** @throws TypeError when what was loaded is no cursor */
  async load(): Promise<number> {
    const cursor: unknown = (await this.checkpoint.load()) ?? 0;
    const expected = wholeFrom(0)(cursor);
    if (expected !== undefined)
      throw new TypeError(`checkpoint.load(): expected ${expected}, or nothing, got ${shapeOf(cursor)}`);
    this.saved = this.wanted = cursor as number;
    return cursor as number;
  }

  note(cursor: number): void {
    this.wanted = cursor;
    if (this.saving === undefined && cursor !== this.saved && this.failure === undefined) this.saving = this.saveAll();
  }

  /** Resolves when the last cursor is saved. */
  async end(cursor: number): Promise<void> {
    this.note(cursor);
    await this.saving;
    if (this.failure !== undefined) throw this.failure.error;
  }

  private async saveAll(): Promise<void> {
    try {
      while (this.wanted !== this.saved) {
        const cursor = this.wanted;
        await this.checkpoint.save(cursor);
        this.saved = cursor;
      }
    } catch (error) {
      this.failure = { error };
      this.onFailure(error);
    } finally {
      this.saving = undefined;
    }
  }
}
