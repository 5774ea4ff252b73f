import type { EventEmitter } from 'node:events';

type Listener = (...args: unknown[]) => void;

/**
 * The listeners that stay on an emitter when its borrower goes.
 *
 * @internal
 */
export class KeptListeners {
  private kept: (readonly [event: string | symbol, listeners: readonly Listener[]])[] = [];
  private isChanged = false;

  constructor(private readonly emitter: EventEmitter) {
    // Nothing is looked at in the usual case: the emitter says when something has changed.
    const changed = (): void => {
      this.isChanged = true;
    };
    emitter.on('newListener', changed).on('removeListener', changed);
    this.keep();
  }

  /** Those that are there now will stay. */
  keep(): void {
    const { emitter } = this;
    this.kept = emitter.eventNames().map((event) => [event, emitter.rawListeners(event) as Listener[]] as const);
    this.isChanged = false;
  }

  /** Removes what has been added since, and puts back what has been removed. */
  restore(): void {
    if (!this.isChanged) return;
    this.emitter.removeAllListeners();
    for (const [event, listeners] of this.kept) for (const listener of listeners) this.emitter.on(event, listener);
    this.isChanged = false;
  }
}
