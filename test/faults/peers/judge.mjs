import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const POOLS = ['nestjs-pools', 'generic-pool', 'tarn', 'lightning-pool', 'pg-pool', 'sequelize-pool'];

const RUN_ONE = fileURLToPath(new URL('run-one.mjs', import.meta.url));
const LIMIT_MS = 6_000;
/** An idle pool that has not let the process end by then will not. */
const END_LIMIT_MS = 3_000;

/** What became of one fault in one pool: `{ is: 'ok' | 'partial' | 'fails' | 'n/a', saw }`. */
export async function judge(fault, pool) {
  const { features } = await import(`./pools/${pool}.mjs`);
  const missing = (fault.needs ?? []).find((need) => !features.includes(need));
  if (missing !== undefined) return { is: 'n/a', saw: `has no ${missing}` };
  const { output, code, signal, stderr } = await runChild(fault, pool);
  const verdict = /^VERDICT (.*)$/m.exec(output)?.[1];
  if (signal !== null) {
    return { is: 'fails', saw: fault.endsByItself ? 'keeps the process alive' : 'the process had to be killed' };
  }
  if (code === 13) return { is: 'fails', saw: 'a promise is forgotten' }; // Node's code for a top-level await in vain
  if (code !== 0) return { is: 'fails', saw: `ends the process: ${reasonOf(stderr)}` };
  return fault.endsByItself ? { is: 'ok', saw: 'the process ends' } : JSON.parse(verdict);
}

function runChild({ id, limitMs, endsByItself }, pool) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--expose-gc', RUN_ONE, pool, id], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs ?? (endsByItself ? END_LIMIT_MS : LIMIT_MS),
      killSignal: 'SIGKILL',
    });
    let [output, stderr] = ['', ''];
    child.stdout.on('data', (text) => (output += text));
    child.stderr.on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ output, stderr, code, signal }));
  });
}

function reasonOf(stderr) {
  return /^\[?(\w*Error\b.*)$/m.exec(stderr)?.[1].trim() ?? stderr.trim().split('\n')[0];
}
