import { setImmediate as nextTurn } from 'node:timers/promises';

/** Long enough that the turns cost nothing, short enough that a health check in between does not notice. */
const SLICE_MS = 8;

/** Long work on the one event loop, cut into slices: whoever waits for the loop gets it between two of them. */
export class WorkSlice {
  private startedAt = performance.now();

  /** @param signal aborted when nobody waits for the result any more; the next `breathe` then rejects, which ends the work. */
  constructor(private readonly signal: AbortSignal) {}

  /** To be awaited after each piece of work. Gives way if the slice is used up, else goes on at once. */
  async breathe(): Promise<void> {
    if (performance.now() - this.startedAt < SLICE_MS) return;
    await nextTurn(undefined, { signal: this.signal });
    this.startedAt = performance.now();
  }
}
