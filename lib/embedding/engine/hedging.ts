import type { ResolvedEmbeddingOptions } from '../embedding-options.js';
import { HedgeBudget, RecentLatency } from '../patience/latency.js';
import type { Alarm, Timeline } from '../patience/timeline.js';
import type { EmbeddingAnswer } from '../protocol/answer-reader.js';
import type { EmbeddingEndpoint } from './endpoint.js';
import type { Order } from './exchange.js';
import type { EndpointChoice } from './endpoint-choice.js';

/**
 * Asks a second time for a single text that takes longer than nearly all do, elsewhere if there is an elsewhere, and takes
 * what comes first. Bounded to a share of the calls: in an overload, second requests would be what breaks the server.
 *
 * @internal
 */
export class Hedging {
  /** Second requests made so far. */
  hedged = 0;
  private readonly latency: RecentLatency;
  private readonly budget: HedgeBudget;

  constructor(
    { minDelayMs, maxShare }: NonNullable<ResolvedEmbeddingOptions['hedging']>,
    private readonly timeline: Timeline,
  ) {
    this.latency = new RecentLatency(minDelayMs);
    this.budget = new HedgeBudget(maxShare);
  }

  async ask(endpoint: EmbeddingEndpoint, order: Order, endpoints: EndpointChoice): Promise<EmbeddingAnswer> {
    if (order.texts.length > 1) return endpoint.ask(order);
    this.budget.onCall();
    const startedAt = this.timeline.now();
    const afterMs = this.latency.hedgeAfterMs();
    const answer = await (afterMs === undefined ? endpoint.ask(order) : this.race(endpoint, order, endpoints, afterMs));
    this.latency.add(this.timeline.now() - startedAt);
    return answer;
  }

  /** The first answer; the first's error, where the second has none either. */
  private race(
    endpoint: EmbeddingEndpoint,
    order: Order,
    endpoints: EndpointChoice,
    afterMs: number,
  ): Promise<EmbeddingAnswer> {
    return new Promise((resolve, reject) => {
      const runs: AbortController[] = [];
      let failed: { readonly error: unknown } | undefined;
      let open = 0;
      const over = (): void => {
        this.timeline.cancel(alarm);
        order.signal.removeEventListener('abort', onAbort);
        for (const run of runs) run.abort(new Error('the other request was answered first'));
      };
      const onAbort = (): void => runs.forEach((run) => run.abort(order.signal.reason));
      const start = (of: EmbeddingEndpoint): void => {
        const run = new AbortController();
        runs.push(run);
        open += 1;
        of.ask({ ...order, signal: run.signal }).then(
          (answer) => {
            over();
            resolve(answer);
          },
          (error: unknown) => {
            open -= 1;
            failed ??= { error };
            if (open > 0) return;
            over();
            reject(failed.error as Error);
          },
        );
      };
      order.signal.addEventListener('abort', onAbort);
      const alarm: Alarm = this.timeline.after(afterMs, () => {
        if (!this.budget.take()) return;
        this.hedged += 1;
        start(endpoints.beside(endpoint));
      });
      start(endpoint);
    });
  }
}
