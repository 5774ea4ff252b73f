/** Below it, joining a few chunks in the end costs less than to think of it. In bytes. @internal */
export const JOINED_BELOW = 64 * 1024;

/** How many times as much as has come an announced length may make us allocate: a liar has to send its share of the lie. */
const TRUST = 32;

/**
 * The bytes of one answer, put together as they come: where its length is told, a chunk is copied to its place at once and is
 * garbage then. To keep all chunks and join them in the end takes the memory of two answers.
 *
 * @internal
 */
export class AnswerBytes {
  /** How many have come. */
  size = 0;
  /** Those that have no place in `whole`. */
  private chunks: Buffer[] = [];
  private whole: Buffer | undefined;
  /** How many are announced; 0 where nobody said so. */
  private announced = 0;
  private most = 0;

  /**
   * @param length what `content-length` says, if anything
   * @param most what no more is allocated than, whatever is announced
   */
  announce(length: string | string[] | undefined, most: number): void {
    const announced = Number(length);
    if (announced > JOINED_BELOW) this.announced = announced;
    this.most = most;
  }

  add(chunk: Buffer): void {
    const start = this.size;
    this.size += chunk.length;
    if (this.announced === 0 || this.size < JOINED_BELOW) return void this.chunks.push(chunk);
    if (this.whole === undefined || this.size > this.whole.length) this.grow(start);
    chunk.copy(this.whole!, start);
  }

  /** All of them; once. */
  take(): Buffer {
    const { whole, chunks, size } = this;
    this.whole = undefined;
    this.chunks = [];
    if (whole !== undefined) return size === whole.length ? whole : whole.subarray(0, size);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
  }

  private grow(filled: number): void {
    // More than announced has no end that is known: as much again, so that each byte is moved but a few times.
    const wanted = this.size > this.announced ? this.size * 2 : Math.min(this.announced, this.size * TRUST);
    const grown = Buffer.allocUnsafeSlow(Math.max(this.size, Math.min(wanted, this.most)));
    if (this.whole !== undefined) this.whole.copy(grown, 0, 0, filled);
    else {
      let at = 0;
      for (const chunk of this.chunks) at += chunk.copy(grown, at);
      this.chunks = [];
    }
    this.whole = grown;
  }
}
