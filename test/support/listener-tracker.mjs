import { captureFrames, formatFrames } from './stack-frames.mjs';

/** Knows the listeners that our code, or a library on its behalf, put on `process` and did not take away. */
export class ListenerTracker {
  #emitters;
  #origin;
  #added = [];
  #watchers = new Map();

  #remember = (emitter, event, listener) => {
    const frames = captureFrames(this.#remember);
    const ours = frames.filter(({ file }) => this.#origin(file) === 'project');
    if (ours.length === 0) return; // what a library registers while it loads is its own affair
    this.#added.push({ emitter, event, listener: new WeakRef(listener), frames: ours.slice(0, 4) });
  };

  /** The emitters are the real `process` and the sandbox's copy of it. */
  constructor(emitters, origin) {
    this.#emitters = emitters;
    this.#origin = origin;
  }

  start() {
    for (const emitter of this.#emitters) {
      const watcher = (event, listener) => this.#remember(emitter, event, listener);
      this.#watchers.set(emitter, watcher);
      emitter.on('newListener', watcher);
    }
  }

  stop() {
    for (const [emitter, watcher] of this.#watchers) emitter.off('newListener', watcher);
    this.#watchers.clear();
    this.#added = [];
  }

  left() {
    return this.#added
      .filter(({ emitter, event, listener }) => emitter.listeners(event).includes(listener.deref()))
      .map(({ event, frames }) => ({
        what: `listener for '${String(event)}' on process`,
        where: `added\n${formatFrames(frames)}`,
      }));
  }
}
