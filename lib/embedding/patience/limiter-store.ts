/** What a request costs. @publicApi */
export interface LimiterCost {
  readonly requests: number;
  /** As estimated; {@link LimiterStore.settle} corrects it. */
  readonly tokens: number;
}

/** What may be spent each minute, the share that is aimed at applied. `undefined`: no limit is known. @publicApi */
export interface LimiterLimits {
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
}

/**
 * A server's limits, kept for all processes that spend from them: in Redis, or in a database.
 *
 * Each method is one atomic step, both dimensions at once: a request either takes its place in both or in none, and two
 * processes never take the same one. Clocks differ between machines, so the store goes by its own. All that fails, or takes
 * longer than a second, is made up for by the process's own share of the limits; no caller ever sees it.
 *
 * @publicApi
 */
export interface LimiterStore {
  /**
   * Takes the cost, or says how long until it might be taken. A cost above what one second allows must pass when nothing
   * else was taken, and be paid off by those that follow.
   *
   * @param key whose limits: those of one account at one server, for one model
   * @param signal the caller has gone; what was not taken yet need not be
   */
  reserve(
    key: string,
    cost: LimiterCost,
    limits: LimiterLimits,
    signal?: AbortSignal,
  ): Promise<{ readonly ok: true } | { readonly ok: false; readonly waitMs: number }>;
  /** Corrects what was taken: tokens used less tokens reserved, so what is negative is given back. */
  settle(key: string, deltaTokens: number): Promise<void>;
  /** The server said "too many": nobody takes anything before this time. An earlier one changes nothing. */
  penalise(key: string, untilEpochMs: number, reason: string): Promise<void>;
}
