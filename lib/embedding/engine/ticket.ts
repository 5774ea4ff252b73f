import type { EmbeddingError } from '../embedding-errors.js';
import type { Batch } from './batch.js';
import type { EmbedCall } from './embed-call.js';
import type { Lane } from './lane.js';

let lastNumber = 0;

interface Place {
  readonly call: EmbedCall;
  readonly index: number;
}

/**
 * One text that is to be embedded once, for whoever asks for it: calls that come with the same text while it is queued or
 * under way take a place at it.
 *
 * @internal
 */
export class Ticket {
  /** Where it is under way. `undefined`: queued. */
  batch: Batch | undefined = undefined;
  /** What is sent in place of the text, where that was too long. */
  cut: string | undefined = undefined;
  /** How often it has been cut. */
  cuts = 0;
  isSettled = false;
  /** In the order of their coming, in all lanes. */
  readonly number = (lastNumber += 1);
  /** Most tickets have one place, and need no list for it. */
  private first: Place | undefined;
  private others: Place[] | undefined = undefined;

  constructor(
    readonly lane: Lane,
    readonly text: string,
    /** In a request's body. */
    readonly bytes: number,
    /** As estimated or counted. */
    readonly tokens: number,
    /** Where its vector is cached. `undefined`: nowhere. */
    readonly cacheKey: string | undefined,
    /** Who asked for it first. */
    readonly owner: EmbedCall,
    index: number,
  ) {
    this.first = { call: owner, index };
  }

  /** What is sent. */
  get sent(): string {
    return this.cut ?? this.text;
  }

  get isWanted(): boolean {
    return this.first !== undefined;
  }

  join(call: EmbedCall, index: number): void {
    const place = { call, index };
    if (this.first === undefined) this.first = place;
    else (this.others ??= []).push(place);
  }

  /** A call no longer waits for it. The last one that leaves ends it. */
  leave(call: EmbedCall): void {
    if (this.isSettled || this.first === undefined) return;
    const left = this.places().filter((place) => place.call !== call);
    this.first = left.shift();
    this.others = left.length > 0 ? left : undefined;
    if (this.first !== undefined) return;
    this.isSettled = true;
    this.lane.forget(this);
    this.batch?.lost();
  }

  resolve(vector: Float32Array, tokens: number | undefined): void {
    if (!this.settled()) return;
    const { first, others } = this;
    first!.call.embedded(first!.index, vector, tokens);
    // Each caller may write into its own.
    others?.forEach(({ call, index }) => call.embedded(index, vector.slice(), 0));
  }

  reject(error: EmbeddingError | Error): void {
    if (!this.settled()) return;
    for (const { call, index } of this.places()) call.failed(index, error);
  }

  /** The latest time until which somebody waits. */
  get wantedUntil(): number {
    return this.places().reduce((latest, { call }) => Math.max(latest, call.dueAt), 0);
  }

  /** Calls that would like to hear of progress. */
  tellProgress(told: Set<EmbedCall>): void {
    if (this.first?.call.onProgress !== undefined) told.add(this.first.call);
    this.others?.forEach(({ call }) => call.onProgress !== undefined && told.add(call));
  }

  private settled(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.lane.forget(this);
    return true;
  }

  private places(): Place[] {
    return this.first === undefined ? [] : [this.first, ...(this.others ?? [])];
  }
}
