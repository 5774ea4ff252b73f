import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { from } from 'rxjs';
import { CursorKeeper, fileCheckpoint } from '../../../lib/embedding/stream/checkpoint.js';
import { embedStream } from '../../../lib/embedding/stream/embed-stream.js';
import { failure } from '../../postgres/rig.js';
import { fakeEmbed, GatedEmbed, numbers, outcomeOf, partsOf, turns } from './fake-embed.js';

function memory(cursor?: number): { saved: number[]; load: () => number | undefined; save: (to: number) => void } {
  const saved: number[] = [];
  return { saved, load: () => saved.at(-1) ?? cursor, save: (to) => void saved.push(to) };
}

describe('the checkpoint of a stream', () => {
  it('never goes past an item that was not handled, and loses none over any number of runs that break off anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          length: fc.integer({ min: 1, max: 50 }),
          chunkSize: fc.integer({ min: 1, max: 7 }),
          ordered: fc.boolean(),
          runs: fc.array(fc.nat(20), { maxLength: 6 }),
          delays: fc.infiniteStream(fc.nat(3)),
        }),
        async ({ length, chunkSize, ordered, runs, delays }) => {
          const checkpoint = memory();
          const handled = new Set<number>();
          const options = { ordered, chunkSize, concurrency: 3, checkpoint, settle: false } as const;
          const embed = async (texts: readonly string[]) => {
            const outcomes = texts.map(outcomeOf);
            await turns(delays.next().value as number);
            return outcomes;
          };
          for (const most of [...runs, Infinity]) {
            let last: number | undefined;
            let left = most;
            for await (const { index, vector } of embedStream(numbers(length), embed, options, partsOf())) {
              expect(vector[0]).toBe(index);
              if (last !== undefined) handled.add(last);
              last = index;
              left -= 1;
              if (left < 0) break;
            }
            // What was handed out last before a break does not count.
            if (last !== undefined && left >= 0) handled.add(last);
            const cursor = checkpoint.saved.at(-1) ?? 0;
            for (let index = 0; index < cursor; index += 1) expect(handled.has(index)).toBe(true);
          }
          expect(checkpoint.saved.at(-1)).toBe(length);
          expect(checkpoint.saved).toEqual([...checkpoint.saved].sort((one, other) => one - other));
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each(['sync', 'async', 'observable'] as const)('skips what was handled before: %s', async (kind) => {
    const sources = {
      sync: numbers(10),
      observable: from(numbers(10)),
      async: (async function* () {
        yield* numbers(10);
      })(),
    };
    const seen: number[] = [];
    const options = { checkpoint: memory(7), settle: false } as const;
    for await (const { index, vector } of embedStream(sources[kind], fakeEmbed(), options, partsOf())) {
      expect(vector[0]).toBe(index);
      seen.push(index);
    }
    expect(seen).toEqual([7, 8, 9]);
  });

  it('stays where it was when the source has become shorter', async () => {
    const checkpoint = memory(12);
    const stream = embedStream(numbers(10), fakeEmbed(), { checkpoint }, partsOf());
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(checkpoint.saved).toEqual([]);
  });

  it('waits behind a slow chunk while others go on, and then has caught up', async () => {
    const gate = new GatedEmbed();
    const checkpoint = memory();
    const stream = embedStream(numbers(8), gate.embed, { checkpoint, concurrency: 2, chunkSize: 1 }, partsOf());
    const reading = (async () => {
      for await (const _ of stream);
    })();
    await turns();
    for (let at = 1; at < 7; at += 1) {
      gate.requests[at]!.answer();
      await turns();
    }
    expect(checkpoint.saved).toEqual([]);
    gate.requests[0]!.answer();
    gate.requests[7]!.answer();
    await reading;
    expect(checkpoint.saved.at(-1)).toBe(8);
  });

  it('ends the stream when it cannot be loaded, is no cursor, or cannot be saved', async () => {
    const broken = new Error('disk full');
    const reject = (): Promise<never> => Promise.reject(broken);
    const unread = embedStream(numbers(9), fakeEmbed(), { checkpoint: { load: reject, save: () => {} } }, partsOf());
    expect(await failure(unread.next())).toBe(broken);
    const odd = embedStream(numbers(9), fakeEmbed(), { checkpoint: { load: () => -1, save: () => {} } }, partsOf());
    expect(await failure(odd.next())).toMatchObject({
      message: 'checkpoint.load(): expected a whole number from 0, or nothing, got a negative number',
    });
    const unsaved = embedStream(numbers(9), fakeEmbed(), { checkpoint: { load: () => 0, save: reject } }, partsOf());
    const read = async (): Promise<void> => {
      for await (const _ of unsaved);
    };
    expect(await failure(read())).toBe(broken);
  });
});

describe('the keeper of a cursor', () => {
  it('saves one cursor at a time and the latest next, and ends when the last is saved', async () => {
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const save = (cursor: number): Promise<void> => {
      begun.push(cursor);
      return new Promise((resolve) => ends.push(resolve));
    };
    const keeper = new CursorKeeper({ load: () => undefined, save }, () => {});
    expect(await keeper.load()).toBe(0);
    for (const cursor of [1, 2, 3]) keeper.note(cursor);
    await turns();
    expect(begun).toEqual([1]);
    ends[0]!();
    await turns();
    expect(begun).toEqual([1, 3]);
    let isEnded = false;
    const ended = keeper.end(4).then(() => (isEnded = true));
    ends[1]!();
    await turns();
    expect(begun).toEqual([1, 3, 4]);
    expect(isEnded).toBe(false);
    ends[2]!();
    await ended;
  });
});

describe('a checkpoint in a file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'np-checkpoint-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('begins with nothing, keeps the last cursor, and leaves no other file', async () => {
    const checkpoint = fileCheckpoint(join(folder, 'cursor'));
    expect(await checkpoint.load()).toBeUndefined();
    await checkpoint.save(41);
    await checkpoint.save(42);
    expect(await fileCheckpoint(join(folder, 'cursor')).load()).toBe(42);
    expect(await readdir(folder)).toEqual(['cursor']);
  });

  it('refuses a file that holds something else, and does not take it for a beginning', async () => {
    const path = join(folder, 'cursor');
    for (const text of ['', '12x', '-1', '99999999999999999999']) {
      await writeFile(path, text);
      expect(await failure(Promise.resolve(fileCheckpoint(path).load()))).toMatchObject({
        message: `${path}: expected a whole number and nothing else; delete it to begin anew`,
      });
    }
    expect(await failure(Promise.resolve(fileCheckpoint(folder).load()))).toMatchObject({ code: 'EISDIR' });
  });
});
