/** Where items of a source go. @internal */
export interface Intake<T> {
  /** Whether another item may be pulled. */
  readonly hasRoom: boolean;
  take(item: T): void;
  /** The source has no more. */
  end(): void;
  fail(error: unknown): void;
}

/** A source as it is pulled, whatever its kind. @internal */
export interface ItemFeed {
  /** Whether it may keep one waiting; a synchronous source has the next item at once, or none any more. */
  readonly mayStall: boolean;
  /** There is room: goes on until there is none. Nothing happens where it flows already. */
  flow(): void;
  /** Ends the source. The promise is of what can be waited for: a source that is being asked for an item may never answer. */
  stop(): unknown;
}

/**
 * As much of an Observable as is needed of one; those of RxJS are.
 *
 * @publicApi
 */
export interface ObservableLike<T> {
  subscribe(observer: { next(value: T): void; error(error: unknown): void; complete(): void }): { unsubscribe(): void };
}

/**
 * What can be embedded item by item. An Observable cannot be slowed down: what it emits beyond what is asked for is kept in
 * memory, see {@link EmbedStreamSettings.maxBuffered}.
 *
 * @publicApi
 */
export type EmbedSource<T> = Iterable<T> | AsyncIterable<T> | ObservableLike<T>;

/** An Observable was so far ahead that what it emits was no longer to be kept. @publicApi */
export class EmbedBufferError extends Error {
  readonly code = 'EMBEDDING_BUFFER';
  constructor(readonly maxBuffered: number) {
    super(
      `the Observable is ${maxBuffered} items ahead of their vectors, and cannot be slowed down; ` +
        'give an async iterable in its place, or raise maxBuffered',
    );
    this.name = 'EmbedBufferError';
  }
}

/** Whether it is one; a text is not, though it can be iterated: its letters are not meant. @internal */
export function isEmbedSource(source: unknown): boolean {
  if (typeof source !== 'object' && typeof source !== 'function') return false;
  const traits = (source ?? {}) as Partial<Record<PropertyKey, unknown>>;
  return [Symbol.asyncIterator, Symbol.iterator, 'subscribe'].some((trait) => typeof traits[trait] === 'function');
}

/** @internal */
export function feedOf<T>(source: EmbedSource<T>, intake: Intake<T>, maxBuffered: number): ItemFeed {
  if (Symbol.asyncIterator in source) return new AsyncFeed(source[Symbol.asyncIterator](), intake);
  if (Symbol.iterator in source) return new SyncFeed(source[Symbol.iterator](), intake);
  return new ObservableFeed(source, intake, maxBuffered);
}

class SyncFeed<T> implements ItemFeed {
  readonly mayStall = false;
  private isFlowing = false;
  private isPulling = false;
  private isOver = false;

  constructor(
    private readonly iterator: Iterator<T>,
    private readonly intake: Intake<T>,
  ) {}

  flow(): void {
    if (this.isFlowing || this.isOver) return;
    this.isFlowing = true;
    try {
      this.pullAll();
    } catch (error) {
      // An iterator that has thrown is over, and is not asked to return.
      this.isOver ||= this.isPulling;
      this.intake.fail(error);
    } finally {
      this.isFlowing = false;
    }
  }

  stop(): unknown {
    if (this.isOver) return undefined;
    this.isOver = true;
    // The source itself may have brought this about; then it is asked to return once it has yielded.
    return this.isPulling ? undefined : this.iterator.return?.();
  }

  private pullAll(): void {
    const { iterator, intake } = this;
    while (intake.hasRoom) {
      this.isPulling = true;
      const result = iterator.next();
      this.isPulling = false;
      if (this.isOver) {
        if (result.done !== true) iterator.return?.();
      } else if (result.done === true) {
        this.isOver = true;
        intake.end();
      } else intake.take(result.value);
    }
  }
}

class AsyncFeed<T> implements ItemFeed {
  readonly mayStall = true;
  private isFlowing = false;
  private isPulling = false;
  private isOver = false;

  constructor(
    private readonly iterator: AsyncIterator<T>,
    private readonly intake: Intake<T>,
  ) {}

  flow(): void {
    if (!this.isFlowing && !this.isOver) void this.pullAll();
  }

  stop(): unknown {
    if (this.isOver) return undefined;
    this.isOver = true;
    const returned = this.iterator.return?.();
    if (!this.isPulling || returned === undefined) return returned;
    // A generator returns only once it has yielded, and this one may never do so.
    Promise.resolve(returned).catch(() => {});
    return undefined;
  }

  private async pullAll(): Promise<void> {
    const { iterator, intake } = this;
    this.isFlowing = true;
    try {
      while (intake.hasRoom && !this.isOver) {
        this.isPulling = true;
        const result = await iterator.next();
        this.isPulling = false;
        if (this.isOver) break;
        if (result.done === true) {
          this.isOver = true;
          intake.end();
        } else intake.take(result.value);
      }
    } catch (error) {
      this.isOver ||= this.isPulling;
      intake.fail(error);
    } finally {
      this.isFlowing = false;
    }
  }
}

/** The buffer moves up when so many places before its head are empty, and more than half of all: an item is copied once or so. */
const SLACK = 1_024;

class ObservableFeed<T> implements ItemFeed {
  readonly mayStall = true;
  private buffer: T[] = [];
  private head = 0;
  private state: 'new' | 'emitting' | 'complete' | 'stopped' = 'new';
  private subscription: { unsubscribe(): void } | undefined;

  constructor(
    private readonly source: ObservableLike<T>,
    private readonly intake: Intake<T>,
    private readonly maxBuffered: number,
  ) {}

  flow(): void {
    if (this.state === 'new') this.subscribe();
    else this.drain();
  }

  stop(): void {
    this.state = 'stopped';
    this.buffer = [];
    this.subscription?.unsubscribe();
  }

  private subscribe(): void {
    this.state = 'emitting';
    try {
      this.subscription = this.source.subscribe({
        next: (item) => this.add(item),
        error: (error) => this.intake.fail(error),
        complete: () => {
          if (this.state === 'emitting') this.state = 'complete';
          this.drain();
        },
      });
    } catch (error) {
      this.intake.fail(error);
    }
    // Some emit all they have before they let anybody unsubscribe.
    if (this.isStopped) this.subscription?.unsubscribe();
  }

  private add(item: T): void {
    if (this.isStopped) return;
    this.buffer.push(item);
    this.drain();
    if (this.buffer.length - this.head > this.maxBuffered) this.intake.fail(new EmbedBufferError(this.maxBuffered));
  }

  private drain(): void {
    const { intake } = this;
    try {
      while (this.head < this.buffer.length && intake.hasRoom) {
        const item = this.buffer[this.head] as T;
        this.head += 1;
        intake.take(item);
      }
    } catch (error) {
      intake.fail(error);
    }
    if (this.head === this.buffer.length) {
      this.buffer.length = 0;
      this.head = 0;
    } else if (this.head > SLACK && this.head * 2 > this.buffer.length) {
      this.buffer = this.buffer.slice(this.head);
      this.head = 0;
    }
    if (this.state === 'complete' && this.buffer.length === 0) intake.end();
  }

  private get isStopped(): boolean {
    return this.state === 'stopped';
  }
}
