const BLOCK_BYTES = 1024 * 1024;
const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** A vector that is kept, beside its numbers. @internal */
export interface KeptVector {
  readonly key: string;
  readonly model: string | undefined;
  /** How many numbers it has. */
  readonly length: number;
  /** Where they are; nowhere before `put`. */
  block: VectorBlock | undefined;
  place: number;
}

/** Memory for vectors of one length, until it is empty. @internal */
export class VectorBlock {
  /** By place; those behind the last one were never used. */
  readonly residents: (KeptVector | undefined)[] = [];
  /** Places among them that are free again. */
  readonly freed: number[] = [];
  length = 0;
  private places = 0;

  constructor(readonly numbers: Float32Array) {}

  get isEmpty(): boolean {
    return this.freed.length === this.residents.length;
  }

  get isFull(): boolean {
    return this.freed.length === 0 && this.residents.length === this.places;
  }

  /** Only while it is empty. */
  assign(length: number): void {
    this.residents.length = 0;
    this.freed.length = 0;
    this.length = length;
    this.places = Math.floor(this.numbers.length / length);
  }
}

/**
 * The numbers of many vectors in a few large blocks of equal size. An array for each vector would be memory that V8 has to
 * find, account for and give back, one by one.
 *
 * A block holds vectors of one length at a time. It is allocated when it is needed and then kept; once empty, it takes
 * vectors of any length.
 *
 * @internal
 */
export class VectorBlocks {
  private readonly mostBlocks: number;
  private readonly blockFloats: number;
  private readonly empty: VectorBlock[] = [];
  /** By length, those with a place that is free. */
  private readonly open = new Map<number, VectorBlock[]>();
  private allocated = 0;

  /** @param blockBytes the most that a block may take; default: 1 MiB */
  constructor(maxBytes: number, blockBytes = BLOCK_BYTES) {
    this.mostBlocks = Math.ceil(maxBytes / blockBytes);
    // All somewhat smaller rather than one that is small: each must be of use to every length.
    this.blockFloats = Math.floor(maxBytes / this.mostBlocks / FLOAT_BYTES);
  }

  /** Memory of all blocks, in bytes; never more than `maxBytes`. */
  get allocatedBytes(): number {
    return this.allocated * this.blockFloats * FLOAT_BYTES;
  }

  /** Whether a vector of that length fits into a block at all. */
  fits(length: number): boolean {
    return length > 0 && length <= this.blockFloats;
  }

  /** Copies the numbers in; false if there is no place for that length. */
  put(kept: KeptVector, vector: Float32Array): boolean {
    const block = this.open.get(kept.length)?.at(-1) ?? this.vacant(kept.length);
    if (block === undefined) return false;
    kept.block = block;
    kept.place = block.freed.pop() ?? block.residents.length;
    block.residents[kept.place] = kept;
    block.numbers.set(vector, kept.place * kept.length);
    if (block.isFull) this.open.get(kept.length)!.pop();
    return true;
  }

  /** The numbers, in memory of their own. */
  copy({ block, place, length }: KeptVector): Float32Array {
    return block!.numbers.slice(place * length, (place + 1) * length);
  }

  free({ block, place, length }: KeptVector): void {
    if (block === undefined) return;
    if (block.isFull) this.openOf(length).push(block);
    block.residents[place] = undefined;
    block.freed.push(place);
    if (!block.isEmpty) return;
    const open = this.openOf(length);
    open.splice(open.indexOf(block), 1);
    if (open.length === 0) this.open.delete(length);
    this.empty.push(block);
  }

  /** Gives all memory back; what was in it is gone. */
  clear(): void {
    this.empty.length = 0;
    this.open.clear();
    this.allocated = 0;
  }

  /** A block that is empty, given to that length; `undefined` if all are in use. */
  private vacant(length: number): VectorBlock | undefined {
    const block = this.empty.pop() ?? this.allocate();
    if (block === undefined) return undefined;
    block.assign(length);
    this.openOf(length).push(block);
    return block;
  }

  private allocate(): VectorBlock | undefined {
    if (this.allocated === this.mostBlocks) return undefined;
    this.allocated += 1;
    return new VectorBlock(new Float32Array(this.blockFloats));
  }

  private openOf(length: number): VectorBlock[] {
    let open = this.open.get(length);
    if (open === undefined) this.open.set(length, (open = []));
    return open;
  }
}
