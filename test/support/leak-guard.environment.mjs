import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestEnvironment } from 'jest-environment-node';
import { ListenerTracker } from './listener-tracker.mjs';
import { ResourceTracker } from './resource-tracker.mjs';

const GUARD = new Set(
  ['leak-guard.environment', 'resource-tracker', 'listener-tracker', 'stack-frames'].map((name) =>
    fileURLToPath(import.meta.resolve(`./${name}.mjs`)),
  ),
);
const JEST = /[\\/]node_modules[\\/](@jest[\\/]|jest[-\\/]|expect[\\/])/;

/** Warnings of Node that are a bug in whoever caused them: listeners piling up, a time that no timer can hold. */
const FATAL_WARNINGS = new Set(['MaxListenersExceededWarning', 'TimeoutOverflowWarning', 'TimeoutNegativeWarning']);

/**
 * Fails a test file that leaves something behind: a rejection that nobody handled, a timer (unref'd or not), a socket,
 * a server, a child process, a worker, a listener on `process`. Jest alone passes such a file, or hangs after it.
 */
export default class LeakGuardEnvironment extends TestEnvironment {
  #resources;
  #listeners;
  #rejections = new Map();
  #warnings = [];

  constructor(config, context) {
    super(config, context);
    const root = config.projectConfig.rootDir + sep;
    const origin = (file) => {
      if (file.startsWith('node:')) return 'node';
      if (GUARD.has(file)) return 'guard';
      if (JEST.test(file)) return 'jest';
      return file.startsWith(root) && !file.includes(`${sep}node_modules${sep}`) ? 'project' : 'dependency';
    };
    this.#resources = new ResourceTracker(origin, config.projectConfig.testEnvironmentOptions.leakGuard);
    this.#listeners = new ListenerTracker([process, this.global.process], origin);
  }

  /** Jest awaits this. At `setup` it has put its own handlers in place and not yet loaded the test file. */
  async handleTestEvent(event, state) {
    if (event.name === 'setup') this.#watch();
    if (event.name === 'run_finish') state.unhandledErrors.push(...(await this.#findings()));
  }

  async teardown() {
    this.#resources.stop();
    this.#listeners.stop();
    process.off('unhandledRejection', this.#onRejection);
    process.off('rejectionHandled', this.#onHandled);
    process.off('warning', this.#onWarning);
    await super.teardown();
  }

  #watch() {
    process.on('unhandledRejection', this.#onRejection);
    process.on('rejectionHandled', this.#onHandled);
    process.on('warning', this.#onWarning);
    this.#listeners.start();
    this.#resources.start();
  }

  async #findings() {
    const open = await this.#resources.leaks(); // first: it lets the loop turn, which brings late rejections to light
    const left = [...open, ...this.#listeners.left()];
    return [
      ...[...this.#rejections.values()].map(({ reason, when }) =>
        finding(`unhandled rejection${when}`, inspect(reason)),
      ),
      ...this.#warnings.map((warning) => finding(`warning ${warning.name}`, inspect(warning))),
      ...groupByPlace(left).map(([where, whats]) => finding('left over', `${enumerate(whats)}, ${where}`)),
    ];
  }

  #onRejection = (reason, promise) => {
    this.#rejections.set(promise, { reason, when: '' });
  };

  #onHandled = (promise) => {
    const rejection = this.#rejections.get(promise);
    if (rejection === undefined) return;
    // Outside of tests Node would have ended the process before this handler came.
    rejection.when = ', handled too late (attach the handler before the promise can reject)';
  };

  #onWarning = (warning) => {
    if (FATAL_WARNINGS.has(warning.name)) this.#warnings.push(warning);
  };
}

function finding(title, text) {
  const error = new Error();
  error.stack = `leak guard: ${title}: ${text}`;
  return error;
}

function groupByPlace(leaks) {
  const whats = new Map();
  for (const { what, where } of leaks) whats.set(where, [...(whats.get(where) ?? []), what]);
  return [...whats];
}

function enumerate(whats) {
  const shown = whats.slice(0, 5).join('; ');
  return whats.length > 5 ? `${shown}; and ${whats.length - 5} more` : shown;
}

function inspect(reason) {
  return String(reason?.stack ?? reason);
}
