import { ManualClock } from 'nestjs-pools/testing';
import { Deadline, Deadlines } from '../../lib/core/deadlines.js';
import { Effects } from '../../lib/core/effects.js';
import { IdleStack } from '../../lib/core/idle-stack.js';
import { Outside } from '../../lib/core/outside.js';
import { Slot } from '../../lib/core/slot.js';
import { seeded } from '../support/seeded.js';

class Alarm extends Deadline {
  constructor(
    readonly name: string,
    private readonly rung: string[],
    private readonly then: () => void = () => undefined,
  ) {
    super();
  }

  expire(now: number): void {
    this.rung.push(`${this.name} at ${now}`);
    this.then();
  }
}

function setUp() {
  const clock = new ManualClock();
  const rung: string[] = [];
  const deadlines = new Deadlines(clock, new Outside(), () => undefined);
  return { clock, rung, deadlines, alarm: (name: string, then?: () => void) => new Alarm(name, rung, then) };
}

describe('invariant 10: one timer for all deadlines', () => {
  it('expires each at its own time, in order, whichever way they came', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    deadlines.add(alarm('a'), 100);
    deadlines.add(alarm('b'), 101);
    deadlines.add(alarm('c'), 50);
    deadlines.add(alarm('d'), 75);
    deadlines.add(alarm('e'), 300);
    deadlines.add(alarm('f'), 200);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(1_000);
    expect(rung).toEqual(['c at 50', 'd at 75', 'a at 100', 'b at 101', 'f at 200', 'e at 300']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('sets one timer for a thousand deadlines, and none anew for those that leave', () => {
    const { clock, deadlines, alarm } = setUp();
    let sets = 0;
    const set = clock.setTimeout.bind(clock);
    clock.setTimeout = (run, ms) => {
      sets += 1;
      return set(run, ms);
    };
    const alarms = Array.from({ length: 1_000 }, (_, index) => alarm(String(index)));
    alarms.forEach((each, index) => deadlines.add(each, 10_000 + index));
    for (const each of alarms) deadlines.remove(each);
    expect([sets, clock.pendingTimers]).toEqual([1, 1]);
  });

  it('does not expire one that was taken out, and taking out twice is nothing', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    const [a, b, c] = [alarm('a'), alarm('b'), alarm('c')];
    deadlines.add(a, 10);
    deadlines.add(b, 20);
    deadlines.add(c, 15);
    for (const each of [b, c, c, b]) deadlines.remove(each);
    await clock.advance(100);
    expect([rung, clock.pendingTimers]).toEqual([['a at 10'], 0]);
  });

  it('keeps the time of one that stands already', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    const a = alarm('a');
    deadlines.add(a, 20);
    deadlines.add(a, 10);
    deadlines.add(a, 30);
    await clock.advance(100);
    expect([rung, clock.pendingTimers]).toEqual([['a at 20'], 0]);
  });

  it('keeps none that is due never', () => {
    const { clock, deadlines, alarm } = setUp();
    deadlines.add(alarm('a'), Infinity);
    deadlines.add(alarm('b'), Infinity);
    expect(clock.pendingTimers).toBe(0);
  });

  it('takes one again that has expired, from inside its own expiry too', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    let left = 3;
    const again: Alarm = alarm('a', () => {
      if ((left -= 1) > 0) deadlines.add(again, clock.now() + 10);
    });
    deadlines.add(again, 10);
    await clock.advance(100);
    expect(rung).toEqual(['a at 10', 'a at 20', 'a at 30']);
  });

  it('waits in several goes for what is beyond the longest timer', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    deadlines.add(alarm('a'), 5e9);
    await clock.advance(5e9 - 1);
    expect(rung).toEqual([]);
    await clock.advance(1);
    expect(rung).toEqual(['a at 5000000000']);
  });

  it('never asks for a delay that a timer cannot take', () => {
    const { clock, deadlines, alarm } = setUp();
    const delays: number[] = [];
    const set = clock.setTimeout.bind(clock);
    clock.setTimeout = (run, ms) => {
      delays.push(ms);
      return set(run, ms);
    };
    deadlines.add(alarm('far'), Number.MAX_SAFE_INTEGER);
    deadlines.add(alarm('near'), 0.4);
    deadlines.add(alarm('past'), -7);
    expect(delays).toEqual([2 ** 31 - 1, 1, 0]);
  });

  it('wakes again when the timer came early', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    const set = clock.setTimeout.bind(clock);
    clock.setTimeout = (run, ms) => set(run, ms > 3 ? ms - 3 : ms);
    deadlines.add(alarm('a'), 10);
    await clock.advance(9);
    expect([rung, clock.pendingTimers]).toEqual([[], 1]);
    await clock.advance(1);
    expect(rung).toEqual(['a at 10']);
  });

  it('keeps the process alive only while that is wanted', async () => {
    const { clock, deadlines, alarm } = setUp();
    deadlines.add(alarm('a'), 10);
    expect(clock.referencedTimers).toBe(0);
    deadlines.keepAlive(true);
    expect(clock.referencedTimers).toBe(1);
    await clock.advance(10);
    expect([clock.pendingTimers, clock.referencedTimers]).toEqual([1, 1]);
    deadlines.keepAlive(false);
    expect(clock.referencedTimers).toBe(0);
  });

  it('leaves no timer when it is closed, and takes no deadline any more', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    deadlines.add(alarm('a'), 10);
    deadlines.keepAlive(true);
    deadlines.close();
    deadlines.add(alarm('b'), 20);
    deadlines.add(alarm('c'), 20);
    deadlines.keepAlive(false);
    deadlines.keepAlive(true);
    await clock.advance(100);
    expect([rung, clock.pendingTimers]).toEqual([[], 0]);
  });

  it('puts off what is due by one turn of the loop after a stall, and then expires it (rule 8)', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    deadlines.add(alarm('a'), 10);
    clock.stall(500);
    const turns: string[] = [];
    setImmediate(() => setImmediate(() => turns.push(`a turn, rung: ${rung.length}`)));
    await clock.advance(0);
    expect([turns, rung]).toEqual([['a turn, rung: 0'], ['a at 500']]);
  });

  it('expires a storm in pieces, with turns of the loop between them', async () => {
    const { clock, rung, deadlines, alarm } = setUp();
    for (let each = 0; each < 2_500; each += 1) deadlines.add(alarm('a'), 10);
    const seen: number[] = [];
    const look = (): unknown => seen.push(rung.length) < 12 && setImmediate(look);
    look();
    await clock.advance(10);
    expect(rung.length).toBe(2_500);
    expect(new Set(seen)).toEqual(new Set([0, 1_000, 2_000, 2_500]));
  });

  it.each([1, 2, 3])('expires what a sorted list would, over 3 000 random steps (seed %i)', async (seed) => {
    const random = seeded(seed);
    const { clock, rung, deadlines } = setUp();
    let standing: { alarm: Alarm; dueAt: number; order: number }[] = [];
    const expected: string[] = [];
    for (let step = 0; step < 3_000; step += 1) {
      const choice = random.below(10);
      if (choice < 6) {
        const alarm = new Alarm(String(step), rung);
        const dueAt = clock.now() + random.below(200);
        deadlines.add(alarm, dueAt);
        standing.push({ alarm, dueAt, order: step });
      } else if (choice < 9 && standing.length > 0) {
        const [gone] = standing.splice(random.below(standing.length), 1);
        deadlines.remove(gone!.alarm);
      } else {
        const until = clock.now() + random.below(50);
        await clock.advance(until - clock.now());
        const due = standing.filter(({ dueAt }) => dueAt <= until);
        standing = standing.filter(({ dueAt }) => dueAt > until);
        expected.push(...due.sort((a, b) => a.dueAt - b.dueAt).map(({ dueAt }) => String(dueAt)));
      }
    }
    // Those that are due at the same time may come in any order; the times must be right.
    expect(rung.map((line) => line.split(' at ')[1])).toEqual(expected);
    expect(clock.pendingTimers <= 1).toBe(true);
  });
});

