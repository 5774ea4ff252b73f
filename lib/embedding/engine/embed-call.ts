import type { EventListenerObject } from '../../core/abort-listening.js';
import { listenToAbort } from '../../core/abort-listening.js';
import { EmbeddingAbortedError, EmbeddingInputError, EmbeddingTimeoutError } from '../embedding-errors.js';
import type { Alarm, Timeline } from '../patience/timeline.js';
import type { Ticket } from './ticket.js';

/** What a call came to, text by text, before it is given the shape that its caller asked for. @internal */
export interface CallResult {
  readonly vectors: readonly (Float32Array | Error)[];
  /** Of each text, as far as the server told. */
  readonly tokens: readonly number[];
  /** `undefined` where the server did not tell it of all. */
  readonly totalTokens: number | undefined;
}

/** @internal */
export interface CallSettings {
  readonly signal: AbortSignal | undefined;
  readonly deadlineMs: number;
  /** Failures of single texts do not end the call. */
  readonly settle: boolean;
  /** It would rather wait than be told at once that the server is down. */
  readonly patient: boolean;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** How long vectors are, where that is known. */
  dimensions(): number | undefined;
}

/** Holds the place of a vector that is made when the others are there. */
const NO_VECTOR = new Float32Array(0);

/**
 * One `embed()` or `embedMany()` under way: its places are filled from the cache and by tickets, in any order.
 *
 * @internal
 */
export class EmbedCall implements EventListenerObject {
  readonly result: Promise<CallResult>;
  readonly dueAt: number;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
  private readonly vectors: (Float32Array | Error)[];
  private readonly tokens: number[];
  private readonly tickets: Ticket[] = [];
  /** Places whose vector is to be zeros, as long as the others. */
  private blanks: number[] | undefined = undefined;
  private left: number;
  private isTokensKnown = true;
  private isOver = false;
  private alarm: Alarm | undefined = undefined;
  private resolve!: (result: CallResult) => void;
  private reject!: (error: unknown) => void;

  constructor(
    count: number,
    private readonly settings: CallSettings,
    private readonly timeline: Timeline,
  ) {
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.vectors = Array.from({ length: count });
    this.tokens = Array.from({ length: count }, () => 0);
    this.left = count;
    this.onProgress = settings.onProgress;
    const { signal, deadlineMs } = settings;
    this.dueAt = timeline.now() + deadlineMs;
    if (signal?.aborted === true) this.handleEvent();
  }

  /** From here on it waits: not for what the cache has, which needs no time. */
  await(): void {
    const { signal, deadlineMs } = this.settings;
    this.alarm = this.timeline.after(deadlineMs, () => this.late());
    if (signal !== undefined) listenToAbort(signal, this);
  }

  get isPatient(): boolean {
    return this.settings.patient;
  }

  /** Nothing more is to be done for it. */
  get isSettled(): boolean {
    return this.isOver;
  }

  waitsFor(ticket: Ticket): void {
    this.tickets.push(ticket);
  }

  embedded(index: number, vector: Float32Array, tokens: number | undefined): void {
    this.vectors[index] = vector;
    if (tokens === undefined) this.isTokensKnown = false;
    else this.tokens[index] = tokens;
    this.filled();
  }

  failed(index: number, error: Error): void {
    // A text that several calls wait for is at another place in each.
    const own = error instanceof EmbeddingInputError ? error.at(index) : error;
    if (!this.settings.settle) return this.end(own);
    this.vectors[index] = own;
    this.filled();
  }

  /** A text without a word: a vector of zeros, as long as the others, or one of no length. */
  blank(index: number, as: 'zero' | 'skip'): void {
    this.vectors[index] = NO_VECTOR;
    if (as === 'zero') (this.blanks ??= []).push(index);
    else this.vectors[index] = new Float32Array(0);
    this.filled();
  }

  /** Ends it as a whole. */
  end(error: unknown): void {
    if (this.isOver) return;
    this.over();
    for (const ticket of this.tickets) ticket.leave(this);
    this.reject(error);
  }

  tellProgress(): void {
    if (this.isOver) return;
    try {
      this.onProgress?.(this.vectors.length - this.left, this.vectors.length);
    } catch (error) {
      this.end(error);
    }
  }

  /** The caller's signal. */
  handleEvent(): void {
    this.end(new EmbeddingAbortedError(this.settings.signal!.reason));
  }

  private filled(): void {
    this.left -= 1;
    if (this.left > 0 || this.isOver) return;
    // Before it is over, for what the caller throws there ends it too.
    this.tellProgress();
    if (this.isOver) return;
    this.over();
    const { vectors, tokens } = this;
    const error = this.blanks === undefined ? undefined : this.fillBlanks(this.blanks);
    if (error !== undefined) return this.reject(error);
    const totalTokens = this.isTokensKnown ? tokens.reduce((sum, some) => sum + some, 0) : undefined;
    this.resolve({ vectors, tokens, totalTokens });
  }

  private fillBlanks(blanks: readonly number[]): Error | undefined {
    const dimensions = this.settings.dimensions();
    for (const index of blanks) {
      if (dimensions === undefined) {
        const error = new EmbeddingInputError(
          index,
          'blank',
          'how many zeros its vector has is not known; set dimensions',
        );
        if (!this.settings.settle) return error;
        this.vectors[index] = error;
      } else this.vectors[index] = new Float32Array(dimensions);
    }
    return undefined;
  }

  private late(): void {
    const waiting = this.tickets.find(({ isSettled }) => !isSettled);
    const batch = waiting?.batch;
    const queued = waiting === undefined ? 'asking the cache' : 'waiting for a request under way to end';
    const doing = batch?.doing ?? queued;
    this.end(new EmbeddingTimeoutError('deadline', this.settings.deadlineMs, doing, batch?.lastError));
  }

  private over(): void {
    this.isOver = true;
    this.timeline.cancel(this.alarm);
    this.settings.signal?.removeEventListener('abort', this);
  }
}
