import type { Socket } from 'node:net';
import type { InternalAxiosRequestConfig, AxiosResponse } from 'axios';
import { systemClock } from '../core/clock.js';
import type { AnswerWatch } from './answer-watch.js';
import type { HttpTransport } from './transport.js';

/** How long a polite close waits for the server's side of it before the socket is torn down. */
const LINGER_MS = 500;

/**
 * One socket with what sends over it, and a record of what has been on it.
 *
 * @internal
 */
export class PooledSocket {
  /** Answers that came over it. */
  answers = 0;
  /** Why it closed, once it has, where somebody said so. */
  error: Error | undefined;
  private isBusy = false;
  /** Of the request that is on it. */
  private watch: AnswerWatch | undefined;
  private idleSince = systemClock.now();
  /** How much had been read when the last answer was over: what comes after that, nobody asked for. */
  private bytesExpected: number;
  /** Told when it has closed. */
  onClose: (() => void) | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly transport: HttpTransport,
  ) {
    this.bytesExpected = socket.bytesRead;
    socket.on('error', (error) => (this.error ??= error));
    socket.once('close', () => this.onClose?.());
    // Reading also while it is idle: else neither the server's close nor what it sends unasked would be seen. Node's own
    // client reads such bytes and drops them; they are the end of an answer that somebody else may get, or "408" before a close.
    socket.on('data', () => {
      if (!this.isBusy) this.end(new Error('the server sent something that nobody had asked for'));
      else this.watch?.heard();
    });
    socket.unref();
  }

  /** Whether a request can be written to it. */
  get isOpen(): boolean {
    const { socket } = this;
    return (
      !socket.destroyed &&
      socket.writable &&
      !socket.readableEnded &&
      (this.isBusy || socket.bytesRead === this.bytesExpected)
    );
  }

  get idleMs(): number {
    return this.isBusy ? 0 : systemClock.now() - this.idleSince;
  }

  /** Whether anything of an answer has come since the last one. */
  get hasHeard(): boolean {
    return this.socket.bytesRead !== this.bytesExpected;
  }

  /** Sends one request. It is busy from here on, until it is told to rest. */
  send(config: InternalAxiosRequestConfig, watch?: AnswerWatch): Promise<AxiosResponse> {
    this.isBusy = true;
    this.watch = watch;
    watch?.begun();
    // The pool's idle sockets do not keep the process alive; one with a request on it does.
    this.socket.ref();
    return this.transport.adapter(config, watch);
  }

  /** The request that was on it is over. One that was given up before it was sent does not make it any younger. */
  rest(): void {
    if (!this.isBusy) return;
    this.isBusy = false;
    this.watch = undefined;
    this.idleSince = systemClock.now();
    this.bytesExpected = this.socket.bytesRead;
    this.socket.unref();
  }

  /** Ends it at once, and what is on it. */
  end(reason: Error): void {
    this.error ??= reason;
    this.socket.destroy();
  }

  /** Resolves when it is closed, at the server's side too where the server is polite. */
  async close(): Promise<void> {
    await this.closed();
    this.transport.close();
  }

  private closed(): Promise<void> {
    const { socket } = this;
    if (socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const linger = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => {
        clearTimeout(linger);
        resolve();
      });
      if (this.isBusy || socket.destroyed) socket.destroy();
      else socket.end().resume();
    });
  }
}
