import { listenToAbort } from '../../core/abort-listening.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { Deadline, Deadlines } from '../../core/deadlines.js';
import { Outside } from '../../core/outside.js';

/** Something to be done at a time; {@link Timeline.cancel} takes it back. @internal */
export class Alarm extends Deadline {
  constructor(private readonly due: () => void) {
    super();
  }

  expire(): void {
    this.due();
  }
}

/** One who sleeps: its deadline and its ear on the caller's signal in one object. */
class Sleep extends Deadline {
  constructor(
    private readonly sleepers: Sleepers,
    private readonly resolve: () => void,
    private readonly reject: (reason: unknown) => void,
    private readonly signal: AbortSignal | undefined,
  ) {
    super();
    if (signal !== undefined) listenToAbort(signal, this);
  }

  expire(): void {
    this.leave();
    this.resolve();
  }

  handleEvent(): void {
    this.end(this.signal!.reason);
  }

  end(reason: unknown): void {
    this.leave();
    this.reject(reason);
  }

  private leave(): void {
    this.signal?.removeEventListener('abort', this);
    this.sleepers.left(this);
  }
}

interface Sleepers {
  left(sleep: Sleep): void;
}

/**
 * All waiting of one endpoint on one timer: limits of attempts, pauses between them, a limiter's queue.
 *
 * Whoever sleeps keeps the process alive, for a call waits by it. An alarm does not: what it is the limit of, such as a
 * request, keeps the process alive by itself.
 *
 * @internal
 */
export class Timeline implements Sleepers {
  private readonly deadlines: Deadlines;
  private readonly sleeping = new Set<Sleep>();
  private holds = 0;
  private closedBy: { readonly reason: unknown } | undefined;

  constructor(private readonly clock: Clock = systemClock) {
    this.deadlines = new Deadlines(clock, new Outside(), () => undefined);
  }

  now(): number {
    return this.clock.now();
  }

  /** Calls `due` once, `ms` milliseconds from now. After {@link close} never. */
  after(ms: number, due: () => void): Alarm {
    const alarm = new Alarm(due);
    this.deadlines.add(alarm, this.clock.now() + ms);
    return alarm;
  }

  /** Takes an alarm back; one that has rung already is fine. */
  cancel(alarm: Alarm | undefined): void {
    if (alarm === undefined) return;
    this.deadlines.remove(alarm);
    this.deadlines.rest();
  }

  /**
   * Resolves `ms` milliseconds from now, and not earlier. Rejects with the signal's reason as soon as that aborts, and with
   * the reason of {@link close} after that.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      if (this.closedBy !== undefined) return reject(this.closedBy.reason as Error);
      const sleep = new Sleep(this, resolve, reject, signal);
      this.sleeping.add(sleep);
      this.deadlines.add(sleep, this.clock.now() + ms);
      this.hold();
    });
  }

  /** Somebody waits by an alarm: the process must stay alive until {@link release}. */
  hold(): void {
    this.holds += 1;
    if (this.holds === 1) this.deadlines.keepAlive(true);
  }

  /** The opposite of {@link hold}, once for each. */
  release(): void {
    this.holds -= 1;
    if (this.holds > 0) return;
    this.deadlines.keepAlive(false);
    this.deadlines.rest();
  }

  left(sleep: Sleep): void {
    this.deadlines.remove(sleep);
    this.sleeping.delete(sleep);
    this.release();
  }

  /** No timer from here on: alarms do not ring, and whoever sleeps, or would, is rejected with `reason`. */
  close(reason: unknown = new Error('the timeline is closed')): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = { reason };
    for (const sleep of this.sleeping) sleep.end(reason);
    this.deadlines.close();
  }
}
