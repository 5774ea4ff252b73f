import { channel } from 'node:diagnostics_channel';
import { Histogram } from '../../lib/core/histogram.js';
import { rig } from './rig.js';
import { seeded } from '../support/seeded.js';

describe('a histogram', () => {
  it.each([
    ['microseconds', 0.001],
    ['milliseconds', 1],
    ['seconds', 1_000],
    ['hours', 400_000],
  ])('has percentiles within 7 % of the true ones, over %s', (_scale, unit) => {
    const random = seeded(3);
    const histogram = new Histogram();
    const values = Array.from({ length: 5_000 }, () => unit * (0.05 + 20 * random.next() ** 3));
    for (const value of values) histogram.record(value);
    values.sort((a, b) => a - b);
    const { count, p50, p90, p99, max } = histogram.summary();
    expect([count, max]).toEqual([5_000, values.at(-1)]);
    const truth = [0.5, 0.9, 0.99].map((share) => values[Math.ceil(5_000 * share) - 1]!);
    [p50, p90, p99].forEach((estimate, index) => {
      // The finest bucket is 4 µs wide.
      expect(Math.abs(estimate - truth[index]!)).toBeLessThanOrEqual(0.07 * truth[index]! + 0.004);
    });
  });

  it('says nothing of nothing, and exactly what there is of one', () => {
    const histogram = new Histogram();
    expect(histogram.summary()).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, max: 0 });
    histogram.record(0);
    expect(histogram.summary()).toEqual({ count: 1, p50: 0, p90: 0, p99: 0, max: 0 });
  });

  it('counts what is beyond all measure in its last bucket', () => {
    const histogram = new Histogram();
    for (const value of [Infinity, 1e12, -1, NaN]) histogram.record(value);
    expect(histogram.summary()).toMatchObject({ count: 4, max: Infinity });
  });

  it('is summed up once until something is recorded', () => {
    const histogram = new Histogram();
    histogram.record(5);
    const before = histogram.summary();
    expect(histogram.summary()).toBe(before);
    expect(Object.isFrozen(before)).toBe(true);
    histogram.record(6);
    expect(histogram.summary().count).toBe(2);
    expect(before.count).toBe(1);
  });
});

describe('stats() of times', () => {
  it('tells how long acquires waited, leases were held and creates took (E05, E07)', async () => {
    const { pool, factory, clock } = rig({ maxConnections: 1 });
    factory.hold('create');
    const first = pool.acquire();
    await clock.advance(100);
    factory.next('create').pass();
    const lease = await first;
    const second = pool.acquire();
    await clock.advance(400);
    lease.release();
    (await second).release();
    (await pool.acquire()).detach();
    const { createTimeMs, waitTimeMs, useTimeMs } = pool.stats();
    expect([createTimeMs.count, createTimeMs.max]).toEqual([1, 100]);
    expect([waitTimeMs.count, waitTimeMs.max, Math.round(waitTimeMs.p50)]).toEqual([3, 400, expect.closeTo(100, -1)]);
    expect([useTimeMs.count, useTimeMs.max, useTimeMs.p50]).toEqual([3, 400, 0]);
  });
});

describe('diagnostics_channel', () => {
  it('publishes every event with the name of its pool, to whoever subscribes, from then on', async () => {
    const { pool, clock } = rig();
    const heard: [unknown, unknown][] = [];
    const listener = (message: unknown, name: unknown): unknown => heard.push([name, message]);
    const channels = ['create', 'acquire', 'release', 'state'].map((event) => channel(`nestjs-pools:${event}`));
    (await pool.acquire()).release();
    for (const each of channels) each.subscribe(listener);
    const lease = await pool.acquire();
    await clock.advance(25);
    lease.release();
    pool.drain();
    await clock.advance(0);
    for (const each of channels) each.unsubscribe(listener);
    await pool.close();
    expect(heard).toEqual([
      ['nestjs-pools:acquire', { pool: 'test', id: 1, waitedMs: 0 }],
      ['nestjs-pools:release', { pool: 'test', id: 1, usedMs: 25 }],
      ['nestjs-pools:state', { pool: 'test', from: 'open', to: 'draining' }],
    ]);
  });
});