describe('IdleStack', () => {
  const slot = (id: number, idleSince: number): Slot<string> =>
    Object.assign(new Slot<string>(id, 0, () => undefined), { idleSince });

  it.each(['lifo', 'fifo'] as const)('yields what a sorted list would, over 2 000 random steps (%s)', (order) => {
    const random = seeded(7);
    const stack = new IdleStack<string>(order);
    const list: Slot<string>[] = [];
    for (let step = 0; step < 2_000; step += 1) {
      if (random.below(2) === 0 || list.length === 0) {
        const put = slot(step, random.below(3) === 0 ? random.below(step + 1) : step);
        stack.put(put);
        list.push(put);
      } else {
        const [gone] = list.splice(random.below(list.length), 1);
        stack.remove(gone!);
      }
      const times = list.map(({ idleSince }) => idleSince);
      const next = order === 'lifo' ? Math.max(...times) : Math.min(...times);
      expect([stack.size, stack.peek()?.idleSince]).toEqual([list.length, list.length === 0 ? undefined : next]);
    }
    for (const gone of list) stack.remove(gone);
    expect([stack.size, stack.peek()]).toEqual([0, undefined]);
  });
});

describe('Effects', () => {
  const outside = new Outside();

  it('run in the order they were noted, those noted meanwhile behind them, and never one inside another', () => {
    const effects = new Effects(outside);
    const log: string[] = [];
    effects.add(() => {
      log.push('a begins');
      effects.add(() => log.push('c'));
      effects.run();
      log.push('a ends');
    });
    effects.add(() => log.push('b'));
    effects.run();
    expect([log, effects.isEmpty]).toEqual([['a begins', 'a ends', 'b', 'c'], true]);
  });

  it('go on after one that throws', () => {
    const effects = new Effects(outside);
    const log: string[] = [];
    effects.add(() => {
      throw new Error('never meant to be');
    });
    effects.add(() => log.push('behind'));
    expect(() => effects.run()).toThrow('never meant to be');
    effects.run();
    expect([log, effects.isEmpty]).toEqual([['behind'], true]);
  });
});
