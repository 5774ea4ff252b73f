import { jest } from '@jest/globals';
import fc from 'fast-check';
import { AnswerBytes } from '../../lib/http/answer-bytes.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** How much each call has allocated, in bytes, as the chunks come in. */
function allocated(chunks: readonly Buffer[], length: string | undefined, most = Infinity): number[] {
  const spy = jest.spyOn(Buffer, 'allocUnsafeSlow');
  try {
    collect(chunks, length, most);
    return spy.mock.calls.map(([size]) => size);
  } finally {
    spy.mockRestore();
  }
}

function collect(chunks: readonly Buffer[], length: string | undefined, most = Infinity): Buffer {
  const bytes = new AnswerBytes();
  bytes.announce(length, most);
  for (const chunk of chunks) bytes.add(chunk);
  return bytes.take();
}

function chunksOf(count: number, size: number): Buffer[] {
  return Array.from({ length: count }, (_none, nth) => Buffer.alloc(size, nth));
}

describe('the bytes of an answer', () => {
  it('are what has come, in order, whatever was announced', () => {
    const chunk = fc.integer({ min: 0, max: 90_000 });
    const length = fc.oneof(
      fc.integer({ min: 0, max: 400_000 }).map(String),
      fc.constantFrom(undefined, '', 'many', '-5', '1e9', '99999.5', 'Infinity', String(2 ** 60)),
    );
    const most = fc.oneof(fc.integer({ min: 0, max: 300_000 }), fc.constant(Infinity), fc.constant(70_000.7));
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), length, most, (sizes, announced, limit) => {
        const chunks = sizes.map((size, nth) => Buffer.alloc(size, nth + 1));
        expect(collect(chunks, announced, limit).equals(Buffer.concat(chunks))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('are counted as they come', () => {
    const bytes = new AnswerBytes();
    bytes.announce(String(MIB), Infinity);
    const counts = chunksOf(3, 40 * KIB).map((chunk) => (bytes.add(chunk), bytes.size));
    expect(counts).toEqual([40 * KIB, 80 * KIB, 120 * KIB]);
  });

  it('have their place allocated once, where their length was told', () => {
    expect(allocated(chunksOf(32, 64 * KIB), String(2 * MIB))).toEqual([2 * MIB]);
  });

  it('do not need a chunk any more that has been put in its place', () => {
    const bytes = new AnswerBytes();
    bytes.announce(String(256 * KIB), Infinity);
    for (const chunk of chunksOf(4, 64 * KIB)) {
      bytes.add(chunk);
      chunk.fill(0xff);
    }
    const whole = bytes.take();
    expect([0, 1, 2, 3].map((nth) => whole[nth * 64 * KIB])).toEqual([0, 1, 2, 3]);
  });

  it('are kept as they came, where all came in one', () => {
    const chunk = Buffer.alloc(KIB);
    expect(collect([chunk], String(KIB))).toBe(chunk);
  });

  it('allocate nothing for what is announced and does not come', () => {
    expect(allocated([], String(64 * MIB))).toEqual([]);
    expect(allocated(chunksOf(1, KIB), String(64 * MIB))).toEqual([]);
  });

  it('allocate no more than 32 times of what has come, and not much more often', () => {
    const liar = String(2 ** 50);
    expect(allocated(chunksOf(1, 64 * KIB), liar)).toEqual([2 * MIB]);
    expect(allocated(chunksOf(64, 64 * KIB), liar)).toEqual([2 * MIB, (2 * MIB + 64 * KIB) * 32]);
  });

  it('allocate no more than the largest answer that is let in', () => {
    expect(allocated(chunksOf(4, 64 * KIB), String(2 ** 50), 300 * KIB)).toEqual([300 * KIB]);
    // One chunk too many comes before the answer is refused.
    expect(allocated(chunksOf(2, 64 * KIB), String(2 ** 50), 64 * KIB)).toEqual([64 * KIB, 128 * KIB]);
  });

  it('go on growing where more comes than was announced', () => {
    const chunks = chunksOf(64, 64 * KIB);
    const sizes = allocated(chunks, String(100 * KIB));
    expect(sizes.length).toBeLessThan(8);
    expect(collect(chunks, String(100 * KIB)).equals(Buffer.concat(chunks))).toBe(true);
  });
});
