import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** How long a server may take to end politely before it is killed. */
const STOP_TIMEOUT_MS = 15_000;

/** Linux can end a child with its parent. Elsewhere a test that is itself killed leaves its server behind. */
const hasSetpriv =
  process.platform === 'linux' &&
  spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0;

/** A server process of a test's own: it never outlives the test's process, and its output goes to a file. */
export class OwnProcess {
  #child;
  #exited;

  constructor({ command, args, user, logFile }) {
    const output = openSync(logFile, 'a');
    const stdio = ['ignore', output, output];
    try {
      this.#child = hasSetpriv
        ? spawn('setpriv', ['--pdeathsig', 'KILL', ...privileges(user), '--', command, ...args], { stdio, cwd: '/' })
        : spawn(command, args, { stdio, cwd: '/', ...user });
    } finally {
      closeSync(output);
    }
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', resolve);
      this.#child.once('error', resolve);
    });
  }

  get pid() {
    return this.#child.pid;
  }

  get isRunning() {
    return this.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async stop(signal) {
    if (!this.isRunning) return;
    this.#child.kill(signal);
    const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(force);
  }

  /** As when the machine loses its power: the processes that serve single clients end too. */
  async kill() {
    if (!this.isRunning) return;
    const children = childrenOf(this.pid);
    this.#child.kill('SIGKILL');
    for (const pid of children) killIfThere(pid);
    await this.#exited;
  }
}

function privileges(user) {
  return user === undefined ? [] : ['--reuid', user.uid, '--regid', user.gid, '--clear-groups'].map(String);
}

function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // not Linux; they see by themselves that their parent is gone, a little later
  }
}

function killIfThere(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
