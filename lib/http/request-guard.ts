import type { InternalAxiosRequestConfig } from 'axios';
import { listenToAbort } from '../core/abort-listening.js';
import { MAX_DELAY_MS, systemClock } from '../core/clock.js';
import { AnswerWatch } from './answer-watch.js';
import type { HttpTimeoutPhase } from './http-error.js';

/**
 * One deadline, the limits on silence and the caller's signal, made one signal for the request. axios' own `timeout` is
 * about silence: an answer that trickles never ends it.
 *
 * @internal
 */
export class RequestGuard {
  /** What ended the request, if something of this did. */
  verdict: 'timeout' | 'aborted' | undefined;
  /** With `timeout`: which limit it was. */
  phase: HttpTimeoutPhase | undefined;
  /** Set where silence has a limit. */
  readonly watch: AnswerWatch | undefined;
  private readonly startedAt = systemClock.now();
  private readonly controller = new AbortController();
  private readonly caller: AbortSignal | undefined;
  private readonly timer: NodeJS.Timeout | undefined;

  /** @throws TypeError naming the limits on silence that are none */
  constructor(config: InternalAxiosRequestConfig) {
    const { timeout: timeoutMs = 0, signal } = config;
    this.watch = AnswerWatch.of(config, (phase) => this.end('timeout', phase));
    this.caller = signal as AbortSignal | undefined;
    if (timeoutMs > 0 && timeoutMs <= MAX_DELAY_MS) {
      this.timer = setTimeout(() => this.end('timeout', 'whole'), timeoutMs);
    }
    if (this.caller?.aborted) this.end('aborted');
    else if (this.caller !== undefined) listenToAbort(this.caller, this);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get durationMs(): number {
    return systemClock.now() - this.startedAt;
  }

  handleEvent(): void {
    this.end('aborted');
  }

  disarm(): void {
    clearTimeout(this.timer);
    this.watch?.end();
    this.caller?.removeEventListener('abort', this);
  }

  private end(verdict: 'timeout' | 'aborted', phase?: HttpTimeoutPhase): void {
    if (this.verdict === undefined) {
      this.verdict = verdict;
      this.phase = phase;
    }
    this.controller.abort();
  }
}
