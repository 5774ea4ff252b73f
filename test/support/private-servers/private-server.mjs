import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OwnProcess } from './own-process.mjs';
import { removeFolder } from './server-folder.mjs';

const START_TIMEOUT_MS = 30_000;
/** What ends at once is tried again for so long: what a killed one held may not have been freed yet. */
const RETRY_MS = 5_000;
const POLL_MS = 25;

/** A server of a test's own that may be killed, stopped and restarted at will; its port and its data stay the same. */
export class PrivateServer {
  host = '127.0.0.1';
  /** @type {OwnProcess | undefined} */
  #process;
  #setup;

  /** `setup`: { facts, folder, command, args, user, stopSignal, answers(server) } */
  constructor(setup) {
    this.#setup = setup;
    Object.assign(this, setup.facts);
  }

  static async start(setup) {
    const server = new PrivateServer(setup);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.remove();
      throw error;
    }
  }

  get folder() {
    return this.#setup.folder;
  }

  get pid() {
    return this.#process?.pid;
  }

  /** Resolves when it answers a login. */
  async start() {
    if (this.#process?.isRunning) return;
    const { command, args, user, answers } = this.#setup;
    const began = performance.now();
    const logFile = join(this.folder, 'server.log');
    await mkdir(this.folder, { recursive: true });
    while (!this.#process?.isRunning || !(await answers(this))) {
      const waitedMs = performance.now() - began;
      if (waitedMs > (this.#process?.isRunning ? START_TIMEOUT_MS : RETRY_MS)) {
        const log = await this.log();
        await this.stop();
        throw new Error(`${command} does not start:\n${log.slice(-2_000)}`);
      }
      if (!this.#process?.isRunning) this.#process = new OwnProcess({ command, args, user, logFile });
      await sleep(POLL_MS);
    }
  }

  /** Ends it as its operator would; clients are disconnected. */
  async stop() {
    await this.#process?.stop(this.#setup.stopSignal);
  }

  /** SIGKILL. */
  async kill() {
    await this.#process?.kill();
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  /** What it wrote so far. */
  log() {
    return readFile(join(this.folder, 'server.log'), 'utf8').catch(() => '');
  }

  /** Stops it and removes its data. */
  async remove() {
    await this.stop();
    await removeFolder(this.folder);
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.remove();
  }
}

/** A port that nobody listens on at this moment. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
