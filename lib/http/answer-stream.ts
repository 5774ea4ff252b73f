import { Readable } from 'node:stream';
import type { AnswerWatch } from './answer-watch.js';

/**
 * The body of an answer as the borrower gets it: of limited size, and failing with our error, for axios' own holds the
 * request, headers and all. Destroying it ends the request.
 *
 * @internal
 */
export class AnswerStream extends Readable {
  private bytes = 0;

  constructor(
    private readonly source: Readable,
    maxBytes: number,
    private readonly toError: (error: unknown) => Error,
    private readonly watch?: AnswerWatch,
  ) {
    super();
    // A borrower who has left it behind has no listener, and an `error` that nobody listens for ends the process.
    this.on('error', () => {});
    source.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.bytes > maxBytes) this.fail(Object.assign(new RangeError('too large'), { code: 'ERR_BAD_RESPONSE' }));
      else if (!this.push(chunk)) this.hold();
    });
    source.once('end', () => this.push(null));
    source.on('error', (error) => this.fail(error));
    source.once('close', () => {
      if (!source.readableEnded) this.fail(Object.assign(new Error('broken off'), { code: 'ECONNRESET' }));
    });
    this.hold();
  }

  override _read(): void {
    this.watch?.release();
    this.source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.source.readableEnded) this.source.destroy();
    callback(error);
  }

  private hold(): void {
    this.watch?.hold();
    this.source.pause();
  }

  private fail(error: unknown): void {
    if (!this.destroyed) this.destroy(this.toError(error));
  }
}
