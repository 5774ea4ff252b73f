import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { Socket } from 'node:net';
import { systemClock } from '../core/clock.js';
import { type AnswerSink, codedError, type ExchangeControl, type ExchangeRequest } from './exchange.js';
import type { H2Target } from './h2-headers.js';
import { settled } from './h2-settled.js';
import { H2Stream, type StreamEnd, UnprocessedError } from './h2-stream.js';

/** How long a polite close waits for the server's side of it before the socket is torn down. */
const LINGER_MS = 500;

/** Whoever was heard so recently need not be asked for a sign of life. */
const HEARD_LATELY_MS = 1_000;

/** How long a session whose request was given up, without a byte from the server, has for a sign of life. */
const SUSPECT_MS = 1_000;

/** How much the server may send of one answer, and of all, before it is read: a reader that stands still must not stop the others. */
const STREAM_WINDOW = 2 * 1024 * 1024;
const SESSION_WINDOW = 64 * 1024 * 1024;

/** In megabytes: Node refuses new streams beyond it, and large requests that are being sent count. */
const SESSION_MEMORY = 1_024;

/** A link with a place on a session. @internal */
export interface Occupant {
  /** The session has closed. */
  lost(error: Error): void;
}

/** A request that waits for the server to allow one more stream. */
interface Waiting extends ExchangeControl {
  begin(): void;
  fail(error: Error): void;
}

/**
 * One HTTP/2 session: a socket that many requests share, as many at a time as its server allows.
 *
 * @internal
 */
export class H2Session {
  /** The links that send over it. It is closed with the last one. */
  readonly occupants = new Set<Occupant>();
  /** How many requests at a time the server allows, by its latest word. */
  limit = 0;
  /** Whether an answer has come over it: the server may have closed it since. */
  hasAnswered = false;
  private streams = 0;
  private readonly waiting: Waiting[] = [];
  private isLeaving = false;
  private lastLookedAt = Infinity;
  private heardAt = systemClock.now();
  private pinging: Promise<boolean> | undefined;
  private suspecting: NodeJS.Timeout | undefined;
  private error: Error | undefined;
  private readonly closed: Promise<void>;

