import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the code handed to `tell(…)`, in order. */
  readonly told: unknown[];
  readonly stderr: string;
}

/**
 * Runs a module in a Node process of its own, which imports the built package by its name (`npm test` builds it first).
 * For faults whose damage is the process itself: one that dies, spins, or does not end.
 *
 * The module can `import` and call `tell(anything)`. A process that has not ended by the limit is killed (`SIGKILL`).
 */
export async function inChild(code: string, options: { nodeFlags?: string[]; limitMs?: number } = {}): Promise<Ending> {
  const { nodeFlags = [], limitMs = 20_000 } = options;
  const source = `const tell = (what) => process.stdout.write(JSON.stringify(what) + '\\n');\n${code}`;
  const child = spawn(process.execPath, [...nodeFlags, '--input-type=module', '--eval', source], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const killer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(killer);
  const told = stdout.split('\n').filter((line) => line !== '');
  return { code: exitCode, signal, told: told.map((line) => JSON.parse(line) as unknown), stderr };
}
