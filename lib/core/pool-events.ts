import { type Channel, channel } from 'node:diagnostics_channel';
import type { Effects } from './effects.js';
import type { DestroyCause, PoolStateName } from './pool-stats.js';

/**
 * What a pool tells, with the connection's id where there is one.
 *
 * @publicApi
 */
export interface PoolEventMap {
  /** A connection was opened. */
  create: { readonly id: number; readonly tookMs: number };
  /** A connection could not be opened; `inRow` failures since one could. */
  createError: { readonly error: unknown; readonly inRow: number; readonly tookMs: number };
  acquire: { readonly id: number; readonly waitedMs: number };
  release: { readonly id: number; readonly usedMs: number };
  /** A connection is about to be closed. */
  destroy: { readonly id: number; readonly cause: DestroyCause; readonly reason: unknown };
  detach: { readonly id: number };
  /** A health check failed: by `error`, or by an answer that was not `true`. */
  checkFailed: { readonly id: number; readonly error: unknown };
  /** The factory said that a connection is dead. */
  broken: { readonly id: number; readonly error: unknown };
  /** An acquire reached its deadline. */
  timeout: { readonly waitedMs: number };
  abort: { readonly waitedMs: number };
  refuse: { readonly because: 'full' | 'down' | 'closed' };
  /**
   * A lease has been held for `leakWarnAfterMs`; told a second time, with `isReturned`, when it comes back after all. The
   * stack is that of the acquire, where it was sampled.
   */
  leak: {
    readonly id: number;
    readonly heldMs: number;
    readonly stack: string | undefined;
    readonly isReturned: boolean;
  };
  /** A lease was garbage-collected unreleased; its connection is closed. */
  reclaim: { readonly id: number; readonly heldMs: number; readonly stack: string | undefined };
  /** Opening connections failed `downAfter` times in a row, the last time by `error`. */
  down: { readonly error: unknown; readonly inRow: number };
  /** A connection could be opened again. */
  up: { readonly downForMs: number };
  state: { readonly from: PoolStateName; readonly to: PoolStateName };
  /** A hook or a listener failed where nobody else would hear of it. */
  hookError: {
    readonly hook: 'reset' | 'destroy' | 'listener';
    readonly id: number | undefined;
    readonly error: unknown;
  };
  /** A lease was given back a second time. Nothing happened. */
  misuse: { readonly id: number };
}

/** @publicApi */
export type PoolEventName = keyof PoolEventMap;

/**
 * Where every pool of the process publishes what it tells, with its name, for those who watch from outside. Subscribers
 * come and go without the pools' knowledge, so this is asked each time; nobody there costs nothing.
 */
const CHANNELS: Readonly<Record<PoolEventName, Channel>> = {
  create: channel('nestjs-pools:create'),
  createError: channel('nestjs-pools:createError'),
  acquire: channel('nestjs-pools:acquire'),
  release: channel('nestjs-pools:release'),
  destroy: channel('nestjs-pools:destroy'),
  detach: channel('nestjs-pools:detach'),
  checkFailed: channel('nestjs-pools:checkFailed'),
  broken: channel('nestjs-pools:broken'),
  timeout: channel('nestjs-pools:timeout'),
  abort: channel('nestjs-pools:abort'),
  refuse: channel('nestjs-pools:refuse'),
  leak: channel('nestjs-pools:leak'),
  reclaim: channel('nestjs-pools:reclaim'),
  down: channel('nestjs-pools:down'),
  up: channel('nestjs-pools:up'),
  state: channel('nestjs-pools:state'),
  hookError: channel('nestjs-pools:hookError'),
  misuse: channel('nestjs-pools:misuse'),
};

/** @publicApi */
export type PoolListener<E extends PoolEventName> = (event: PoolEventMap[E]) => unknown;

/**
 * The listeners of a pool. One that throws or rejects disturbs neither the pool nor the other listeners.
 *
 * @internal
 */
export class PoolEvents {
  private readonly listeners = new Map<PoolEventName, Set<PoolListener<never>>>();
  /** How many listen to one of the two events of the hot path: to ask the map would be a call each time. */
  private hotListeners = 0;

  constructor(
    private readonly pool: string,
    private readonly effects: Effects,
  ) {}

  on<E extends PoolEventName>(event: E, listener: PoolListener<E>): () => void {
    const set = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, set);
    // A box of its own for each subscription: the same function may listen twice and stop listening once.
    const own: PoolListener<E> = (payload) => listener(payload);
    set.add(own);
    const hot = event === 'acquire' || event === 'release' ? 1 : 0;
    this.hotListeners += hot;
    return () => {
      if (set.delete(own)) this.hotListeners -= hot;
      if (set.size === 0 && this.listeners.get(event) === set) this.listeners.delete(event);
    };
  }

  /** Whether anybody listens: asked before a payload is made, so that events nobody hears cost nothing. */
  has(event: PoolEventName): boolean {
    return (this.listeners.size > 0 && this.listeners.has(event)) || CHANNELS[event].hasSubscribers;
  }

  /** The same for the two on the hot path: to look a channel up by name is a tenth of what a lease costs. */
  get hearsAcquire(): boolean {
    return CHANNELS.acquire.hasSubscribers || (this.hotListeners > 0 && this.listeners.has('acquire'));
  }

  get hearsRelease(): boolean {
    return CHANNELS.release.hasSubscribers || (this.hotListeners > 0 && this.listeners.has('release'));
  }

  /** Notes an event; listeners hear of it when the transition is over. */
  tell<E extends PoolEventName>(event: E, payload: PoolEventMap[E]): void {
    if (this.has(event)) this.effects.add(() => this.emit(event, payload));
  }

  private emit<E extends PoolEventName>(event: E, payload: PoolEventMap[E]): void {
    if (CHANNELS[event].hasSubscribers) CHANNELS[event].publish({ pool: this.pool, ...payload });
    const set = this.listeners.get(event);
    if (set === undefined) return;
    // A copy: a listener that adds another would otherwise be called, and add another, without an end.
    const heard = [...set];
    for (const listener of heard) {
      if (!set.has(listener)) continue;
      try {
        const result = (listener as PoolListener<E>)(payload);
        if (result instanceof Promise) result.catch((error: unknown) => this.listenerFailed(event, error));
      } catch (error) {
        this.listenerFailed(event, error);
      }
    }
  }

  private listenerFailed(event: PoolEventName, error: unknown): void {
    // A listener of `hookError` that fails itself has nobody left to tell.
    if (event !== 'hookError') this.emit('hookError', { hook: 'listener', id: undefined, error });
  }
}