  private constructor(
    private readonly session: ClientHttp2Session,
    private readonly socket: Socket,
    private readonly target: H2Target,
    private readonly retiresAt: number,
    onCalm: () => void,
  ) {
    session.on('error', (error) => (this.error ??= error));
    session.on('remoteSettings', ({ maxConcurrentStreams = Infinity }) => {
      this.limit = maxConcurrentStreams;
      this.pump();
    });
    session.on('goaway', (code: number, lastStreamId: number) => {
      this.lastLookedAt = lastStreamId;
      if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM) onCalm();
      this.leave();
    });
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        clearTimeout(this.suspecting);
        this.leave();
        resolve();
        const error = this.error ?? codedError('the server closed the session', 'ECONNRESET');
        for (const occupant of this.occupants) occupant.lost(error);
      });
    });
  }

  /** Speaks HTTP/2 over a socket. Resolves when the server has said what it allows. */
  static async open(
    socket: Socket,
    base: URL,
    maxAgeMs: number,
    signal: AbortSignal,
    onCalm: () => void,
  ): Promise<H2Session> {
    if (socket.destroyed) throw codedError('the server closed the connection', 'ECONNRESET');
    const session = connect(base.origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      maxSessionMemory: SESSION_MEMORY,
    });
    const target = { scheme: base.protocol.slice(0, -1), authority: base.host };
    // Listening from the start: a server may say goodbye in one breath with its settings.
    const opened = new H2Session(session, socket, target, systemClock.now() + maxAgeMs, onCalm);
    await settled(session, socket, signal);
    session.setLocalWindowSize(SESSION_WINDOW);
    session.unref();
    return opened;
  }

  /** Whether new requests may be sent over it: open, not told to go, and not too old. */
  get takesRequests(): boolean {
    return this.isOpen && !this.isLeaving && systemClock.now() < this.retiresAt;
  }

  get isOpen(): boolean {
    return !this.session.destroyed && !this.socket.destroyed;
  }

  get hasPlace(): boolean {
    return this.occupants.size < this.limit && this.takesRequests;
  }

  /** Resolves when it has closed. */
  get whenClosed(): Promise<void> {
    return this.closed;
  }

  /** Sends a request, when the server allows one more. */
  send(request: ExchangeRequest, sink: AnswerSink): ExchangeControl {
    if (this.streams < this.limit && this.waiting.length === 0) return this.begin(request, sink);
    let control: ExchangeControl | undefined;
    const drop = (error: Error): void => {
      const at = this.waiting.indexOf(waiting);
      if (at >= 0) this.waiting.splice(at, 1);
      sink.onError(error);
    };
    const waiting: Waiting = {
      begin: () => (control = this.begin(request, sink)),
      fail: drop,
      abort: (reason) => (control === undefined ? drop(reason) : control.abort(reason)),
      pause: () => control?.pause(),
      resume: () => control?.resume(),
    };
    this.waiting.push(waiting);
    return waiting;
  }

  /** Whether the server gives a sign of life; asked once for all who ask at the same time. None in time ends the session. */
  async check(signal: AbortSignal): Promise<boolean> {
    if (!this.isOpen) return false;
    if (systemClock.now() - this.heardAt < HEARD_LATELY_MS) return true;
    const heard = this.socket.bytesRead;
    return new Promise((resolve) => {
      const giveUp = (): void => {
        // Busy with a long answer, perhaps, behind which the sign of life waits.
        if (this.socket.bytesRead !== heard) return resolve(true);
        this.fail(codedError('the server gives no sign of life', 'ETIMEDOUT'));
        resolve(false);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      void this.ping().then((isAlive) => {
        signal.removeEventListener('abort', giveUp);
        resolve(isAlive);
      });
    });
  }

  /** A link leaves. Resolves at once, or, with the last one, when the session has closed. */
  async release(occupant: Occupant): Promise<void> {
    this.occupants.delete(occupant);
    if (this.occupants.size === 0) await this.close();
  }

  /** Resolves when it has closed, at the server's side too where the server is polite. */
  close(): Promise<void> {
    this.leave();
    if (!this.session.destroyed) this.session.close();
    const linger = setTimeout(() => this.socket.destroy(), LINGER_MS);
    return this.closed.finally(() => clearTimeout(linger));
  }

  private begin(request: ExchangeRequest, sink: AnswerSink): ExchangeControl {
    this.streams += 1;
    // Idle, it does not keep the process alive; with a request on it, it does.
    if (this.streams === 1) this.session.ref();
    const heard = this.socket.bytesRead;
    const ended = (end: StreamEnd): void => {
      this.streams -= 1;
      if (this.streams === 0) this.session.unref();
      if (end === 'given up' && this.socket.bytesRead === heard) this.suspect();
      this.pump();
    };
    return new H2Stream(this.session, this.target, request, sink, () => this.lastLookedAt, ended);
  }

  private pump(): void {
    while (this.streams < this.limit && this.waiting.length > 0) this.waiting.shift()!.begin();
  }

  /** Takes no more requests; those that wait go elsewhere, those under way are finished. */
  private leave(): void {
    this.isLeaving = true;
    for (const waiting of this.waiting.splice(0))
      waiting.fail(new UnprocessedError('the session goes away', 'ECONNRESET'));
  }

  private fail(error: Error): void {
    this.error ??= error;
    this.socket.destroy();
  }

  private ping(): Promise<boolean> {
    this.pinging ??= new Promise<boolean>((resolve) => {
      const answered = (error: Error | null): void => {
        this.pinging = undefined;
        if (error === null) this.heardAt = systemClock.now();
        resolve(error === null);
      };
      try {
        this.session.ping(answered);
      } catch (error) {
        answered(error as Error);
      }
    });
    return this.pinging;
  }

  /** The server has left a request without a byte for as long as its caller waited: if it is gone, others need not wait as long. */
  private suspect(): void {
    if (this.suspecting !== undefined || !this.isOpen) return;
    const controller = new AbortController();
    this.suspecting = setTimeout(() => controller.abort(), SUSPECT_MS).unref();
    void this.check(controller.signal).then(() => {
      clearTimeout(this.suspecting);
      this.suspecting = undefined;
    });
  }
}
