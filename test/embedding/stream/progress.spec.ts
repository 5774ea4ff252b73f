import { ManualClock } from 'nestjs-pools/testing';
import { embedStream, type EmbedStreamOptions } from '../../../lib/embedding/stream/embed-stream.js';
import { type EmbeddingProgress, ProgressMeter } from '../../../lib/embedding/stream/progress.js';
import { failure } from '../../postgres/rig.js';
import { fakeEmbed, numbers, outcomeOf, partsOf } from './fake-embed.js';

function meterOf(total?: number): { clock: ManualClock; told: EmbeddingProgress[]; meter: ProgressMeter } {
  const clock = new ManualClock();
  const told: EmbeddingProgress[] = [];
  const onProgress = (progress: EmbeddingProgress): void => void told.push(progress);
  const meter = new ProgressMeter({ clock, total, onProgress, priceOf: (tokens) => tokens * 2 });
  meter.start(0);
  return { clock, told, meter };
}

describe('the progress of a stream', () => {
  it('is told at most four times a second, and once more at the end', async () => {
    const { clock, told, meter } = meterOf();
    for (let step = 0; step < 300; step += 1) {
      await clock.advance(10);
      meter.add(5, 1, 20);
    }
    expect(told.map(({ elapsedMs }) => elapsedMs)).toEqual(Array.from({ length: 12 }, (_, at) => (at + 1) * 250));
    meter.end();
    expect(told).toHaveLength(13);
    expect(told.at(-1)).toMatchObject({ done: 1_500, failed: 300, tokens: 6_000, cost: 12_000, elapsedMs: 3_000 });
  });

  it('has the plain average first, and then follows the speed of late', async () => {
    const { clock, told, meter } = meterOf();
    await clock.advance(400);
    meter.add(40, 0, 0);
    expect(told[0]!.perSecond).toBeCloseTo(100);
    for (let second = 0; second < 60; second += 1) {
      await clock.advance(1_000);
      meter.add(10, 0, 0);
    }
    expect(told.at(-1)!.perSecond).toBeCloseTo(10, 0);
  });

  it('tells when it will end only where it knows how much there is', async () => {
    const { clock, told, meter } = meterOf(1_000);
    await clock.advance(1_000);
    meter.add(90, 10, 0);
    expect(told[0]!.etaMs).toBeCloseTo(9_000);
    await clock.advance(1_000);
    meter.add(900, 0, 0);
    expect(told[1]).toMatchObject({ total: 1_000, etaMs: 0 });
    const other = meterOf();
    await other.clock.advance(1_000);
    other.meter.add(90, 10, 0);
    expect(other.told[0]).toMatchObject({ total: undefined, etaMs: undefined });
  });

  it('counts what an earlier run has done as done, but not as speed', async () => {
    const { clock, told, meter } = meterOf(1_000);
    meter.start(500);
    await clock.advance(1_000);
    meter.add(100, 0, 0);
    expect(told[0]!.done).toBe(600);
    expect(told[0]!.perSecond).toBeCloseTo(100);
    expect(told[0]!.etaMs).toBeCloseTo(4_000);
  });

  it('of a stream counts items and tokens, by an estimate where the server does not tell', async () => {
    const told: EmbeddingProgress[] = [];
    const options: EmbedStreamOptions<string> & { settle: true } = {
      settle: true,
      total: 10,
      onProgress: (progress) => void told.push(progress),
    };
    const embed = async (texts: readonly string[]) =>
      texts.map((text) => (text < '5' ? outcomeOf(text) : ({ ok: true, vector: new Float32Array(1) } as const)));
    const parts = { ...partsOf({}, new ManualClock()), tokensOf: () => 100, priceOf: (tokens: number) => tokens / 10 };
    for await (const _ of embedStream(numbers(10), embed, options, parts));
    expect(told).toEqual([
      { done: 10, failed: 0, total: 10, tokens: 510, cost: 51, perSecond: 0, etaMs: 0, elapsedMs: 0 },
    ]);
  });

  it('ends the stream when its listener throws', async () => {
    const clock = new ManualClock();
    const onProgress = (): void => {
      throw new Error('no terminal');
    };
    const parts = partsOf({}, clock);
    const embed = fakeEmbed();
    const slow = async (texts: readonly string[], signal: AbortSignal) => {
      await clock.advance(300);
      return embed(texts, signal);
    };
    const stream = embedStream(numbers(100), slow, { onProgress }, parts);
    expect(await failure(stream.next())).toMatchObject({ message: 'no terminal' });
  });
});
