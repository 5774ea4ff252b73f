import { Duplex } from 'node:stream';
import type { PGlite } from '@electric-sql/pglite';

const TERMINATE = 'X'.charCodeAt(0);

/** What pg writes to and reads from in place of a socket: a PostgreSQL in this process, which has one session to offer. */
export class PgliteStream extends Duplex {
  constructor(private readonly db: PGlite) {
    super();
  }

  connect(): this {
    process.nextTick(() => this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, written: (error?: Error) => void): void {
    if (chunk[0] === TERMINATE) {
      this.push(null);
      written();
      return;
    }
    this.db.execProtocolRaw(chunk).then((answer) => {
      this.push(answer);
      written();
    }, written);
  }

  override _writev(chunks: { chunk: Buffer }[], written: (error?: Error) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', written);
  }
}
