import { type KeptVector, VectorBlocks } from '../../../lib/embedding/cache/vector-blocks.js';

const MIB = 1024 * 1024;

const kept = (length: number): KeptVector => ({ key: 'k', model: undefined, length, block: undefined, place: 0 });
const vectorOf = (value: number, length: number): Float32Array => new Float32Array(length).fill(value);

/** Puts as many as there is room for. */
function fill(blocks: VectorBlocks, length: number): KeptVector[] {
  const all: KeptVector[] = [];
  for (;;) {
    const one = kept(length);
    if (!blocks.put(one, vectorOf(all.length, length))) return all;
    all.push(one);
  }
}

describe('Blocks of vectors', () => {
  it('are allocated when they are needed', () => {
    const blocks = new VectorBlocks(8_000, 4_000);
    expect(blocks.allocatedBytes).toBe(0);
    blocks.put(kept(500), vectorOf(1, 500));
    blocks.put(kept(500), vectorOf(1, 500));
    expect(blocks.allocatedBytes).toBe(4_000);
    blocks.put(kept(500), vectorOf(1, 500));
    expect(blocks.allocatedBytes).toBe(8_000);
  });

  it('are of 1 MiB, and all somewhat smaller where the memory is no multiple of it', () => {
    const whole = new VectorBlocks(64 * MIB);
    whole.put(kept(1), vectorOf(1, 1));
    expect(whole.allocatedBytes).toBe(MIB);
    const uneven = new VectorBlocks(1.5 * MIB);
    uneven.put(kept(1), vectorOf(1, 1));
    expect(uneven.allocatedBytes).toBe(0.75 * MIB);
  });

  it('have room for what fits into one, and for nothing without memory', () => {
    const blocks = new VectorBlocks(8_000, 4_000);
    expect([0, 1, 1_000, 1_001].map((length) => blocks.fits(length))).toEqual([false, true, true, false]);
    expect(new VectorBlocks(0).fits(1)).toBe(false);
    expect(new VectorBlocks(3).fits(1)).toBe(false);
  });

  it('keep each vector in a place of its own, and say when there is none', () => {
    const blocks = new VectorBlocks(8_000, 4_000);
    const all = fill(blocks, 300);
    expect(all.map((one) => blocks.copy(one))).toEqual(all.map((_, index) => vectorOf(index, 300)));
    expect(all).toHaveLength(6);
    expect(blocks.allocatedBytes).toBe(8_000);
  });

  it('use places again that were freed, and allocate nothing for it', () => {
    const blocks = new VectorBlocks(64_000, 4_000);
    const resident = kept(500);
    blocks.put(resident, vectorOf(7, 500));
    for (let index = 0; index < 100; index += 1) {
      const guest = kept(500);
      blocks.put(guest, vectorOf(index, 500));
      blocks.free(guest);
    }
    expect(blocks.copy(resident)).toEqual(vectorOf(7, 500));
    expect(blocks.allocatedBytes).toBe(4_000);
  });

  it('hold one length at a time, and any other once they are empty', () => {
    const blocks = new VectorBlocks(4_000, 4_000);
    const all = fill(blocks, 500);
    expect(all).toHaveLength(2);
    blocks.free(all[0]!);
    expect(blocks.put(kept(100), vectorOf(1, 100))).toBe(false);
    blocks.free(all[1]!);
    expect(fill(blocks, 100)).toHaveLength(10);
    expect(blocks.allocatedBytes).toBe(4_000);
  });

  it('stay with their length when another one that holds it is emptied', () => {
    const blocks = new VectorBlocks(8_000, 4_000);
    const [a, b, c, d] = fill(blocks, 500) as [KeptVector, KeptVector, KeptVector, KeptVector];
    for (const one of [a, c, b]) blocks.free(one);
    expect(fill(blocks, 1_000)).toHaveLength(1);
    expect(fill(blocks, 500)).toHaveLength(1);
    expect(blocks.copy(d)).toEqual(vectorOf(3, 500));
  });

  it('with one place each go from length to length', () => {
    const blocks = new VectorBlocks(4_000, 4_000);
    for (const length of [1_000, 600, 501, 1_000]) {
      const all = fill(blocks, length);
      expect(all.map((one) => blocks.copy(one))).toEqual([vectorOf(0, length)]);
      blocks.free(all[0]!);
    }
  });

  it('give their memory back when they are cleared', () => {
    const blocks = new VectorBlocks(8_000, 4_000);
    fill(blocks, 500);
    blocks.clear();
    expect(blocks.allocatedBytes).toBe(0);
    expect(fill(blocks, 250)).toHaveLength(8);
  });
});
