import type { Socket } from 'node:net';

/**
 * A client's connection, as the upstream sees it, and what may happen to it.
 *
 * @internal
 */
export class UpstreamConnection {
  /** Neither an answer nor the end of the connection gets through, in either direction. */
  isSilent = false;
  private readonly timers = new Set<NodeJS.Timeout>();
  private idleTimer: NodeJS.Timeout | undefined = undefined;
  /** Requests that have come and are not answered yet. */
  private unanswered = 0;

  constructor(
    private readonly socket: Socket,
    /** The upstream knows that it has ended. */
    private readonly onEnd: (connection: UpstreamConnection) => void,
  ) {
    // Clients that vanish are what this is for; the `close` that follows tells enough.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      for (const timer of this.timers) clearTimeout(timer);
      clearTimeout(this.idleTimer);
      if (!this.isSilent) this.onEnd(this);
    });
  }

  get isGone(): boolean {
    return this.socket.destroyed;
  }

  /** Calls `work` after a time, unless the connection ends before. Infinity: never. */
  later(delayMs: number, work: () => void): void {
    if (delayMs === 0) return work();
    if (delayMs === Infinity || this.isGone) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, delayMs);
    this.timers.add(timer);
  }

  /** A request has begun, so the connection is not idle. */
  requested(): void {
    this.unanswered += 1;
    clearTimeout(this.idleTimer);
  }

  /** A request is answered. If it was the last one, the connection is kept idle for so long. Infinity: for ever. */
  answered(keepAliveMs: number): void {
    this.unanswered -= 1;
    // Node's own time limit would be told to the client, and lasts a second longer.
    if (this.unanswered > 0 || keepAliveMs === Infinity || this.isSilent || this.isGone) return;
    this.idleTimer = setTimeout(() => this.destroy(), keepAliveMs);
  }

  /** From here on nothing goes out on it, not even an end in answer to the client's. */
  silence(): void {
    this.isSilent = true;
    clearTimeout(this.idleTimer);
    // What the HTTP server writes in answer to a request, or to the client's end, goes nowhere.
    Object.assign(this.socket, { write: () => true, end: () => this.socket });
  }

  /** Ends it by an RST. */
  reset(): void {
    // Where its end is under way, a reset fails: Node 20 then never closes the socket, and spins when the process is to end.
    if (this.socket.writableEnded) this.socket.destroy();
    else this.socket.resetAndDestroy();
    this.onEnd(this);
  }

  destroy(): void {
    this.socket.destroy();
    this.onEnd(this);
  }

  /** Ends it once what was written has been sent. */
  endSoon(): void {
    this.socket.destroySoon();
  }
}
