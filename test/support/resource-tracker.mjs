import { createHook } from 'node:async_hooks';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { captureFrames, formatFrames } from './stack-frames.mjs';

/** What is watched, by its name in `async_hooks`. TLS is not listed: a TLS socket sits on a TCP one. */
const WATCHED = {
  Timeout: 'timer',
  TCPSERVERWRAP: 'listening server',
  TCPWRAP: 'TCP socket',
  PIPEWRAP: 'pipe',
  UDPWRAP: 'UDP socket',
  PROCESSWRAP: 'child process',
  WORKER: 'worker thread',
  FSEVENTWRAP: 'file watcher',
};

const OWN_TIMER_GRACE_MS = 100;
const MIN_ROUNDS = 5; // a stalled loop may let all the time pass in a single turn

/**
 * Knows every timer, socket, server, child process and worker that was opened since `start()` and is still open.
 *
 * Only births are hooked. Whether a resource still lives is asked of itself, at the end: a hook for deaths would make
 * Node 20 follow every promise into the garbage collector, which makes an `await` several times dearer.
 */
export class ResourceTracker {
  #born = new Map(); // async id → what, when, where; weak, so that the guard keeps no leak alive by itself
  #sweepAtSize = 1_000;
  #origin; // whose code a stack frame is: 'project' | 'jest' | 'guard' | 'node' | 'dependency'
  #onInit = (id, type, _trigger, resource) => {
    if (Object.hasOwn(WATCHED, type)) this.#remember(id, type, resource);
  };
  #hook = createHook({
    init: this.#onInit,
    trackPromises: false, // promises cost nothing where Node knows this option; 20 and 22 ignore it
  });

  #graceMs;

  constructor(origin, { graceMs = 2_000 } = {}) {
    this.#origin = origin;
    this.#graceMs = graceMs;
  }

  start() {
    this.#hook.enable();
  }

  stop() {
    this.#hook.disable();
    this.#born.clear();
  }

  /**
   * Tells what is still open once everything had its chance to close: at once when nothing is, else after `graceMs`.
   * A timer set by our own code gets a few loop turns only. It is cleared in one step, so one that merely has not
   * fired yet is left over too.
   */
  async leaks() {
    await turn(); // close callbacks, and a first look at rejected promises
    await turn();
    const began = performance.now();
    const found = new Map();
    for (let round = 0; ; round++) {
      const waitedMs = round < MIN_ROUNDS ? 0 : performance.now() - began;
      const open = this.#open();
      for (const one of open) {
        const isOverdue = waitedMs >= (one.isOwnTimer ? OWN_TIMER_GRACE_MS : this.#graceMs);
        if (isOverdue && !found.has(one)) found.set(one, describe(one));
      }
      if (open.every((one) => found.has(one))) break;
      await sleep(10);
    }
    // The failure is told; what leaked shall not keep the whole run from ending too.
    for (const { resource } of found.keys()) resource.deref()?.unref?.();
    return [...found.values()];
  }

  #open() {
    for (const [id, one] of this.#born) if (!isAlive(one.resource.deref())) this.#born.delete(id);
    return [...this.#born.values()];
  }

  #remember(id, type, resource) {
    const frames = captureFrames(this.#onInit);
    const origins = frames.map((frame) => this.#origin(frame.file));
    const depth = origins.findIndex((origin) => origin !== 'node');
    const owner = origins[depth];
    if (owner === 'jest' || owner === 'guard') return;
    const internals = depth < 0 ? frames : frames.slice(0, depth);
    if (type === 'Timeout' ? !isTimerOfOurs(internals, owner, origins) : isStdio(internals)) return;

    const ours = frames.filter((_, index) => origins[index] === 'project');
    this.#born.set(id, {
      type,
      resource: new WeakRef(resource),
      bornAt: performance.now(),
      isOwnTimer: type === 'Timeout' && owner === 'project',
      frames: (ours.length > 0 ? ours : frames.slice(internals.length)).slice(0, 4),
    });
    if (this.#born.size >= this.#sweepAtSize) this.#sweepAtSize = Math.max(1_000, 2 * this.#open().length);
  }
}

/**
 * Timers that Node sets for itself (a socket's time limit, a server's rounds, the cached Date header) end with their
 * socket or server, which is watched. AbortSignal.timeout() cannot be cleared, so only our own code answers for it.
 */
function isTimerOfOurs(internals, owner, origins) {
  if (!origins.includes('project')) return false;
  if (internals.some(({ file }) => file === 'node:internal/abort_controller')) return owner === 'project';
  return internals.every(({ file }) => TIMER_API.test(file));
}
const TIMER_API = /^node:(timers|timers\/promises|internal\/(timers|async_hooks|util|promise_hooks|per_context\/.*))$/;

/** process.stdout and its like open on first use, whoever that is, and stay open. */
function isStdio(internals) {
  return internals.some(({ file }) => file.startsWith('node:internal/bootstrap/'));
}

function isAlive(resource) {
  if (resource === undefined) return false;
  if ('_destroyed' in resource) return !resource._destroyed; // a Timeout, fired or cleared
  const isReferenced = resource.hasRef?.();
  if (isReferenced !== false) return isReferenced === true; // undefined: the handle is closed and gone
  resource.ref(); // an unref'd handle and a closing one both say `false`: only the first can be referenced again
  const wasAlive = resource.hasRef() === true;
  resource.unref();
  return wasAlive;
}

function describe({ type, resource, bornAt, frames }) {
  const age = `${((performance.now() - bornAt) / 1_000).toFixed(1)} s old`;
  const where = frames.length > 0 ? `opened\n${formatFrames(frames)}` : 'accepted by a server or opened by Node itself';
  return { what: `${WATCHED[type]} ${details(type, resource.deref())}, ${age}`, where };
}

function details(type, resource) {
  const isReferenced = resource.hasRef?.() ? '' : ", unref'd";
  if (type === 'Timeout') {
    return `(${resource._repeat ? 'interval' : 'timeout'} of ${resource._idleTimeout} ms${isReferenced})`;
  }
  if (type === 'PROCESSWRAP') return `(pid ${resource.pid}${isReferenced})`;
  const [local, peer] = [{}, {}];
  resource.getsockname?.(local);
  resource.getpeername?.(peer);
  const ends = [local.port && `port ${local.port}`, peer.port && `to ${peer.address}:${peer.port}`];
  return `(${[type, ...ends].filter(Boolean).join(' ')}${isReferenced})`;
}
