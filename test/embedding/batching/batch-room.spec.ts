import fc from 'fast-check';
import { BatchRoom, ENVELOPE_BYTES } from '../../../lib/embedding/batching/batch-room.js';
import { jsonBytes } from '../../../lib/embedding/batching/json-bytes.js';

const NONE = { maxInputs: Infinity, maxTokens: Infinity, maxBytes: Infinity };

it.each([
  ['texts', { ...NONE, maxInputs: 2 }],
  ['tokens', { ...NONE, maxTokens: 20 }],
  ['bytes', { ...NONE, maxBytes: ENVELOPE_BYTES + 2 * 101 }],
])('has room for as many %s as allowed, and not for one more', (_, limits) => {
  const room = new BatchRoom(limits);
  room.add(10, 100);
  expect(room.fits(10, 100)).toBe(true);
  room.add(10, 100);
  expect(room.fits(1, 1)).toBe(false);
  expect(room.count).toBe(2);
});

it('refuses one token or one byte too many', () => {
  const room = new BatchRoom({ maxInputs: 9, maxTokens: 20, maxBytes: ENVELOPE_BYTES + 2 * 101 });
  room.add(10, 100);
  expect([room.fits(11, 100), room.fits(10, 101), room.fits(10, 100)]).toEqual([false, false, true]);
});

it('has room for a first text, however large, and again after a reset', () => {
  const room = new BatchRoom({ maxInputs: 1, maxTokens: 1, maxBytes: 1 });
  expect(room.fits(1_000, 1_000)).toBe(true);
  room.add(1_000, 1_000);
  expect(room.fits(0, 0)).toBe(false);
  room.reset();
  expect([room.count, room.fits(1_000, 1_000)]).toEqual([0, true]);
});

it('counts the bytes that a body really has', () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.string({ unit: 'binary', maxLength: 1 }),
      fc.constantFrom('"', '\\', '\n', '\u0001', '\ud800', '池'),
    ),
  });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1 }), (texts) => {
      const body = Buffer.byteLength(JSON.stringify({ input: texts }));
      const counted = texts.reduce((sum, each) => sum + jsonBytes(each) + 1, 0);
      expect(counted).toBe(body - '{"input":[]}'.length + 1);
    }),
  );
});
