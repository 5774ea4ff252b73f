import { PoolDownError } from '../../core/index.js';
import { searchSpoiled, splitInHalf } from '../batching/spoiled-search.js';
import { EmbeddingResponseError, EmbeddingUnavailableError } from '../embedding-errors.js';
import type { RetryBudget } from '../patience/retry-budget.js';
import type { RetryPolicy } from '../patience/retry-policy.js';
import type { Timeline } from '../patience/timeline.js';
import type { EmbeddingAnswer } from '../protocol/answer-reader.js';
import { Batch } from './batch.js';
import { deliver, type KeyedVector } from './delivery.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import type { EndpointChoice } from './endpoint-choice.js';
import type { Order } from './exchange.js';
import { hintOf, isAboutEncoding, isWorthWaiting, problemOf, refusalOf, verdictOn } from './failure.js';
import type { Ticket } from './ticket.js';

/** @internal */
export interface RunnerParts {
  readonly endpoints: EndpointChoice;
  readonly timeline: Timeline;
  /** `undefined`: nothing is sent twice. */
  readonly policy: RetryPolicy | undefined;
  readonly budget: RetryBudget;
  readonly random: () => number;
  /** Makes one request, of whatever endpoint; may make a second one beside it. */
  ask(endpoint: EmbeddingEndpoint, order: Order): Promise<EmbeddingAnswer>;
  /** Cuts a text that is too long; `undefined` where that is not wanted, or is no use any more. */
  shorter(ticket: Ticket, endpoint: EmbeddingEndpoint): string | undefined;
  /** Vectors that may be kept, with their keys. */
  onVectors(entries: readonly KeyedVector[], answer: EmbeddingAnswer, endpoint: EmbeddingEndpoint): void;
  onAnswer(answer: EmbeddingAnswer, tickets: readonly Ticket[], endpoint: EmbeddingEndpoint): void;
  onRetry(): void;
  /** A request has ended: another one may start. */
  onFree(): void;
}

/** One text of a batch is to blame; which one is to be found. */
class Spoiled {
  constructor(
    readonly error: Error,
    readonly endpoint: EmbeddingEndpoint,
  ) {}
}

/** The batch is too large, its texts are not. */
class TooLarge {
  constructor(
    readonly error: Error,
    readonly endpoint: EmbeddingEndpoint,
  ) {}
}

/**
 * Sees a batch through: tries, waits and tries again, asks elsewhere, halves what is too large and finds the text that
 * spoils the rest, until each ticket has its vector or its error.
 *
 * Nothing is leased while it waits.
 *
 * @internal
 */
export class BatchRunner {
  constructor(private readonly parts: RunnerParts) {}

  /** Never rejects. */
  async run(batch: Batch): Promise<void> {
    this.parts.budget.onCall();
    try {
      await this.embed(batch, batch.tickets);
    } catch (error) {
      for (const ticket of batch.tickets) ticket.reject(error as Error);
    }
  }

  private async embed(batch: Batch, given: readonly Ticket[]): Promise<void> {
    const trouble = await this.tryAll(batch, given);
    if (trouble === undefined) return;
    const tickets = given.filter(({ isSettled }) => !isSettled);
    // Who has left meanwhile may have been to blame.
    if (tickets.length < given.length) return this.embed(batch, tickets);
    if (tickets.length === 1) return this.embedCut(batch, tickets[0]!, trouble);
    // Where texts have an influence on each other, a part of them has other vectors than the whole.
    if (!tickets[0]!.lane.isDivisible) throw trouble.error;
    if (trouble instanceof Spoiled) return this.embedUnspoiled(batch, tickets, trouble);
    const places = tickets.map((_ticket, place) => place);
    for (const half of splitInHalf(places)!) await this.embed(batch, tickets.slice(half[0], half[0]! + half.length));
  }

