import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { systemClock } from '../core/clock.js';
import type { AnswerWatch, WatchedAdapter } from './answer-watch.js';
import { exchangeAdapter } from './exchange-adapter.js';
import {
  type AnswerHeaders,
  type AnswerSink,
  codedError,
  type ExchangeControl,
  type ExchangeRequest,
} from './exchange.js';
import type { H2Session, Occupant } from './h2-session.js';
import type { H2Sessions } from './h2-sessions.js';
import { UnprocessedError } from './h2-stream.js';
import type { HttpLink } from './http-link.js';
import type { HttpReplay } from './http-settings.js';
import { isReset, isStream, mayReplay } from './replay.js';

/** What a link is opened with. @internal */
export interface H2LinkContext {
  readonly signal: AbortSignal;
  readonly broken: (error: unknown) => void;
}

/**
 * A place for one request at a time on a shared session. When the session is told to go, its next request goes over another
 * one; a request that the server has not looked at does too, and is not sent twice by that.
 *
 * @internal
 */
export class H2Link implements HttpLink, Occupant {
  readonly adapter: WatchedAdapter = (config, watch) => this.request(config, watch);
  private session: H2Session | undefined;
  private readonly send: WatchedAdapter;
  private readonly turns: Turn[] = [];
  private current: Turn | undefined;
  /** Requests that have not been answered or failed for good. */
  private asked = 0;
  private idleSince = systemClock.now();
  private loss: Error | undefined;
  private isClosed = false;
  /** Sessions that it has left and that have not closed yet. */
  private readonly left = new Set<Promise<void>>();
  private readonly moving = new AbortController();

  private constructor(
    private readonly sessions: H2Sessions,
    private readonly replay: HttpReplay,
    private readonly broken: (error: unknown) => void,
  ) {
    this.send = exchangeAdapter((request, sink) => this.takeTurn(request, sink));
  }

  static async open(sessions: H2Sessions, replay: HttpReplay, { signal, broken }: H2LinkContext): Promise<H2Link> {
    const link = new H2Link(sessions, replay, broken);
    link.session = await sessions.place(link, signal);
    return link;
  }

  get isOpen(): boolean {
    return !this.isClosed && this.session?.isOpen === true;
  }

  get isReady(): boolean {
    const { session } = this;
    if (this.isClosed || this.current !== undefined || session?.takesRequests !== true) return false;
    // The server has lowered its limit: those beyond it go where there is room.
    return session.occupants.size <= session.limit || !this.sessions.hasPlaceBeside(session);
  }

  get idleMs(): number {
    return this.current === undefined ? systemClock.now() - this.idleSince : 0;
  }

  /** A session is kept as long as it has links; the pool's own idle time is theirs. */
  get idleLimitMs(): number {
    return Infinity;
  }

  /** Of a session that takes no more requests, too: it is none of its server's fault, and the next lease passes it over. */
  check(signal: AbortSignal): Promise<boolean> {
    return this.session!.check(signal);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const reason = closedError();
    for (const turn of this.turns.splice(0)) turn.abort(reason);
    this.current?.abort(reason);
    this.moving.abort(reason);
    this.leave(this.session);
    await Promise.all(this.left);
  }

  /** Its session has closed. With a request on it, that decides: it may go on over another session. */
  lost(error: Error): void {
    this.loss ??= error;
    this.tellOfLoss();
  }

  private async request(config: InternalAxiosRequestConfig, watch?: AnswerWatch): Promise<AxiosResponse> {
    this.asked += 1;
    const first = this.session;
    const isReused = first?.hasAnswered === true;
    try {
      return await this.send(config, watch).catch(async (error: unknown) => {
        if (!this.maySendAgain(config, error, isReused)) throw error;
        await this.move(config.signal as AbortSignal | undefined, first);
        return this.send(config, watch);
      });
    } finally {
      this.asked -= 1;
      this.tellOfLoss();
    }
  }

