import type { InternalAxiosRequestConfig } from 'axios';
import { listenToAbort } from '../core/abort-listening.js';
import { MAX_DELAY_MS, systemClock } from '../core/clock.js';

/**
 * One deadline and the caller's signal, made one signal for the request. axios' own `timeout` is about silence: an answer
 * that trickles never ends it.
 *
 * @internal
 */
export class RequestGuard {
  /** Which of the two ended the request, if one did. */
  verdict: 'timeout' | 'aborted' | undefined;
  private readonly startedAt = systemClock.now();
  private readonly controller = new AbortController();
  private readonly caller: AbortSignal | undefined;
  private readonly timer: NodeJS.Timeout | undefined;

  constructor({ timeout: timeoutMs = 0, signal }: InternalAxiosRequestConfig) {
    this.caller = signal as AbortSignal | undefined;
    if (timeoutMs > 0 && timeoutMs <= MAX_DELAY_MS) this.timer = setTimeout(() => this.end('timeout'), timeoutMs);
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
    this.caller?.removeEventListener('abort', this);
  }

  private end(verdict: 'timeout' | 'aborted'): void {
    this.verdict ??= verdict;
    this.controller.abort();
  }
}
