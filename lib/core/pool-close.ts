import { Deadline } from './deadlines.js';
import type { ConnectionInfo } from './slot.js';

/**
 * How a close went.
 *
 * @publicApi
 */
export interface CloseReport {
  /** From the first `close()` until nothing was left. */
  readonly tookMs: number;
  /** Connections that were destroyed under their borrowers, because they did not come back in time. */
  readonly forced: readonly ConnectionInfo[];
  /** Hooks that had not ended. A connection that one of them still opens is closed on arrival. */
  readonly overdue: number;
}

/**
 * A close under way: its promise, and the deadline at which borrowers lose their connections.
 *
 * @internal
 */
export class PoolClose extends Deadline {
  readonly done: Promise<CloseReport>;
  /** Connections that were taken from their borrowers. */
  private forced: readonly ConnectionInfo[] = [];
  private resolve!: (report: CloseReport) => void;
  private isDone = false;
  private isForced = false;

  constructor(
    private readonly since: number,
    private readonly takeAll: () => readonly ConnectionInfo[],
  ) {
    super();
    this.done = new Promise((resolve) => (this.resolve = resolve));
  }

  /** Waits for borrowers no longer. */
  expire(): void {
    this.isForced = true;
    this.forced = this.takeAll();
  }

  /** Whether it still waits for borrowers, so that a later call can shorten the wait. */
  get isPatient(): boolean {
    return !this.isDone && !this.isForced;
  }

  /** Whether somebody still waits for the end of it. */
  get isPending(): boolean {
    return !this.isDone;
  }

  finish(now: number, overdue: number): void {
    this.isDone = true;
    this.resolve(Object.freeze({ tookMs: now - this.since, forced: Object.freeze(this.forced), overdue }));
  }
}