  private maySendAgain(config: InternalAxiosRequestConfig, error: unknown, isReused: boolean): boolean {
    const { response, cause } = error as Partial<AxiosError>;
    if (this.isClosed || response !== undefined || config.signal?.aborted === true) return false;
    if (cause instanceof UnprocessedError) return !isStream(config.data);
    return isReused && isReset(error) && mayReplay(config, this.replay);
  }

  private takeTurn(request: ExchangeRequest, sink: AnswerSink): ExchangeControl {
    const turn = new Turn(request, sink, () => this.over(turn));
    if (this.isClosed) turn.abort(closedError());
    else if (this.current === undefined) this.begin(turn);
    else this.turns.push(turn);
    return turn;
  }

  private begin(turn: Turn): void {
    this.current = turn;
    if (this.session?.takesRequests === true) return turn.sendOver(this.session);
    this.move(turn.signal).then(
      () => turn.sendOver(this.session!),
      (error: Error) => turn.onError(error),
    );
  }

  /** A request has been answered, or has failed. */
  private over(turn: Turn): void {
    if (this.current !== turn) {
      // Given up while it waited.
      const at = this.turns.indexOf(turn);
      if (at >= 0) this.turns.splice(at, 1);
      return;
    }
    this.current = undefined;
    this.idleSince = systemClock.now();
    const next = this.turns.shift();
    if (next !== undefined) this.begin(next);
    else this.tellOfLoss();
  }

  /** Goes to another session: than the one it is on, and than the one that has just refused it. */
  private async move(signal: AbortSignal | undefined, refused?: H2Session): Promise<void> {
    // Somebody has been quicker.
    if (refused !== undefined && this.session !== refused && this.session?.takesRequests === true) return;
    const either = signal === undefined ? this.moving.signal : AbortSignal.any([signal, this.moving.signal]);
    const session = await this.sessions.place(this, either, refused);
    // Closed, or moved by another request, since it was asked for.
    const old = this.isClosed ? session : this.session;
    if (this.isClosed || old !== session) this.leave(old);
    if (this.isClosed) throw closedError();
    this.session = session;
    this.loss = undefined;
  }

  private leave(session: H2Session | undefined): void {
    if (session === undefined) return;
    const leaving = session.release(this).finally(() => this.left.delete(leaving));
    this.left.add(leaving);
  }

  private tellOfLoss(): void {
    if (this.loss === undefined || this.asked > 0 || this.current !== undefined || this.isClosed) return;
    if (!this.isOpen) this.broken(this.loss);
  }
}

/**
 * A request that waits for those before it on the same link, for a session, and then for its answer. It is over when the
 * answer is, although its stream may take a moment longer to close: whoever comes next need not wait for that.
 */
class Turn implements ExchangeControl, AnswerSink {
  private isOver = false;
  private session: H2Session | undefined;
  private control: ExchangeControl | undefined;
  private controller: AbortController | undefined;

  constructor(
    private readonly request: ExchangeRequest,
    private readonly sink: AnswerSink,
    private readonly over: () => void,
  ) {}

  /** Aborted when the request is given up before it is sent. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return this.controller.signal;
  }

  sendOver(session: H2Session): void {
    if (this.isOver) return;
    this.session = session;
    this.control = session.send(this.request, this);
  }

  abort(reason: Error): void {
    if (this.control !== undefined) return this.control.abort(reason);
    this.onError(reason);
    this.controller?.abort(reason);
  }

  pause(): void {
    this.control?.pause();
  }

  resume(): void {
    this.control?.resume();
  }

  onHead(status: number, statusText: string, headers: AnswerHeaders): void {
    this.sink.onHead(status, statusText, headers);
  }

  onData(chunk: Buffer): void {
    this.sink.onData(chunk);
  }

  onEnd(trailers: AnswerHeaders): void {
    this.isOver = true;
    this.session!.hasAnswered = true;
    this.over();
    this.sink.onEnd(trailers);
  }

  onError(error: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.over();
    this.sink.onError(error);
  }
}

function closedError(): Error {
  return codedError('the pooled connection is closed', 'ECONNRESET');
}