  /** A text that is to blame by itself: the beginning of it, where that may do. */
  private async embedCut(batch: Batch, ticket: Ticket, { error, endpoint }: Spoiled | TooLarge): Promise<void> {
    if (this.cut(ticket, endpoint, error)) return this.embed(batch, [ticket]);
    ticket.reject(refusalOf(error, ticket.cuts > 0));
  }

  private async embedUnspoiled(batch: Batch, tickets: readonly Ticket[], trouble: Spoiled): Promise<void> {
    const shortened: Ticket[] = [];
    const doubtful: Ticket[] = [];
    await searchSpoiled(
      tickets.map((_ticket, place) => place),
      trouble.error,
      async (some: readonly number[]) => {
        const asked = some.map((place: number) => tickets[place]!);
        // Whoever is to blame must not be settled or cut in there: the search would take that for a good answer.
        return (await this.tryAll(batch, asked))?.error;
      },
      (place: number, error: Error) => {
        const ticket = tickets[place]!;
        // Who has left was not asked for: what follows from the answers to the others need not be so.
        if (tickets.some(({ isWanted }) => !isWanted)) doubtful.push(ticket);
        // It need not have been asked for alone to be found.
        else if (this.cut(ticket, trouble.endpoint, error)) shortened.push(ticket);
        else ticket.reject(refusalOf(error, ticket.cuts > 0));
      },
    );
    if (shortened.length > 0) await this.embed(batch, shortened);
    for (const ticket of doubtful) await this.embed(batch, [ticket]);
  }

  /**
   * Embeds them by one request, repeated as often as need be.
   *
   * @returns `undefined` when it is done with them; else what makes another try in this form pointless
   */
  private async tryAll(batch: Batch, given: readonly Ticket[]): Promise<Spoiled | TooLarge | undefined> {
    const { endpoints } = this.parts;
    const asked = new Set<EmbeddingEndpoint>();
    let isPlain = false;
    let failedAt = this.parts.timeline.now();
    for (let attempt = 1; ;) {
      // Those whose callers have left are not asked for again.
      const tickets = given.filter(({ isSettled }) => !isSettled);
      if (tickets.length === 0) return undefined;
      const endpoint = endpoints.next(asked);
      // Who comes while all are down is told so at once; who was under way waits for them.
      if (endpoint instanceof Error && attempt === 1 && !isPatient(tickets)) throw endpoint;
      if (endpoint instanceof Error) {
        await this.standBy(batch, tickets, endpoint);
        continue;
      }
      const error = await this.tryOnce(batch, tickets, endpoint);
      if (error === undefined || batch.signal.aborted) return undefined;
      batch.lastError = error;
      const verdict = verdictOn(error);
      if (verdict === 'differently' && isAboutEncoding(error) && !isPlain) {
        // The endpoint asks for it no more; whoever else is refused meanwhile had asked before.
        isPlain = true;
        continue;
      }
      if (error instanceof EmbeddingResponseError && verdict === 'smaller') {
        batch.muddles += 1;
        if (batch.isMuddled) throw error;
      }
      if (verdict === 'smaller' || verdict === 'spoiled') {
        return verdict === 'smaller' ? new TooLarge(error, endpoint) : new Spoiled(error, endpoint);
      }
      if (verdict === 'give-up' || verdict === 'differently') throw error;
      asked.add(endpoint);
      // Another server has nothing to do with this one's trouble: the budget is not for it.
      if (endpoints.hasOther(asked)) {
        attempt += 1;
        this.parts.onRetry();
        continue;
      }
      asked.clear();
      const isLeftAlone = error instanceof PoolDownError || error instanceof EmbeddingUnavailableError;
      if ((isLeftAlone || verdict === 'elsewhere') && !(isPatient(tickets) || attempt > 1)) throw error;
      if (isLeftAlone) {
        await this.standBy(batch, tickets, error);
        continue;
      }
      const isOutage = endpoint.answeredAt <= failedAt;
      failedAt = this.parts.timeline.now();
      attempt = await this.pause(batch, tickets, attempt, error, isOutage);
    }
  }

