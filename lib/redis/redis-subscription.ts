import type { Cluster, Redis } from 'ioredis';
import { listenToAbort } from '../core/abort-listening.js';
import type { AcquireOptions } from '../core/index.js';

/** Messages that wait to be read before the socket is left unread: then the server holds them back, or gives up on us. */
const MOST_UNREAD = 1_000;

/**
 * What {@link RedisPool.subscribe} may be told.
 *
 * @publicApi
 */
export interface SubscribeOptions extends AcquireOptions {
  /** Ends the subscription as well as the wait for a connection. */
  readonly signal?: AbortSignal;
  /** Subscribed to besides the channels: `news.*`. */
  readonly patterns?: string | readonly string[];
}

/**
 * What was published.
 *
 * @publicApi
 */
export interface RedisMessage {
  readonly channel: string;
  readonly message: string;
  /** The pattern that it came by; a message that two patterns match comes twice. */
  readonly pattern: string | undefined;
}

/** A lease, of either kind of connection. */
interface Held {
  readonly connection: Redis | Cluster;
  readonly signal: AbortSignal;
  release(): void;
}

interface Reader {
  readonly resolve: (result: IteratorResult<RedisMessage, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Messages as they come, to be read by `for await`. It holds a connection until it is closed.
 *
 * @publicApi
 */
export class RedisSubscription implements AsyncIterableIterator<RedisMessage, undefined>, AsyncDisposable {
  private readonly unread: RedisMessage[] = [];
  private readonly readers: Reader[] = [];
  /** How it ended: with an error that the next reader is told, or without. */
  private end: { readonly error?: unknown } | undefined = undefined;
  private isPaused = false;
  private readonly connection: Redis | Cluster;
  private readonly lost: AbortSignal;
  private afterwards: (() => void) | undefined = undefined;

  /** @internal */
  constructor(
    private readonly lease: Held,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.connection = lease.connection;
    this.lost = lease.signal;
    this.lost.addEventListener('abort', this);
    if (signal !== undefined) listenToAbort(signal, this);
  }

  /** @internal */
  whenOver(afterwards: () => void): void {
    this.afterwards = afterwards;
  }

  /** @internal */
  async begin(channels: readonly string[], patterns: readonly string[]): Promise<void> {
    if (this.lost.aborted || this.signal?.aborted) this.handleEvent();
    else await this.send(channels, patterns);
    if (this.end !== undefined) throw this.end.error ?? new Error('the subscription was closed before it began');
  }

  private async send(channels: readonly string[], patterns: readonly string[]): Promise<void> {
    try {
      this.connection.on('message', this.onMessage).on('pmessage', this.onPatternMessage);
      await Promise.all([
        channels.length > 0 && this.connection.subscribe(...channels),
        patterns.length > 0 && this.connection.psubscribe(...patterns),
      ]);
    } catch (error) {
      this.finish({ error });
    }
  }

  next(): Promise<IteratorResult<RedisMessage, undefined>> {
    const value = this.unread.shift();
    if (value !== undefined) {
      if (this.isPaused && this.unread.length === 0) this.resume();
      return Promise.resolve({ value, done: false });
    }
    if (this.end === undefined) return new Promise((resolve, reject) => this.readers.push({ resolve, reject }));
    const { error } = this.end;
    // Told once, as a generator would.
    this.end = {};
    return error === undefined ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(error as Error);
  }

  /** What leaving the loop calls. */
  return(): Promise<IteratorResult<RedisMessage, undefined>> {
    this.unread.length = 0;
    this.finish({});
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Gives the connection back. Whoever waits for a message is told that there are no more. */
  close(): Promise<void> {
    return this.return().then(() => undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The caller's signal, or the connection's. @internal */
  handleEvent(): void {
    const ended = this.lost.aborted ? this.lost : this.signal;
    this.finish({ error: ended?.reason });
  }

  private readonly onMessage = (channel: string, message: string): void => {
    this.take({ channel, message, pattern: undefined });
  };

  private readonly onPatternMessage = (pattern: string, channel: string, message: string): void => {
    this.take({ channel, message, pattern });
  };

  private take(value: RedisMessage): void {
    const reader = this.readers.shift();
    if (reader !== undefined) return reader.resolve({ value, done: false });
    this.unread.push(value);
    if (this.unread.length >= MOST_UNREAD && !this.connection.isCluster) this.pause();
  }

  private pause(): void {
    this.isPaused = true;
    (this.connection as Redis).stream.pause();
  }

  private resume(): void {
    this.isPaused = false;
    (this.connection as Redis).stream.resume();
  }

  private finish(end: { readonly error?: unknown }): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.lost.removeEventListener('abort', this);
    this.signal?.removeEventListener('abort', this);
    this.connection.off('message', this.onMessage).off('pmessage', this.onPatternMessage);
    if (this.isPaused) this.resume();
    const readers = this.readers.splice(0);
    for (const reader of readers) {
      if (end.error === undefined) reader.resolve({ value: undefined, done: true });
      else reader.reject(end.error);
    }
    if (readers.length > 0) this.end = {};
    this.afterwards?.();
    // A subscribed connection is unsubscribed by the pool, like any that comes back so.
    this.lease.release();
  }
}
