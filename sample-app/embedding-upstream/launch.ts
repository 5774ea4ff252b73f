import { fork, type ChildProcess } from 'node:child_process';

interface LaunchOptions {
  /** The key that the upstream will ask for. Handed over in the child's environment, where a process list does not show it. */
  readonly apiKey: string;
}

export interface LaunchedUpstream {
  /** The same for as long as it runs, also after a relaunch. */
  readonly url: string;
  /** Ends the upstream for good. Call it once the last request is through: what is in flight is cut. */
  stop(): void;
  /** Fulfilled after `stop()`, when the process is gone. */
  readonly exited: Promise<void>;
}

const MAIN = new URL('./main.js', import.meta.url);
const START_TIMEOUT_MS = 10_000;
/** A child that does not end by itself after `stop()` is given this long; it holds nothing that would need more. */
const STOP_TIMEOUT_MS = 1_000;
const FIRST_RELAUNCH_MS = 100;
const LAST_RELAUNCH_MS = 5_000;
/** Who has run for so long was started successfully; its next death is a new story. */
const STABLE_AFTER_MS = 30_000;

/**
 * Runs the embedding upstream as a process of its own, as a real one would be, and keeps it running: one that dies is started again on the same
 * port, so that its clients' URL stays true. It ends with this process, however this one ends, and never keeps it alive.
 */
export async function launchEmbeddingUpstream(options: LaunchOptions): Promise<LaunchedUpstream> {
  const child = startChild(options.apiKey, 0);
  const { url, port } = await untilReady(child, 'waited-for');
  const keeper = new Keeper(child, () => startChild(options.apiKey, port));
  return { url, stop: () => keeper.stop(), exited: keeper.exited };
}

interface Child {
  readonly process: ChildProcess;
  readonly startedAt: number;
  /** How it ended, in words. Never rejects. */
  readonly ended: Promise<string>;
}

function startChild(apiKey: string, port: number): Child {
  const child = fork(MAIN, [], {
    env: { ...process.env, UPSTREAM_API_KEY: apiKey, UPSTREAM_PORT: String(port) },
    // Not ours: a second `--inspect` on the same port would stop the child in its tracks.
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `it ended with code ${code}` : `${signal} ended it`),
    );
    // A process that could not be started has no exit, only this.
    child.on('error', (error) => resolve(error.message));
  });
  child.unref();
  child.channel?.unref();
  return { process: child, startedAt: performance.now(), ended };
}

/** Until the child has said where it listens. A child that dies first or says nothing is an error, and is not left behind. */
async function untilReady(
  child: Child,
  waiting: 'waited-for' | 'in-background',
): Promise<{ url: string; port: number }> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const fail = (reason: string) => reject(new Error(`The embedding upstream did not start: ${reason}.`));
      child.process.once('message', (message) => {
        if (isAddress(message)) resolve(message);
        else fail('it sent something else than its address');
      });
      void child.ended.then(fail);
      timer = setTimeout(() => fail(`it was not ready within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
      // Where somebody waits, the timer alone keeps this process alive: the child is unref'd from its first moment.
      if (waiting === 'in-background') timer.unref();
    });
  } catch (error) {
    child.process.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function isAddress(message: unknown): message is { url: string; port: number } {
  if (typeof message !== 'object' || message === null) return false;
  return 'url' in message && typeof message.url === 'string' && 'port' in message && typeof message.port === 'number';
}

/** Sees to it that there is always a child, until it is told to stop. */
class Keeper {
  readonly exited: Promise<void>;
  private setExited: () => void = () => {};
  private state: { is: 'running'; child: Child } | { is: 'pausing'; timer: NodeJS.Timeout } | { is: 'stopped' };
  private relaunchMs = FIRST_RELAUNCH_MS;

  constructor(
    first: Child,
    private readonly start: () => Child,
  ) {
    this.exited = new Promise((resolve) => (this.setExited = resolve));
    this.state = { is: 'running', child: first };
    void first.ended.then((how) => this.childEnded(first, how));
  }

  stop(): void {
    const { state } = this;
    if (state.is === 'stopped') return;
    this.state = { is: 'stopped' };
    if (state.is === 'pausing') {
      clearTimeout(state.timer);
      this.setExited();
      return;
    }
    const child = state.child.process;
    // From here on it may keep us alive, for a second at most: who awaits `exited` must not see the process end instead.
    child.ref();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    void state.child.ended.then(() => clearTimeout(timer));
    if (child.connected) child.disconnect();
  }

  private childEnded(child: Child, how: string): void {
    if (this.state.is === 'stopped') return this.setExited();
    if (performance.now() - child.startedAt > STABLE_AFTER_MS) this.relaunchMs = FIRST_RELAUNCH_MS;
    console.warn(`embedding upstream: ${how}; it is started again in ${this.relaunchMs} ms`);
    this.state = { is: 'pausing', timer: setTimeout(() => this.relaunch(), this.relaunchMs).unref() };
    this.relaunchMs = Math.min(this.relaunchMs * 2, LAST_RELAUNCH_MS);
  }

  private relaunch(): void {
    const child = this.start();
    this.state = { is: 'running', child };
    void child.ended.then((how) => this.childEnded(child, how));
    // A failed start ends the child, and that is handled where every end is.
    untilReady(child, 'in-background').catch(() => {});
  }
}
