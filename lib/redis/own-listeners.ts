import type { EventEmitter } from 'node:events';

type Listener = (...args: unknown[]) => void;

/**
 * The listeners that a client has when it is opened. A borrower's are removed at return, and those that it removed are put
 * back; nothing is looked at where a borrower did neither.
 *
 * @internal
 */
export class OwnListeners {
  private readonly own = new Map<string | symbol, readonly Listener[]>();
  private hasChanged = false;

  constructor(private readonly emitter: EventEmitter) {
    const note = (): void => {
      this.hasChanged = true;
    };
    emitter.on('newListener', note).on('removeListener', note);
    for (const event of emitter.eventNames()) this.own.set(event, this.listenersOf(event));
    this.hasChanged = false;
  }

  restore(): void {
    if (!this.hasChanged) return;
    for (const event of new Set([...this.emitter.eventNames(), ...this.own.keys()])) {
      const own = this.own.get(event) ?? [];
      const present = this.listenersOf(event);
      for (const listener of present.filter((one) => !own.includes(one))) this.emitter.removeListener(event, listener);
      for (const listener of own.filter((one) => !present.includes(one))) this.emitter.on(event, listener);
    }
    this.hasChanged = false;
  }

  /** Raw, so that one that is to be called once is still found. */
  private listenersOf(event: string | symbol): Listener[] {
    return this.emitter.rawListeners(event) as Listener[];
  }
}
