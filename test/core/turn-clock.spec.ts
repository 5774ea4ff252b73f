import { jest } from '@jest/globals';
import { systemClock } from 'nestjs-pools/core';
import { ManualClock } from 'nestjs-pools/testing';
import { TurnClock } from '../../lib/core/turn-clock.js';

/** The system's clock, with its readings counted. */
function counted() {
  const readings: number[] = [];
  const spy = jest.spyOn(systemClock, 'now').mockImplementation(() => {
    readings.push(performance.now());
    return readings.at(-1)!;
  });
  return { readings, restore: () => spy.mockRestore() };
}

describe('the time of a turn', () => {
  it('is read once for what happens at once, and anew in the next turn', async () => {
    const { readings, restore } = counted();
    try {
      const turn = new TurnClock(systemClock);
      const first = [turn.now(), turn.now(), turn.now()];
      await Promise.resolve();
      const second = turn.now();
      expect(readings.length).toBe(2);
      expect([first, second]).toEqual([Array<number>(3).fill(readings[0]!), readings[1]!]);
    } finally {
      restore();
    }
  });

  it('is read anew in a turn that goes on for long', () => {
    const { readings, restore } = counted();
    try {
      const turn = new TurnClock(systemClock);
      for (let use = 0; use < 40; use += 1) turn.now();
      expect(readings.length).toBe(10);
    } finally {
      restore();
    }
  });

  it('never goes back behind a reading that somebody made in between', () => {
    const turn = new TurnClock(systemClock);
    turn.now();
    const later = turn.fresh();
    expect(turn.now()).toBe(later);
  });

  it('is always read from a clock of somebody else’s making, which may move at any moment', () => {
    const clock = new ManualClock();
    const turn = new TurnClock(clock);
    const before = turn.now();
    clock.stall(5);
    expect([before, turn.now()]).toEqual([0, 5]);
  });
});
