import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('./bench.mjs', import.meta.url));

/**
 * One measurement in a process of its own: what another pool left in the heap, or taught the compiler, must not show.
 *
 * @param {string} adapter
 * @param {string} scenario
 * @param {number} limitMs some pools need quadratic time; they are not waited for
 * @returns {Promise<import('./measure.mjs').Measurement & { failure?: string }>}
 */
export function measureInChild(adapter, scenario, limitMs) {
  const args = ['--expose-gc', BENCH, '--run', `${adapter}:${scenario}`];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: limitMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout));
      else resolve({ failure: error.killed ? `not done in ${limitMs / 1_000} s` : reasonIn(stderr) });
    });
  });
}

/** Node prints where an error was thrown before what it says. */
function reasonIn(stderr) {
  return /^\w*Error.*$/m.exec(stderr)?.[0] ?? 'the process ended early';
}
