import { PerformanceObserver } from 'node:perf_hooks';

/** Counts garbage collections and the time that they took, from here on. */
export class GcWatch {
  count = 0;
  ms = 0;
  #observer = new PerformanceObserver((list) => this.#add(list.getEntries()));

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  /** What was counted since the last time. */
  take() {
    this.#add(this.#observer.takeRecords());
    const taken = { count: this.count, ms: this.ms };
    this.count = 0;
    this.ms = 0;
    return taken;
  }

  #add(entries) {
    for (const entry of entries) {
      this.count += 1;
      this.ms += entry.duration;
    }
  }
}
