/**
 * Runs the sample app as the README says, asks it one thing, and stops it as an operator would.
 *
 * Fails if no search is answered within 20 s of the server's start, or if SIGTERM does not end it within 10 s.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const QUESTION = 'how do I shut down without dropping requests';
const ANSWER_WITHIN_MS = 20_000;
const STOP_WITHIN_MS = 10_000;

// A group of its own, so that the signal reaches npm, its shell and the app, as Ctrl-C does.
const app = spawn('npm', ['start'], {
  env: { ...process.env, PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
// Not `exit`: npm goes first. The pipe closes when the app, its grandchild, has gone too.
const ended = once(app, 'close');
app.once('exit', (code, signal) => (app.reason = `the app ended early: ${signal ?? code}`));

let output = '';
app.stdout.on('data', (chunk) => {
  output += chunk;
  process.stdout.write(chunk);
});

try {
  const url = await until(() => /http:\/\/localhost:\d+/.exec(output)?.[0], 120_000, 'the app says where to look');
  const began = performance.now();
  const answer = await until(() => search(url), ANSWER_WITHIN_MS, 'a search is answered');
  console.log(`smoke: best hit after ${Math.round(performance.now() - began)} ms: ${answer.hits[0].title}`);
  const ready = await fetch(`${url}/health/ready`);
  if (ready.status !== 200) throw new Error(`readiness answers ${ready.status}`);
} catch (error) {
  console.error(`smoke: ${error.message}`);
  process.exitCode = 1;
} finally {
  signal('SIGTERM');
  const stopped = await Promise.race([ended, sleep(STOP_WITHIN_MS, 'still running')]);
  if (stopped === 'still running') {
    console.error(`smoke: SIGTERM did not end the app within ${STOP_WITHIN_MS} ms`);
    signal('SIGKILL');
    process.exitCode = 1;
  } else console.log('smoke: stopped');
}
process.exit();

/** To all of its group. */
function signal(name) {
  if (app.pid !== undefined) process.kill(-app.pid, name);
}

async function search(url) {
  const answer = await fetch(`${url}/search?q=${encodeURIComponent(QUESTION)}`);
  return answer.status === 200 ? answer.json() : undefined;
}

async function until(look, withinMs, what) {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = app.reason === undefined ? await look() : undefined;
    if (found !== undefined && found !== null) return found;
    if (app.reason !== undefined) throw new Error(app.reason);
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(100);
  }
}
