import type { Socket } from 'node:net';

/**
 * Counts the sockets at the upstream's side, where a pool cannot embellish the number: whoever claims to open at most twenty is checked here.
 *
 * The socket of someone who only came to read the count is not part of it. That is known one request too late, when the socket may have
 * raised the peak already; so the peak before its arrival is remembered.
 */
export class SocketCensus {
  private readonly counted = new Set<Socket>();
  private readonly peakBefore = new WeakMap<Socket, number>();
  private peak = 0;

  get open(): number {
    return this.counted.size;
  }

  get mostEver(): number {
    return this.peak;
  }

  opened(socket: Socket): void {
    this.peakBefore.set(socket, this.peak);
    this.count(socket);
    socket.once('close', () => this.counted.delete(socket));
  }

  /** The socket carries requests: from now on it counts, whatever it asked before. */
  works(socket: Socket): void {
    this.peakBefore.delete(socket);
    if (!socket.destroyed) this.count(socket);
  }

  /** The socket only looks at the count. While it was taken for a worker, everything was counted one too high. */
  observes(socket: Socket): void {
    const before = this.peakBefore.get(socket);
    if (before === undefined || !this.counted.delete(socket)) return;
    this.peak = Math.max(before, this.peak - 1);
  }

  private count(socket: Socket): void {
    this.counted.add(socket);
    this.peak = Math.max(this.peak, this.counted.size);
  }
}
