import { errorMonitor } from 'node:events';
import type { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import { isObservable, Observable, type Observer, type Subscription } from 'rxjs';

/** A result that goes on after the call which gave it. @internal */
export interface LiveResult {
  /** What to hand to the caller in its place: the very same for a Node stream, else one that tells when it ends. */
  readonly value: unknown;
  /** Resolves when it has ended or failed, or its consumer has left it. */
  readonly ended: Promise<void>;
}

type Watch = (result: never, end: () => void) => unknown;

/**
 * Watches a Node or web stream, a web `Response`, an async iterable, an Observable, or Nest's `StreamableFile`.
 *
 * @returns `undefined` for any other result: that one is whole
 * @internal
 */
export function whileLive(result: unknown): LiveResult | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const watch = watchOf(result);
  if (watch === undefined) return undefined;
  let end!: () => void;
  const ended = new Promise<void>((resolve) => (end = resolve));
  return { value: watch(result as never, end), ended };
}

function watchOf(result: object): Watch | undefined {
  if (isNodeStream(result)) return (stream: NodeJS.ReadableStream, end) => watchStream(stream, stream, end);
  if (isObservable(result)) return (source: Observable<unknown>, end) => new WatchedObservable(source, end);
  if (result instanceof StreamableFile) return (file: StreamableFile, end) => watchStream(file, file.getStream(), end);
  // By their tags: to name the classes would load Node's implementation of them into every process.
  const tag = (result as Record<symbol, unknown>)[Symbol.toStringTag];
  if (tag === 'Response') return watchResponse;
  if (tag === 'ReadableStream') return watchWebStream;
  return isAsyncIterable(result) ? watchIterable : undefined;
}

/** @internal */
export function isNodeStream(value: unknown): value is NodeJS.ReadableStream {
  const { pipe, on } = (value ?? {}) as Partial<NodeJS.ReadableStream>;
  return typeof pipe === 'function' && typeof on === 'function';
}

/** @internal */
export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof (value as Partial<AsyncIterable<unknown>> | null | undefined)?.[Symbol.asyncIterator] === 'function';
}

function watchStream(result: object, stream: NodeJS.ReadableStream, end: () => void): object {
  // Not by `finished`, which listens to `error` itself: a failure that the consumer does not listen to must not pass in silence.
  if ((stream as Readable).closed) end();
  else stream.once('close', end);
  // Streams of the old kind tell their end, or their failure, and no more. With a duplex one its writing side may go on.
  if (!('writable' in stream)) stream.once('end', end);
  stream.once(errorMonitor, end);
  return result;
}

function watchResponse(response: Response, end: () => void): Response {
  const { body, status, statusText, headers } = response;
  if (body !== null) return new Response(watchWebStream(body, end), { status, statusText, headers });
  end();
  return response;
}

function watchWebStream(stream: ReadableStream, end: () => void): ReadableStream {
  const reader = stream.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        end();
      },
      async cancel(reason) {
        try {
          await reader.cancel(reason);
        } finally {
          end();
        }
      },
    },
    // Nothing is read before the consumer asks.
    { highWaterMark: 0 },
  );
}

/**
 * The same iterable, but for how it is iterated: SDKs return iterables with methods of their own, which are kept. Those of
 * a generator (`next`, `return`, `throw`) go through the watch as well.
 */
function watchIterable(iterable: AsyncIterable<unknown>, end: () => void): object {
  let watched: WatchedIterator | undefined;
  const iterate = (): WatchedIterator => (watched ??= new WatchedIterator(iterable[Symbol.asyncIterator](), end));
  return new Proxy(iterable, {
    get(target, key) {
      if (key === Symbol.asyncIterator) return iterate;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (ITERATOR_METHODS.has(key)) return (argument: unknown) => iterate()[key as 'next'](argument);
      // Bound, for a proxy has none of the target's private fields.
      return value.bind(target) as unknown;
    },
  });
}

const ITERATOR_METHODS = new Set<string | symbol>(['next', 'return', 'throw', Symbol.asyncDispose]);

class WatchedIterator implements AsyncIterableIterator<unknown> {
  constructor(
    private readonly iterator: AsyncIterator<unknown>,
    private readonly end: () => void,
  ) {}

  next(value?: unknown): Promise<IteratorResult<unknown>> {
    return this.step(() => this.iterator.next(value as undefined));
  }

  return(value?: unknown): Promise<IteratorResult<unknown>> {
    return this.step(async () => (await this.iterator.return?.(value)) ?? { done: true, value });
  }

  throw(error?: unknown): Promise<IteratorResult<unknown>> {
    return this.step(() => {
      if (this.iterator.throw === undefined) throw error;
      return this.iterator.throw(error);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private async step(take: () => PromiseLike<IteratorResult<unknown>>): Promise<IteratorResult<unknown>> {
    try {
      const result = await take();
      if (result.done === true) this.end();
      return result;
    } catch (error) {
      this.end();
      throw error;
    }
  }
}

/** Ends when the last of those who subscribed has left, or has had it all. */
class WatchedObservable extends Observable<unknown> {
  private subscribers = 0;
  private hasEnded = false;

  constructor(
    private readonly watched: Observable<unknown>,
    private readonly end: () => void,
  ) {
    super((subscriber) => this.enter(subscriber));
  }

  private enter(subscriber: Observer<unknown>): () => void {
    if (this.hasEnded) throw new Error('this Observable was made under a lease that has ended; call the method again');
    this.subscribers += 1;
    const subscription: Subscription = this.watched.subscribe(subscriber);
    return () => {
      subscription.unsubscribe();
      this.subscribers -= 1;
      if (this.subscribers > 0) return;
      this.hasEnded = true;
      this.end();
    };
  }
}
