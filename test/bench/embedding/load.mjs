import { cpuClock } from '../cpu-clock.mjs';
import { nextText } from './texts.mjs';

const cpu = cpuClock();

/**
 * So many callers, each of whom embeds one text after the other. What is counted are the calls that end within the window;
 * before it, everybody is under way and the code compiled.
 *
 * @param {(text: string) => Promise<unknown>} embed
 * @param {{ callers: number, warmUpMs: number, windowMs: number }} size
 */
export async function closedLoop(embed, { callers, warmUpMs, windowMs }) {
  const tookMs = [];
  const from = performance.now() + warmUpMs;
  const until = from + windowMs;
  let cpuAtStart;
  let startedAt;
  let end;
  const caller = async () => {
    for (let asked = performance.now(); asked < until;) {
      await embed(nextText());
      const now = performance.now();
      if (now >= from && now < until) {
        if (cpuAtStart === undefined) {
          cpuAtStart = cpu.now();
          startedAt = now;
        } else tookMs.push(now - asked);
      } else if (now >= until && end === undefined) end = { cpu: cpu.now(), at: now };
      asked = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  tookMs.sort((one, other) => one - other);
  const count = tookMs.length;
  return {
    perSecond: (count / (end.at - startedAt)) * 1_000,
    p50: tookMs[Math.floor(count * 0.5)],
    p99: tookMs[Math.floor(count * 0.99)],
    cpuMicros: (end.cpu - cpuAtStart) / 1_000 / count,
  };
}

/** What a piece of work costs this thread. */
export async function timed(work) {
  const cpuBefore = cpu.now();
  const began = performance.now();
  const count = await work();
  const tookMs = performance.now() - began;
  return { perSecond: (count / tookMs) * 1_000, cpuMicros: (cpu.now() - cpuBefore) / 1_000 / count };
}
