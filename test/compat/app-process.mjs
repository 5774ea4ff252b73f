import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';

/** Longer than anything here takes; what hangs is killed then, and says what it has said so far. */
const PATIENCE_MS = 20_000;

/** A program of test/compat/app, and the facts that it tells: the lines that are JSON. The others are Nest's log. */
export class AppProcess {
  facts = [];
  /** All that it has said besides. */
  output = '';
  #told = new EventEmitter();

  constructor(folder, program, ...args) {
    this.child = spawn(process.execPath, [`${program}.js`, ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
    });
    this.child.stderr.on('data', (text) => (this.output += text));
    createInterface(this.child.stdout).on('line', (line) => this.#hear(line));
    this.ended = this.#end();
  }

  /** The first fact of that name, when it is told. */
  async fact(name) {
    for (;;) {
      const known = this.facts.find((fact) => Object.hasOwn(fact, name));
      if (known !== undefined) return known[name];
      const hasEnded = await Promise.race([once(this.#told, 'fact').then(() => false), this.ended.then(() => true)]);
      if (hasEnded) throw this.failure(`it ended before it told "${name}"`);
    }
  }

  /** What it told under that name, all of it. */
  all(name) {
    return this.facts.filter((fact) => Object.hasOwn(fact, name)).map((fact) => fact[name]);
  }

  signal(name) {
    this.child.kill(name);
  }

  failure(what) {
    return new Error(`${what}\n${this.output}`);
  }

  #hear(line) {
    if (!line.startsWith('{')) return void (this.output += `${line}\n`);
    const fact = JSON.parse(line);
    this.facts.push(fact);
    this.#told.emit('fact', fact);
  }

  async #end() {
    // Not 'exit': what it wrote last may come after that.
    const [code, signal] = await once(this.child, 'close');
    return { code, signal };
  }
}
