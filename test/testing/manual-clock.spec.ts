import { ManualClock } from 'nestjs-pools/testing';

describe('ManualClock', () => {
  it('stands still by itself', async () => {
    const clock = new ManualClock();
    const before = clock.now();
    await new Promise((resolve) => setImmediate(resolve));
    expect([before, clock.now()]).toEqual([0, 0]);
  });

  it('fires every timer at its own time, in order, those of the same time as they were set', async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const note = (name: string) => () => log.push(`${name} at ${clock.now()}`);
    clock.setTimeout(note('late'), 30);
    clock.setTimeout(note('a'), 10);
    clock.setTimeout(note('b'), 10);
    clock.setTimeout(note('never'), 101);
    await clock.advance(100);
    expect([log, clock.now()]).toEqual([['a at 10', 'b at 10', 'late at 30'], 100]);
  });

  it('fires timers that are set by timers in the same advance', async () => {
    const clock = new ManualClock();
    const at: number[] = [];
    const again = (): void => {
      at.push(clock.now());
      if (at.length < 4) clock.setTimeout(again, 10);
    };
    clock.setTimeout(again, 10);
    await clock.advance(35);
    expect(at).toEqual([10, 20, 30]);
  });

  it('lets promises settle before, between and after timers', async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    void Promise.resolve()
      .then(() => undefined)
      .then(() => log.push('before'));
    clock.setTimeout(() => {
      log.push('first');
      void Promise.resolve()
        .then(() => undefined)
        .then(() => log.push('between'));
    }, 1);
    clock.setTimeout(() => log.push('second'), 2);
    await clock.advance(2);
    expect(log).toEqual(['before', 'first', 'between', 'second']);
  });

  it('sees a timer that a settling promise sets before time moves on', async () => {
    const clock = new ManualClock();
    let firedAt = -1;
    void Promise.resolve().then(() => clock.setTimeout(() => (firedAt = clock.now()), 5));
    await clock.advance(10);
    expect(firedAt).toBe(5);
  });

  it('forgets a timer that was cleared, and does not mind one that has fired', async () => {
    const clock = new ManualClock();
    let fired = 0;
    const kept = clock.setTimeout(() => (fired += 1), 1);
    const cleared = clock.setTimeout(() => (fired += 10), 1);
    clock.clearTimeout(cleared);
    await clock.advance(1);
    clock.clearTimeout(kept);
    clock.clearTimeout(cleared);
    expect([fired, clock.pendingTimers]).toEqual([1, 0]);
  });

  it('counts timers, and those that would keep a process alive', () => {
    const clock = new ManualClock();
    const timer = clock.setTimeout(() => undefined, 1);
    clock.setTimeout(() => undefined, 1);
    const seen = [[clock.pendingTimers, clock.referencedTimers]];
    timer.unref?.();
    seen.push([clock.pendingTimers, clock.referencedTimers]);
    timer.ref?.();
    seen.push([clock.pendingTimers, clock.referencedTimers]);
    expect(seen).toEqual([
      [2, 2],
      [2, 1],
      [2, 2],
    ]);
  });

  it('stalls like a machine that sleeps: timers fire late, at the time it has become', async () => {
    const clock = new ManualClock();
    const at: number[] = [];
    clock.setTimeout(() => at.push(clock.now()), 10);
    clock.stall(500);
    expect([at, clock.now()]).toEqual([[], 500]);
    await clock.advance(0);
    expect(at).toEqual([500]);
  });
});