  /** The error of one request, if it has one. */
  private async tryOnce(
    batch: Batch,
    tickets: readonly Ticket[],
    endpoint: EmbeddingEndpoint,
  ): Promise<Error | undefined> {
    try {
      const answer = await this.parts.ask(endpoint, this.orderOf(batch, tickets, endpoint));
      this.parts.onAnswer(answer, tickets, endpoint);
      deliver(batch, tickets, answer, (kept) => this.parts.onVectors(kept, answer, endpoint));
      return undefined;
    } catch (error) {
      return error as Error;
    } finally {
      this.parts.onFree();
    }
  }

  /** Waits until a server may be asked again that is left alone. That is no attempt: nothing is sent meanwhile. */
  private async standBy(batch: Batch, tickets: readonly Ticket[], error: Error): Promise<void> {
    const { timeline } = this.parts;
    const delayMs = Math.max(1, hintOf(error) ?? 0);
    if (timeline.now() + delayMs >= Batch.wantedUntil(tickets)) throw error;
    batch.doing = 'waiting until the server may be asked again';
    batch.lastError ??= error;
    await timeline.sleep(delayMs, batch.signal);
  }

  /**
   * Waits before the next attempt, with nothing leased. Who is patient waits out an outage: it is bounded by its deadline, and
   * the server is spared by the breaker.
   *
   * @param isOutage nobody was answered since the attempt before: what was sent is not to blame
   * @returns the attempt's number; throws the error where there is none: nobody would still be there, or it was tried often enough
   */
  private async pause(
    batch: Batch,
    tickets: readonly Ticket[],
    attempt: number,
    error: Error,
    isOutage: boolean,
  ): Promise<number> {
    const { policy, budget, timeline, random } = this.parts;
    const canWait = isPatient(tickets);
    const delayMs = policy?.delayMs(attempt, hintOf(error), random, canWait && isOutage);
    const isFutile = delayMs === undefined || timeline.now() + delayMs >= Batch.wantedUntil(tickets);
    if (isFutile || !isWorthWaiting(error) || !(budget.take() || canWait)) throw error;
    batch.doing = `waiting ${Math.ceil(delayMs)} ms before attempt ${attempt + 1}`;
    await timeline.sleep(delayMs, batch.signal);
    this.parts.onRetry();
    return attempt + 1;
  }

  private orderOf(batch: Batch, tickets: readonly Ticket[], endpoint: EmbeddingEndpoint): Order {
    const { lane } = tickets[0]!;
    let tokens = 0;
    let bytes = 0;
    for (const ticket of tickets) {
      tokens += ticket.tokens;
      bytes += ticket.bytes;
    }
    return {
      texts: tickets.map(({ sent }) => sent),
      tokens,
      bytes,
      settings: lane.settings,
      dimensions: lane.dimensions,
      truncate: endpoint.parts.options.onTooLong === 'truncate',
      startedAt: this.parts.timeline.now(),
      signal: batch.signal,
      onWait: (what) => (batch.doing = what),
    };
  }

  /** Whether a text that is too long has been cut, and is worth another try. */
  private cut(ticket: Ticket, endpoint: EmbeddingEndpoint, error: unknown): boolean {
    if (problemOf(error) !== 'too-long') return false;
    for (;;) {
      const shorter = this.parts.shorter(ticket, endpoint);
      if (shorter === undefined) return false;
      ticket.cuts += 1;
      // A hopeful cut may leave it as long as it was.
      if (shorter.length >= ticket.sent.length) continue;
      ticket.cut = shorter;
      return true;
    }
  }
}

/** Whether all of them are of those who would rather wait than be told at once that the server is down. */
function isPatient(tickets: readonly Ticket[]): boolean {
  return tickets.every(({ owner }) => owner.isPatient);
}
