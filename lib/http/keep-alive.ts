/** What lies between the moment at which a server means to close a socket and the one at which we do: a network's delay. */
const MARGIN_MS = 2_000;

/** However long a server offers to wait. */
const MOST_MS = 600_000;

/** However short a socket lived. */
const LEAST_AFTER_RESET_MS = 1_000;

/** So many reuses in a row without a reset make the limit grow, by so much. */
const REUSES_PER_STEP = 100;
const STEP = 1.1;

const HINT = /(?:^|[,;\s])timeout\s*=\s*"?(\d+)/i;

/**
 * How long a socket to one server may lie idle. The server's hint says it, less a margin, or a default does. A socket that
 * was reset when it was used again says that the truth is less: half of what it had been idle for, until many reuses in a
 * row went well.
 *
 * @internal
 */
export class KeepAlive {
  /** What the hint or the default allow. */
  private ceilingMs: number;
  private currentMs: number;
  private lastHint: string | undefined = undefined;
  private cleanReuses = 0;

  constructor(defaultMs: number) {
    this.ceilingMs = this.currentMs = defaultMs;
  }

  get limitMs(): number {
    return this.currentMs;
  }

  /** The `Keep-Alive` header of an answer, if it had one. */
  hinted(header: unknown): void {
    // A server says the same every time.
    if (header === this.lastHint || typeof header !== 'string') return;
    this.lastHint = header;
    const seconds = HINT.exec(header)?.[1];
    if (seconds === undefined) return;
    const wasLowered = this.currentMs < this.ceilingMs;
    const offeredMs = Math.min(Number(seconds) * 1_000, MOST_MS + MARGIN_MS);
    // Half of a short hint and not nothing: a busy socket is idle for microseconds, and need not be opened for every request.
    this.ceilingMs = Math.max(offeredMs - MARGIN_MS, offeredMs / 2);
    this.currentMs = wasLowered ? Math.min(this.currentMs, this.ceilingMs) : this.ceilingMs;
  }

  /** A socket that had been used before carried another request. */
  reused(): void {
    if (this.currentMs >= this.ceilingMs || (this.cleanReuses += 1) < REUSES_PER_STEP) return;
    this.cleanReuses = 0;
    this.currentMs = Math.min(this.ceilingMs, this.currentMs * STEP);
  }

  /** A socket was reset when it was used again after so long. */
  reset(idleMs: number): void {
    this.cleanReuses = 0;
    this.currentMs = Math.min(this.currentMs, Math.max(LEAST_AFTER_RESET_MS, idleMs / 2));
  }
}
