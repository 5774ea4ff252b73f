import type { AxiosError, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { AnswerWatch, WatchedAdapter } from './answer-watch.js';
import type { HttpLink } from './http-link.js';
import type { HttpReplay } from './http-settings.js';
import type { KeepAlive } from './keep-alive.js';
import type { PooledSocket } from './pooled-socket.js';
import { isReset, mayReplay } from './replay.js';

/** A socket that has been idle for longer may have been closed by the server while the event loop was busy elsewhere. */
const LOOK_AGAIN_AFTER_MS = 250;

/** Beyond it a timer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What the links of one pool have in common. @internal */
export interface SocketSource {
  /** Opens a socket. Aborting rejects with the signal's reason. */
  readonly dial: (signal: AbortSignal) => Promise<PooledSocket>;
  readonly keepAlive: KeepAlive;
  readonly replay: HttpReplay;
  /** How long opening a socket in place of a dead one may take. */
  readonly connectTimeoutMs: number;
}

/**
 * A link over one socket at a time. A socket that turns out to be dead when a request comes for it is replaced by a fresh one:
 * before the request was written, always; after that, once, where the server has answered nothing and the request may be
 * sent twice. The old socket is closed before its successor is dialled, so that the server never has one too many.
 *
 * @internal
 */
export class SocketLink implements HttpLink {
  readonly adapter: WatchedAdapter = (config, watch) => this.request(config, watch);
  /** Whether a request is on it, from the first look at the socket until its answer has been read. */
  private isBusy = false;
  private isClosed = false;
  /** Those who wait for their turn. */
  private readonly queue: Turn[] = [];
  /** The signal of the request that is on it. */
  private signal: AbortSignal | undefined;
  private dialing: AbortController | undefined;

  constructor(
    private socket: PooledSocket,
    private readonly source: SocketSource,
    private readonly broken: (error: unknown) => void,
  ) {
    this.adopt(socket);
  }

  get isOpen(): boolean {
    return this.socket.isOpen;
  }

  get isReady(): boolean {
    return !this.isBusy && this.isFit(this.socket.idleMs);
  }

  get idleMs(): number {
    return this.isBusy ? 0 : this.socket.idleMs;
  }

  get idleLimitMs(): number {
    return this.source.keepAlive.limitMs;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.dialing?.abort(closedError());
    await this.socket.close();
  }

  /** The request that is on it is to end: so does its socket, for an answer that was begun cannot be told from the next one. */
  handleEvent(): void {
    if (this.dialing === undefined) this.socket.end(new Error('a request on it was ended'));
    else this.dialing.abort(this.signal?.reason);
  }

  private async request(config: InternalAxiosRequestConfig, watch?: AnswerWatch): Promise<AxiosResponse> {
    const signal = config.signal as AbortSignal | undefined;
    if (this.isBusy) await this.turn(signal);
    this.isBusy = true;
    this.signal = signal;
    signal?.addEventListener('abort', this);
    // It is listened to here, whatever sends the request.
    config.signal = undefined;
    try {
      const response = await this.exchange(config, watch);
      this.whenRead(config, response);
      return response;
    } catch (error) {
      this.whenRead(config, (error as Partial<AxiosError> | undefined)?.response);
      throw error;
    }
  }

  private async exchange(config: InternalAxiosRequestConfig, watch?: AnswerWatch): Promise<AxiosResponse> {
    const idleMs = this.socket.idleMs;
    if (idleMs > LOOK_AGAIN_AFTER_MS) await aTurnOfTheLoop();
    this.throwIfEnded();
    const isFit = this.isFit(idleMs);
    // Nothing has been written yet, so this is not a second time, whatever the request.
    if (!isFit) await this.replace();
    const { socket } = this;
    const isReused = isFit && (socket.answers > 0 || idleMs > LOOK_AGAIN_AFTER_MS);
    try {
      return await this.send(config, watch);
    } catch (error) {
      if (!isReused || !isReset(error) || socket.hasHeard || this.isEnded) throw error;
      this.source.keepAlive.reset(idleMs);
      if (!mayReplay(config, this.source.replay)) throw error;
    }
    await this.replace();
    return this.send(config, watch);
  }

  private async send(config: InternalAxiosRequestConfig, watch?: AnswerWatch): Promise<AxiosResponse> {
    try {
      return this.answered(await this.socket.send(config, watch));
    } catch (error) {
      const { response } = error as Partial<AxiosError>;
      if (response !== undefined) this.answered(response);
      throw error;
    }
  }

  private answered(response: AxiosResponse): AxiosResponse {
    const { keepAlive } = this.source;
    keepAlive.hinted(response.headers['keep-alive']);
    if (this.socket.answers > 0) keepAlive.reused();
    this.socket.answers += 1;
    return response;
  }

  private isFit(idleMs: number): boolean {
    return this.socket.isOpen && idleMs < this.idleLimitMs;
  }

  /** Whether nobody wants an answer any more. */
  private get isEnded(): boolean {
    return this.isClosed || this.signal?.aborted === true;
  }

  private throwIfEnded(): void {
    this.signal?.throwIfAborted();
    if (this.isClosed) throw closedError();
  }

  /** The request is over when its answer is: at once, or when a stream of it has closed. */
  private whenRead(config: InternalAxiosRequestConfig, response: AxiosResponse | undefined): void {
    const body = config.responseType === 'stream' ? (response?.data as NodeJS.ReadableStream | undefined) : undefined;
    if (body === undefined || (body as { closed?: boolean }).closed === true) this.finish();
    else body.once('close', () => this.finish());
  }

  private finish(): void {
    this.signal?.removeEventListener('abort', this);
    this.signal = undefined;
    this.socket.rest();
    const next = this.queue.shift();
    if (next !== undefined) return next.begin();
    this.isBusy = false;
    if (!this.socket.isOpen) this.lost();
  }

  /** Waits until the request that is on it, and those that came before this one, are over. */
  private turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.queue.splice(this.queue.indexOf(turn), 1);
        reject(signal!.reason as Error);
      };
      const turn = {
        begin: (): void => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      if (signal?.aborted) return reject(signal.reason as Error);
      signal?.addEventListener('abort', giveUp);
      this.queue.push(turn);
    });
  }

  private adopt(socket: PooledSocket): void {
    this.socket = socket;
    // With a request on it, that request decides: it may go on over a fresh one.
    socket.onClose = () => {
      if (!this.isBusy) this.lost();
    };
  }

  private lost(): void {
    if (!this.isClosed) this.broken(this.socket.error ?? closedByServer());
  }

  private async replace(): Promise<void> {
    const dialing = (this.dialing = new AbortController());
    const { connectTimeoutMs, dial } = this.source;
    this.socket.onClose = undefined;
    const giveUp = (): void => dialing.abort(coded(`no connection within ${connectTimeoutMs} ms`, 'ETIMEDOUT'));
    const timer = connectTimeoutMs <= LONGEST_TIMER_MS ? setTimeout(giveUp, connectTimeoutMs) : undefined;
    try {
      await this.socket.close();
      dialing.signal.throwIfAborted();
      const fresh = await dial(dialing.signal);
      this.adopt(fresh);
      if (this.isEnded) {
        await fresh.close();
        this.throwIfEnded();
      }
    } catch (error) {
      if (!this.isClosed) this.broken(error);
      throw error;
    } finally {
      clearTimeout(timer);
      this.dialing = undefined;
    }
  }
}

interface Turn {
  begin(): void;
}

/**
 * A whole turn: one immediate alone may come before the loop has asked the system what happened since.
 */
function aTurnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

function coded(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

function closedError(): Error {
  return coded('the pooled connection is closed', 'ECONNRESET');
}

function closedByServer(): Error {
  return coded('the server closed the connection', 'ECONNRESET');
}
