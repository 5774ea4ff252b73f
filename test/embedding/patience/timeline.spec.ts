import { getEventListeners } from 'node:events';
import { ManualClock } from 'nestjs-pools/testing';
import { Timeline } from '../../../lib/embedding/patience/timeline.js';

function setUp() {
  const clock = new ManualClock();
  const timeline = new Timeline(clock);
  const told: string[] = [];
  const tell = (what: string) => () => void told.push(`${what} at ${clock.now()}`);
  return { clock, timeline, told, tell };
}

describe('the timeline', () => {
  it('rings alarms in the order of their times, by one timer', async () => {
    const { clock, timeline, told, tell } = setUp();
    timeline.after(30, tell('a'));
    timeline.after(10, tell('b'));
    timeline.cancel(timeline.after(20, tell('c')));
    timeline.cancel(undefined);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(100);
    expect([told, clock.pendingTimers]).toEqual([['b at 10', 'a at 30'], 0]);
  });

  it('keeps the process alive for those who sleep, not for alarms', async () => {
    const { clock, timeline } = setUp();
    timeline.cancel(timeline.after(5_000, () => undefined));
    timeline.after(1_000, () => undefined);
    expect(clock.referencedTimers).toBe(0);
    const sleeps = [timeline.sleep(10), timeline.sleep(20)];
    const seen = [clock.referencedTimers];
    await clock.advance(10);
    seen.push(clock.referencedTimers);
    await clock.advance(10);
    seen.push(clock.referencedTimers);
    await Promise.all(sleeps);
    expect(seen).toEqual([1, 1, 0]);
    timeline.close();
  });

  it('wakes who sleeps at the time, and not before', async () => {
    const { clock, timeline, told, tell } = setUp();
    void timeline.sleep(10).then(tell('awake'));
    await clock.advance(9);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['awake at 10']);
  });

  it('ends a sleep with the reason of its signal, at once, and stops listening', async () => {
    const { clock, timeline } = setUp();
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = expect(timeline.sleep(1_000, signal)).rejects.toBe('enough');
    const slept = timeline.sleep(5, signal);
    await clock.advance(5);
    await slept;
    expect(getEventListeners(signal, 'abort').length).toBe(1);
    controller.abort('enough');
    await aborted;
    await expect(timeline.sleep(1, signal)).rejects.toBe('enough');
    expect([getEventListeners(signal, 'abort').length, clock.referencedTimers]).toEqual([0, 0]);
    timeline.close();
  });

  it('has no timer once it is closed, and lets nobody sleep for ever', async () => {
    const { clock, timeline, told, tell } = setUp();
    timeline.after(10, tell('alarm'));
    const reason = new Error('closed');
    const ends = [expect(timeline.sleep(10).catch((error: unknown) => error)).resolves.toBe(reason)];
    ends.push(expect(timeline.sleep(Infinity).catch((error: unknown) => error)).resolves.toBe(reason));
    timeline.close(reason);
    timeline.close(new Error('twice'));
    ends.push(expect(timeline.sleep(10)).rejects.toBe(reason));
    timeline.after(1, tell('late alarm'));
    timeline.hold();
    expect(clock.pendingTimers).toBe(0);
    await Promise.all(ends);
    await clock.advance(100);
    expect(told).toEqual([]);
  });
});
