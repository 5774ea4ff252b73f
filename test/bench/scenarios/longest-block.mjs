import { cpuClock } from '../cpu-clock.mjs';

/**
 * The longest time between two turns of the event loop until `end` settles, by a loop of immediates: it sees every turn,
 * where `monitorEventLoopDelay` samples. The figure is processor time, so that what else the machine does is no block;
 * the wall time stands beside it.
 */
export async function longestBlock(end) {
  const clock = cpuClock();
  let isOver = false;
  const over = end.finally(() => (isOver = true));
  const longest = { figure: 0, wall: 0 };
  // From here on: what the scenario itself did in one go, before it called, is no block of the pool's.
  let last = { cpu: clock.now(), wall: performance.now() };
  while (!isOver) {
    await new Promise(setImmediate);
    const now = { cpu: clock.now(), wall: performance.now() };
    longest.figure = Math.max(longest.figure, (now.cpu - last.cpu) / 1e6);
    longest.wall = Math.max(longest.wall, now.wall - last.wall);
    last = now;
  }
  await over;
  return longest;
}
