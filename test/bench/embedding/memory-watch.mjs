import { setTimeout } from 'node:timers/promises';

const EVERY_MS = 5;
const MIB = 2 ** 20;

/** How much memory a piece of work takes at most, over what there was before it. Needs `--expose-gc`. */
export class MemoryWatch {
  #before;
  #peak;
  #timer;

  constructor() {
    globalThis.gc();
    this.#before = usage();
    this.#peak = { ...this.#before };
    this.#timer = setInterval(() => this.look(), EVERY_MS);
  }

  look() {
    const now = usage();
    this.#peak.js = Math.max(this.#peak.js, now.js);
    this.#peak.rss = Math.max(this.#peak.rss, now.rss);
  }

  /** In MiB. @param {boolean} isFresh whether this was the first work of its process: then the kernel knows the true peak */
  async end(isFresh = false) {
    clearInterval(this.#timer);
    this.look();
    const rss = isFresh ? Math.max(this.#peak.rss, process.resourceUsage().maxRSS * 1_024) : this.#peak.rss;
    // What was under way is over by then, and memory outside of the heap is freed a moment after its owner.
    for (let turn = 0; turn < 3; turn += 1) {
      globalThis.gc();
      await setTimeout(20);
    }
    return {
      peakJs: (this.#peak.js - this.#before.js) / MIB,
      peakRss: (rss - this.#before.rss) / MIB,
      kept: (usage().js - this.#before.js) / MIB,
    };
  }
}

/** What JavaScript has allocated, vectors in ArrayBuffers included: these are a part of `external`. */
function usage() {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, js: heapUsed + external };
}
