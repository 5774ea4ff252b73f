import type { LimiterCost, LimiterLimits, LimiterStore } from './limiter-store.js';
import type { Timeline } from './timeline.js';

/** A store that is silent for so long counts as failed: a client that has lost its server queues commands for ever. */
const PATIENCE_MS = 1_000;
/** How long one that failed is not asked. */
const REST_MS = 5_000;

/**
 * Speaks to the store of several processes' limits, and never fails: while the store does, there is no answer.
 *
 * @internal
 */
export class StoreDesk {
  private restsUntil = -Infinity;

  constructor(
    private readonly store: LimiterStore,
    private readonly key: string,
    private readonly timeline: Timeline,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Whether it is worth asking. */
  isUp(now: number): boolean {
    return now >= this.restsUntil;
  }

  /**
   * Calls back once, and never in the same turn: 0 where the cost was taken, else how long to wait, or `undefined` where the
   * store did not answer. What it takes after that is given back.
   */
  ask(
    cost: LimiterCost,
    limits: LimiterLimits,
    signal: AbortSignal | undefined,
    answer: (waitMs: number | undefined) => void,
  ): void {
    let isOver = false;
    const end = (waitMs: number | undefined): void => {
      isOver = true;
      this.timeline.cancel(alarm);
      answer(waitMs);
    };
    const alarm = this.timeline.after(PATIENCE_MS, () => {
      this.failed(new Error(`the limiter's store did not answer within ${PATIENCE_MS} ms`));
      end(undefined);
    });
    void this.reserve(cost, limits, signal).then(
      (waitMs) => {
        if (!isOver) end(waitMs);
        else if (waitMs === 0) this.settle(-cost.tokens);
      },
      (error: unknown) => {
        if (isOver) return;
        // A store that gives up because the caller has gone is well.
        if (!signal?.aborted) this.failed(error);
        end(undefined);
      },
    );
  }

  settle(deltaTokens: number): void {
    if (deltaTokens !== 0) this.tell(() => this.store.settle(this.key, deltaTokens));
  }

  penalise(untilEpochMs: number, reason: string): void {
    this.tell(() => this.store.penalise(this.key, untilEpochMs, reason));
  }

  /** Async, so that what it throws at once is a rejection too. */
  private async reserve(cost: LimiterCost, limits: LimiterLimits, signal: AbortSignal | undefined): Promise<number> {
    const answer = await this.store.reserve(this.key, cost, limits, signal);
    if (answer.ok) return 0;
    if (!(answer.waitMs >= 0)) throw new Error("the limiter's store answered without a time to wait");
    // At least a moment: to ask again at once would keep both busy.
    return Math.max(1, answer.waitMs);
  }

  private tell(what: () => Promise<void>): void {
    if (!this.isUp(this.timeline.now())) return;
    void (async () => what())().catch((error: unknown) => this.failed(error));
  }

  private failed(error: unknown): void {
    this.restsUntil = this.timeline.now() + REST_MS;
    this.onError(error);
  }
}
