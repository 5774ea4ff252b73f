import { openSync, readSync } from 'node:fs';

/**
 * How long this thread has been on a processor, in nanoseconds.
 *
 * Not wall time, because the machine has other work; not the process's, because garbage is collected on helper threads
 * and how much of it there depends on what else runs.
 *
 * @typedef {{ readonly source: string, now(): number }} CpuClock
 */

/** @returns {CpuClock} */
export function cpuClock() {
  try {
    return threadClock();
  } catch {
    return processClock();
  }
}

/** @returns {CpuClock} */
function threadClock() {
  // The path is resolved when it is opened, so this is the main thread's file for good.
  const file = openSync('/proc/thread-self/schedstat', 'r');
  const buffer = Buffer.alloc(96);
  const now = () => {
    // The kernel brings the figure up to date at its own ticks, milliseconds apart. Asking for the usage does it at once.
    process.cpuUsage();
    const length = readSync(file, buffer, 0, buffer.length, 0);
    return Number(buffer.toString('latin1', 0, length).split(' ')[0]);
  };
  if (!(now() > 0)) throw new Error('this kernel does not count');
  return { source: 'main thread (schedstat)', now };
}

/** @returns {CpuClock} */
function processClock() {
  const now = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) * 1e3;
  };
  return { source: 'whole process (cpuUsage)', now };
}
