/** Large enough that a piece's own cost is nothing, small enough to be on its way while others follow. */
const PIECE_BYTES = 256 * 1_024;

/**
 * Bytes in network order, in pieces that are never copied again. A value must be announced by {@link PieceWriter.reserve}
 * before it is written, and then lies within one piece.
 *
 * @internal
 */
export class PieceWriter {
  /** Where the next value goes, once room is reserved for it. */
  piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  at = 0;
  private readonly full: Buffer[] = [];

  reserve(bytes: number): void {
    if (this.at + bytes <= this.piece.length) return;
    this.full.push(this.piece.subarray(0, this.at));
    this.piece = Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, bytes));
    this.at = 0;
  }

  int16(value: number): void {
    this.at = this.piece.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.at = this.piece.writeInt32BE(value, this.at);
  }

  bytes(bytes: Uint8Array): void {
    this.piece.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** All that was written. */
  end(): readonly Buffer[] {
    return [...this.full, this.piece.subarray(0, this.at)];
  }
}
